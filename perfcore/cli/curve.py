"""What simulations found, as tables, as a JSON document, and as the miss-ratio curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from perfcore.cli.trace import Trace
from perfcore.errors import MissingExtraError
from perfcore.simulation import SimulationResult
from perfcore.units import format_size

__all__ = ["PLOTS", "as_document", "draw", "need_matplotlib", "print_tables"]

PLOTS = (".png", ".svg", ".pdf")

#: Raised when the shape of ``--json`` changes; documented in the help of the command.
_JSON_VERSION = 1

_Ratio = Callable[[SimulationResult], float]
_hits: _Ratio = attrgetter("hit_ratio")
_bytes: _Ratio = attrgetter("weight_hit_ratio")


def print_tables(trace: Trace, results: Sequence[SimulationResult]) -> None:
    """Print the hit ratios by size and policy, and those of bytes where objects have sizes."""
    console = Console(highlight=False)
    footprint = "" if trace.sizes is None else f", {format_size(trace.footprint)} in all"
    console.print(f"{len(trace.ids):,} requests for {trace.distinct:,} keys{footprint}", soft_wrap=True)
    console.print(_table("hit ratio, %", trace, results, _hits))
    if trace.sizes is not None:
        console.print(_table("byte hit ratio, %", trace, results, _bytes))
    rates = (f"{policy} {_speed(curve):.1f}" for policy, curve in _by_policy(results).items())
    console.print(f"simulated, M requests/s: {', '.join(rates)}", soft_wrap=True)


def _table(title: str, trace: Trace, results: Sequence[SimulationResult], ratio: _Ratio) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="")
    table.add_column("size", justify="right")
    table.add_column("of all", justify="right")
    curves = _by_policy(results)
    for policy in curves:
        table.add_column(policy, justify="right")
    for row in zip(*curves.values(), strict=True):
        capacity = row[0].capacity
        size = f"{capacity:,}" if trace.sizes is None else format_size(capacity)
        share = f"{100 * capacity / max(trace.footprint, 1):.2f}%"
        table.add_row(size, share, *(f"{100 * ratio(result):.2f}" for result in row))
    return table


def _by_policy(results: Sequence[SimulationResult]) -> dict[str, list[SimulationResult]]:
    return {policy: list(curve) for policy, curve in groupby(results, lambda result: result.policy)}


def _speed(curve: Sequence[SimulationResult]) -> float:
    return sum(result.requests for result in curve) / max(sum(r.seconds for r in curve), 1e-9) / 1e6


def as_document(name: str, trace: Trace, results: Sequence[SimulationResult]) -> dict[str, Any]:
    """Return the results as what ``--json`` prints."""
    return {
        "version": _JSON_VERSION,
        "trace": name,
        "requests": len(trace.ids),
        "distinct": trace.distinct,
        "bytes": None if trace.sizes is None else trace.footprint,
        "results": [
            asdict(result) | {"hit_ratio": result.hit_ratio, "weight_hit_ratio": result.weight_hit_ratio}
            for result in results
        ],
    }


def need_matplotlib() -> type[Any]:
    """Return matplotlib's class of figures, or raise :exc:`MissingExtraError`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise MissingExtraError("matplotlib", "plot") from missing
    return Figure


def draw(path: Path, trace: Trace, results: Sequence[SimulationResult]) -> None:
    """Draw the miss ratio over the cache's size, a line for each policy, to a file."""
    ratios = [("misses, % of requests", _hits)]
    if trace.sizes is not None:
        ratios.append(("misses, % of bytes", _bytes))
    # no pyplot: no window, no global state
    figure = need_matplotlib()(figsize=(8 * len(ratios), 5), layout="constrained")
    for axes, (label, ratio) in zip(figure.subplots(1, len(ratios), squeeze=False)[0], ratios, strict=True):
        for policy, curve in _by_policy(results).items():
            sizes, misses = [r.capacity for r in curve], [100 * (1 - ratio(r)) for r in curve]
            axes.plot(sizes, misses, marker=".", label=policy)
        axes.set(xscale="log", ylim=(0, 100), ylabel=label)
        axes.set_xlabel("entries" if trace.sizes is None else "bytes")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path)
