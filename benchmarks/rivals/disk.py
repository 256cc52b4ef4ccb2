"""What an operation on a cache on disk costs, beside the other stores, in one run.

    python -m benchmarks.rivals.disk [--full] [--sizes 1,4,64] [--rounds 2] [--only perfcore,diskcache]

Values are JSON-like documents of about 1, 4 and 64 KB: 100 000 of each with ``--full``, or as many as end in
about two minutes. ``set`` writes them all and counts until everything is committed, ``call`` is what the
caller waits for, ``get`` reads in random order; contenders take turns within each round, and a figure is the
minimum of the rounds. ``bare`` is msgpack, zstd and LMDB in a loop without keys, checksums, time or budget,
one transaction for 1000 puts; ``objects`` makes the objects and looks nothing up, and so is the ceiling of
any get. ``files`` is what the directory's files take on the disk per byte of MessagePack, with the blocks
that are taken in advance. Of perfcore the parts of that are shown: ``payloads`` compressed, ``entries`` with
header, key and checksum, ``pages`` in use with the index and what is left over in them (what a budget
counts); and the ``floor``, which zstd reaches with a dictionary at its highest level. At the end each bar is
met or missed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from msgspec import msgpack

from benchmarks.guard import ready
from benchmarks.rivals.disk_bytes import anatomy
from benchmarks.rivals.disk_load import scaling, tails
from benchmarks.rivals.disk_stores import CONTENDERS, Documents, Store, documents

__all__ = ["documents"]

COUNTS = {1: 20_000, 4: 6000, 64: 400}


class Figures(NamedTuple):
    """Microseconds for a set until committed, a set as called, and a get; bytes of files per value."""

    put: float
    call: float
    get: float
    files: float


def measure(make: type[Store], values: Documents, keys: Sequence[str]) -> Figures:
    """Return what ``make`` takes for ``values``."""
    folder = Path(tempfile.mkdtemp(prefix="perfcore-bench-"))
    values = dict(islice(values.items(), len(values) // make.share))
    keys = [key for key in keys if key in values]
    try:
        store = make(folder)
        begin = time.perf_counter()
        store.set_all(values)
        called = time.perf_counter()
        store.flush()
        written = time.perf_counter()
        get = store.getter()
        for key in keys:
            get(key)
        read = time.perf_counter()
        store.close()
        files = sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
        count = len(values)
        return Figures(
            (written - begin) / count * 1e6,
            (called - begin) / count * 1e6,
            (read - written) / len(keys) * 1e6,
            files / count,
        )
    finally:
        shutil.rmtree(folder)


def compare(size: int, count: int, rounds: int, names: Sequence[str]) -> dict[str, Figures]:
    """Print the best figures of each contender for documents of ``size`` bytes."""
    values = documents(count, size)
    draw = random.Random(2)
    keys = draw.choices(list(values), k=min(count, 20_000))
    best: dict[str, Figures] = {}
    for _ in range(rounds):
        for name in names:
            with suppress(ImportError):
                figures = measure(CONTENDERS[name], values, keys)
                best[name] = Figures(*map(min, figures, best.get(name, figures)))
    raw = sum(len(msgpack.encode(value)) for value in values.values()) / count
    print(f"\n{count} values of {raw:.0f} bytes (MessagePack)")
    print(f"{'':18}{'set us':>9}{'call us':>9}{'get us':>9}{'files':>9}")
    for name, (put, call, get, files) in best.items():
        print(f"{name:18}{put:9.1f}{call:9.1f}{get:9.1f}{files / raw:9.2f}")
    return {name: figures._replace(files=figures.files / raw) for name, figures in best.items()}


def bars(size: int, best: dict[str, Figures]) -> Iterator[tuple[str, float, str, float]]:
    """Yield what is to be reached with values of ``size`` KB: name, figure, which way, and the bar."""
    ours, committed, rival = best["perfcore"], best["perfcore-commit"], best["diskcache"]
    ceiling = rival.get / best["objects"].get
    yield f"{size} KB get, times diskcache (objects alone: {ceiling:.2f})", rival.get / ours.get, ">=", 3
    yield f"{size} KB set relaxed, times diskcache", rival.put / ours.put, ">=", 8
    yield f"{size} KB set relaxed as called", rival.put / ours.call, ">=", 8
    yield f"{size} KB set commit, times diskcache", rival.put / committed.put, ">=", 3
    if size == 1:
        yield from stored()


def stored() -> Iterator[tuple[str, float, str, float]]:
    """Print what becomes of the bytes of 1 KB values, and yield the bar on them."""
    parts = anatomy(documents(COUNTS[1], 1000))
    print("of a byte:  " + "  ".join(f"{name} {share:.3f}" for name, share in parts.items()))
    yield "1 KB stored: entries per raw byte", parts["entries"], "<=", 0.5
    yield "1 KB stored: pages in use per raw byte", parts["pages"], "<=", 0.5


def together(names: Sequence[str]) -> Iterator[tuple[str, float, str, float]]:
    """Print what becomes of tails and rates with several processes, and yield the bars on them."""
    titles = ("p50 quiet", "p99 busy", "1 process/s", "8/s", "errors", "longest ms")
    print(f"\n{'':18}" + "".join(f"{title:>13}" for title in titles))
    for name in names:
        quiet, busy = tails(name)
        one, eight = scaling(name, 1), scaling(name, 8)
        row = (quiet, busy, one.rate, eight.rate, eight.errors, eight.longest)
        print(f"{name:18}" + "".join(f"{figure:13.1f}" for figure in row))
        if name == "perfcore":
            yield "p99 of a get under writing, times its p50", busy / quiet, "<=", 3
            yield "8 processes, times the rate of one", eight.rate / one.rate, ">=", 1
            yield "8 processes, errors", eight.errors, "<=", 0


def main() -> None:
    ready()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="100 000 values of each size")
    parser.add_argument("--count", type=int, help="so many values of each size")
    parser.add_argument("--sizes", default="1,4,64", help="in KB")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default=",".join(CONTENDERS))
    options = parser.parse_args()
    needed = ["perfcore", "perfcore-commit", "diskcache", "objects"]
    names = [*needed, *(name for name in options.only.split(",") if name not in needed)]
    found: list[tuple[str, float, str, float]] = []
    for size in map(int, options.sizes.split(",")):
        count = options.count or (100_000 if options.full else COUNTS.get(size, 400))
        found += bars(size, compare(size * 1000, count, options.rounds, names))
    found += together(["perfcore", "diskcache"])
    print()
    for bar, figure, way, wanted in found:
        met = figure >= wanted if way == ">=" else figure <= wanted
        print(f"{'met   ' if met else 'MISSED'} {bar}: {figure:.2f} (bar {way} {wanted})")


if __name__ == "__main__":
    main()
