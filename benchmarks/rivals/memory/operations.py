"""What one operation costs: the minimum of several rounds in which all contenders take turns, over dict's.

Keys are ``str`` objects, equal to the stored ones but not the same, unless the row says "same object".
Who has the statement ``cache[key] = value`` is written to by it (dict, perfcore, cachebox, lru-dict,
cachetools), the others by their method ``set``.
Bars: ``lru`` and ``adaptive`` near dict for hits, and faster than every rival.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.rivals.memory.contenders import MEMO, Contender
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.workload import Loop, Zipf, chosen, names, timed

COUNT = 200_000
HIT_BARS = {"perfcore lru": 1.15, "perfcore adaptive": 1.4}
#: rows in which ours must be faster than every rival
RACES = ("hit", "miss", "insert", "evicting insert")
#: the realistic mix runs up to this size: beyond, warming the caches takes minutes
LARGEST_MIX = 100_000
BATCH = 64
#: rows that only read are short, and their minimum needs more rounds to settle than the others'
READ_ROUNDS = 2
HIT_RATIOS = "zipf mix, hits in %"

Get = Callable[..., Any]
Write = Callable[[Any, Any], Any]
#: nanoseconds an operation, by contender
Row = dict[str, float]


def reading(get: Get, keys: Iterable[str]) -> Loop:
    def loop() -> None:
        for key in keys:
            get(key)

    return loop


def writing(contender: Contender, write: Write, keys: Iterable[str]) -> Loop:
    def loop() -> None:
        for key in keys:
            write(key, None)

    def loop_of_statements() -> None:
        cache = write.__self__  # type: ignore[attr-defined]
        for key in keys:
            cache[key] = None

    return loop_of_statements if contender.by_statement else loop


def mixing(contender: Contender, get: Get, write: Write, keys: Iterable[str]) -> Loop:
    """Read, and write what was not there."""

    def loop() -> None:
        for key in keys:
            if get(key) is None:
                write(key, key)

    def loop_of_pairs() -> None:
        for key in keys:
            if not get(key)[1]:
                write(key, key)

    def loop_of_statements() -> None:
        cache = write.__self__  # type: ignore[attr-defined]
        for key in keys:
            if get(key) is None:
                cache[key] = key

    if contender.pairs:
        return loop_of_pairs
    return loop_of_statements if contender.by_statement else loop


def hits(contender: Contender, get: Get, write: Write, keys: Iterable[str]) -> int:
    """Read, write what was not there, and return how often it was."""
    found = 0
    for key in keys:
        value = get(key)
        if value[1] if contender.pairs else value is not None:
            found += 1
        else:
            write(key, key)
    return found


def best(rounds: Iterable[dict[str, float]], count: int) -> Row:
    """Return each contender's fastest round, in ns an operation."""
    merged: Row = {}
    for times in rounds:
        for name, seconds in times.items():
            merged[name] = min(merged.get(name, float("inf")), seconds / count * 1e9)
    gc.collect()
    return merged


class Filled:
    """One cache of each contender, full."""

    def __init__(self, size: int, contenders: list[Contender], count: int) -> None:
        self.size, self.count = size, count
        self.present = names(0, size)
        self.contenders = {c.name: c for c in contenders}
        self.bound = {c.name: c.bound(size) for c in contenders}
        for _, write in self.bound.values():
            for key in self.present:
                write(key, key)

    def reads(self, keys: list[str], rounds: int, there: bool = True) -> Row:
        """Time reading; those whose ``get`` stores take part only where all keys are there."""
        loops = {
            name: reading(get, keys)
            for name, (get, _) in self.bound.items()
            if there or not self.contenders[name].stores
        }
        return best(
            ({name: timed(loop) for name, loop in loops.items()} for _ in range(READ_ROUNDS * rounds)),
            len(keys),
        )

    def evictions(self, rounds: int) -> Row:
        return best((self._evicting(10**8 + at * self.count) for at in range(rounds)), self.count)

    def _evicting(self, start: int) -> dict[str, float]:
        keys = names(start, self.count)
        times = {
            name: timed(writing(self.contenders[name], write, keys))
            for name, (_, write) in self.bound.items()
            if not self.contenders[name].stores
        }
        if "dict" in self.bound:  # it evicts nothing: what it took in is taken out again, which is not timed
            plain = self.bound["dict"][0].__self__  # type: ignore[attr-defined]
            for key in keys:
                del plain[key]
        return times


def inserts(size: int, rounds: int, contenders: list[Contender], count: int) -> Row:
    """Fill new caches of this size, as many as make the round long enough."""
    keys = names(0, min(size, count))
    times = max(1, count // size // 4)

    def once(contender: Contender) -> float:
        caches = [contender.make(size) for _ in range(times)]
        loops = [writing(contender, getattr(cache, contender.write), keys) for cache in caches]
        return sum(map(timed, loops))

    return best(
        ({c.name: once(c) for c in contenders if not c.stores} for _ in range(rounds)), times * len(keys)
    )


def mixes(size: int, rounds: int, contenders: list[Contender], count: int) -> tuple[Row, Row]:
    """Zipf requests with evicting inserts, new ones in each round, on warm caches; and the hits in %."""
    zipf = Zipf(size)
    bound = {c: c.bound(size) for c in contenders}

    def play(keys: list[str]) -> dict[str, float]:
        return {c.name: timed(mixing(c, get, write, keys)) for c, (get, write) in bound.items()}

    play(zipf.keys[size - 1 :: -1])
    play(zipf.requests(2 * size + count))
    last = zipf.requests(count)
    ratios = {
        c.name: 100 * hits(c, get, write, last) / count for c, (get, write) in bound.items() if not c.stores
    }
    return best((play(zipf.requests(count)) for _ in range(rounds)), count), ratios


def batches(filled: Filled, keys: list[str], rounds: int) -> Row:
    """``get_many`` of 64 keys, and a loop of ``dict.get``."""
    groups = [keys[i : i + BATCH] for i in range(0, len(keys), BATCH)]
    loops: dict[str, Loop] = {}
    for name, (get, _) in filled.bound.items():
        if name == "dict":
            loops[name] = _looking_up(get, groups)
        elif name.startswith("perfcore"):
            loops[name] = reading(get.__self__.get_many, groups)  # type: ignore[attr-defined,arg-type]
    return best(({name: timed(loop) for name, loop in loops.items()} for _ in range(rounds)), len(keys))


def _looking_up(get: Get, groups: list[list[str]]) -> Loop:
    def loop() -> None:
        for group in groups:
            [get(key) for key in group]

    return loop


def rows(
    size: int, rounds: int, contenders: list[Contender], count: int = COUNT
) -> Iterator[tuple[str, Row]]:
    """Measure row after row; what changes the caches comes last."""
    filled = Filled(size, contenders, count)
    probes = chosen(filled.present, count, size)
    yield "hit", filled.reads(probes, rounds)
    same = {name: name for name in filled.present}
    yield "hit, same object", filled.reads([same[key] for key in probes], rounds)
    yield "miss", filled.reads(chosen(names(10**7, size), count, size), rounds, there=False)
    yield f"get_many of {BATCH}", batches(filled, probes, rounds)
    yield "evicting insert", filled.evictions(rounds)
    del filled
    gc.collect()
    yield "insert", inserts(size, rounds, contenders, count)
    if size <= LARGEST_MIX:
        mix, ratios = mixes(size, rounds, contenders, count)
        yield "zipf mix", mix
        yield HIT_RATIOS, ratios


def bars_of(size: int, what: str, row: Row) -> Iterator[Bar]:
    """Yield what this row is held against, as far as the contenders take part."""
    rivals = {name: ns for name, ns in row.items() if name != "dict" and not name.startswith("perfcore")}
    for name, limit in HIT_BARS.items():
        if name not in row:
            continue
        if what == "hit" and "dict" in row:
            yield Bar(f"{what} of {name} at {size:,}, of dict's", row[name] / row["dict"], limit)
        if what in RACES and rivals:
            fastest = min(rivals, key=rivals.__getitem__)
            yield Bar(f"{what} of {name} at {size:,}, of {fastest}'s", row[name] / rivals[fastest], 1)
        if what.startswith("get_many") and size >= 1_000_000 and "dict" in row:
            yield Bar(f"{what} of {name} at {size:,}, of dict's loop", row[name] / row["dict"], 0.6)
    if what == "zipf mix" and {"perfcore adaptive", "cachebox lru"} <= row.keys():
        ratio = row["perfcore adaptive"] / row["cachebox lru"]
        yield Bar(f"{what} of perfcore adaptive at {size:,}, of cachebox lru's", ratio, 1)


def run(options: argparse.Namespace) -> list[Bar]:
    bars: list[Bar] = []
    gc.disable()
    contenders = [*options.contenders, *([] if options.only else [MEMO])]
    for size in map(int, options.sizes.split(",")):
        found = dict(rows(size, options.rounds, contenders))
        head = [c.name for c in contenders]
        cells = [[what, *(_cell(what, row, name) for name in head)] for what, row in found.items()]
        print_table(f"{size:,} entries: ratio to dict (ns an operation)", ["operation", *head], cells)
        bars += [bar for what, row in found.items() for bar in bars_of(size, what, row)]
    gc.enable()
    return bars


def _cell(what: str, row: Row, name: str) -> str:
    if name not in row:
        return "-"
    if what == HIT_RATIOS:
        return f"{row[name]:.1f}"
    ratio = f"{row[name] / row['dict']:.2f} " if "dict" in row else ""
    return f"{ratio}({row[name]:.0f})"
