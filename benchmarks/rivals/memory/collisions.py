"""Keys made to collide: how much longer twice as many of them take, beside dict.

Filling with n keys and looking each up doubles with n where lookups stay short, and grows four-fold where
each key meets all others, as keys of one and the same hash do in a dict too. The bar: none of our policies
grows faster than dict does on the same keys, by more than a quarter.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.rivals.memory.contenders import Contender
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.workload import timed

COUNT = 2000
ROUNDS = 15
#: seconds after which three rounds must do: those of keys that all collide are long
PATIENCE = 4
SLACK = 1.25
#: hash(n) is n modulo this
PRIME = 2**61 - 1


def strings(share: Callable[[int], bool]) -> list[str]:
    """Search for strings whose hashes have bits in common, as an attacker who knows the seed would."""

    def candidates() -> Iterator[str]:
        found = 0
        for i in range(10**9):
            text = f"key {i}"
            if share(hash(text)):
                yield text
                found += 1
                if found == 2 * COUNT:
                    return

    return list(candidates())


FAMILIES: dict[str, Callable[[], list[Any]]] = {
    "plain ints": lambda: list(range(2 * COUNT)),
    "ints of one hash": lambda: [i * PRIME for i in range(2 * COUNT)],
    "ints alike in the low 32 bits": lambda: [i << 32 for i in range(2 * COUNT)],
    "ints alike in the low 48 bits": lambda: [i << 48 for i in range(2 * COUNT)],
    "ints 2**20 apart": lambda: [i << 20 for i in range(2 * COUNT)],
    "strs alike in the low 9 bits": lambda: strings(lambda value: value & 0x1FF == 7),
    "strs alike in the high 9 bits": lambda: strings(lambda value: (value >> 55) & 0x1FF == 7),
}


def round_of(contender: Contender, keys: list[Any]) -> float:
    get, write = contender.bound(2 * COUNT)

    def loop() -> None:
        for key in keys:
            write(key, key)
        for key in keys:
            get(key)

    return timed(loop)


def measure(contenders: list[Contender], keys: list[Any]) -> dict[str, tuple[float, float]]:
    """Return for each contender the seconds that half of the keys took, and all of them."""
    best = {c.name: (float("inf"), float("inf")) for c in contenders}
    started = time.perf_counter()
    for done in range(ROUNDS):
        if done >= 3 and time.perf_counter() - started > PATIENCE:
            break
        for contender in contenders:
            half, whole = best[contender.name]
            half = min(half, round_of(contender, keys[:COUNT]))
            best[contender.name] = half, min(whole, round_of(contender, keys))
    return best


def run(options: argparse.Namespace) -> list[Bar]:
    wanted = [
        c for c in options.contenders if c.name == "dict" or c.name.startswith(("perfcore", "cachebox"))
    ]
    rows, bars = [], []
    for family, make in FAMILIES.items():
        best = measure(wanted, make())
        growth = {name: whole / half for name, (half, whole) in best.items()}
        rows.append([family, *(f"{best[n][1] / COUNT / 4 * 1e9:,.0f} x{growth[n]:.1f}" for n in best)])
        ours = [name for name in growth if name.startswith("perfcore")]
        if ours and "dict" in growth:
            name = max(ours, key=growth.__getitem__)
            what = f"growth on {family}, of {name} as the worst of ours, of dict's"
            bars.append(Bar(what, growth[name] / growth["dict"], SLACK))
    title = f"ns an operation with {2 * COUNT:,} keys, and by how much longer than {COUNT:,} keys all took"
    print_table(title, ["keys", *(c.name for c in wanted)], rows)
    return bars
