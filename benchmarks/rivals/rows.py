"""Rows that say what ours costs, what it is held against, and whether the bound of the project is met."""

from __future__ import annotations

import time
from collections.abc import Callable

Loop = Callable[[], object]

_met: list[bool] = []


def timed(loop: Loop) -> float:
    start = time.perf_counter()
    loop()
    return time.perf_counter() - start


def duel(ours: Loop, theirs: Loop, rounds: int) -> tuple[float, float]:
    """Return the seconds of each side, the minimum of rounds taken in turn."""
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for side, loop in enumerate((ours, theirs)):
            best[side] = min(best[side], timed(loop))
    return best[0], best[1]


def head() -> None:
    print(f"{'ours / theirs':<62} {'ours':>9} {'theirs':>9}       ratio    bound")


def row(
    name: str,
    ours: float,
    theirs: float,
    bound: float,
    unit: float,
    label: str = "ns",
    *,
    saves: bool = False,
    note: str = "",
) -> None:
    """Print ours beside theirs, both times ``unit``, and whether ours / theirs is at most ``bound``.

    With ``saves`` it is theirs / ours that has to be at least ``bound``: how many times faster ours is.
    """
    ratio = theirs / ours if saves else ours / theirs
    met = ratio >= bound if saves else ratio <= bound
    _met.append(met)
    times = f"{ours * unit:>9.1f} {theirs * unit:>9.1f} {label:<3}"
    sign, verdict = ">=" if saves else "<=", "met" if met else "MISSED"
    print(f"{name:<62} {times} {ratio:>7.3f} {sign} {bound:<6.4g} {verdict}{note}", flush=True)


def share(name: str, measured: float, bound: float, *, least: bool = False) -> None:
    """Print a row of a measure that is a share already."""
    met = measured >= bound if least else measured <= bound
    _met.append(met)
    sign, verdict = ">=" if least else "<=", "met" if met else "MISSED"
    print(f"{name:<86} {measured:>7.4f} {sign} {bound:<6.4g} {verdict}", flush=True)


def remark(name: str, text: str) -> None:
    """Print why a row cannot be measured here."""
    print(f"{name:<86} {text}", flush=True)


def total() -> None:
    """Print how many bounds were met since the last time."""
    print(f"{sum(_met)} of {len(_met)} bounds met", flush=True)
    _met.clear()
