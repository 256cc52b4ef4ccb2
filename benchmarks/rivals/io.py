"""What reading costs through ``perfcore.io``, beside Python's own ways, in one run.

    python -m benchmarks.rivals.io [--rounds 15]

Hot files: 1 000 files of 4 KB, all read again and again: ``open().read()``, and a StreamCache that looks at
each path before each read (its default), once a second, and through pooled buffers. Contenders take turns;
the median of the ratios within a round counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.guard import ready
from perfcore._native.buffers import BufferPool
from perfcore.io import StreamCache

FILES, SIZE = 1000, 4096


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def tree(folder: str) -> list[str]:
    paths = [str(Path(folder, f"file-{number}")) for number in range(FILES)]
    for path in paths:
        Path(path).write_bytes(os.urandom(SIZE))
    return paths


def plain(paths: list[str]) -> None:
    for path in paths:
        with open(path, "rb") as file:  # noqa: PTH123 - what is measured
            file.read()


def streamed(streams: StreamCache, paths: list[str]) -> None:
    for path in paths:
        streams.read(path)


def pooled(streams: StreamCache, pool: BufferPool, paths: list[str]) -> None:
    for path in paths:
        streams.read_pooled(path, pool).release()


def measure_hot(rounds: int) -> dict[str, list[float]]:
    """Return by contender the seconds of each round over all files."""
    with (
        tempfile.TemporaryDirectory() as folder,
        StreamCache(FILES, threshold=1) as always,
        StreamCache(FILES, threshold=1, check_interval=1.0) as seldom,
    ):
        paths, pool = tree(folder), BufferPool()
        contenders: dict[str, Callable[[], None]] = {
            "open().read()": lambda: plain(paths),
            "StreamCache": lambda: streamed(always, paths),
            "check_interval=1": lambda: streamed(seldom, paths),
            "pooled": lambda: pooled(always, pool, paths),
        }
        for work in contenders.values():
            for _ in range(3):
                work()
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, work in contenders.items():
                taken[name].append(timed(work))
        for path in paths:
            assert always.read(path) == Path(path).read_bytes()
    return taken


def report(taken: dict[str, list[float]], bars: dict[str, float]) -> None:
    first, *_ = taken
    for name, times in taken.items():
        ratio = statistics.median(a / b for a, b in zip(taken[first], times, strict=True))
        bar = f" (bar {bars[name]}x)" if name in bars else ""
        print(f"{name:<18} {min(times) / FILES * 1e6:6.2f} us a read   {ratio:5.2f}x{bar}", flush=True)


def main() -> None:
    ready()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    report(measure_hot(parser.parse_args().rounds), {"StreamCache": 3.0})


if __name__ == "__main__":
    main()
