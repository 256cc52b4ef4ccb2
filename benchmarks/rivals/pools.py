"""What pools buy, beside the plain way, in one run.

    python -m benchmarks.rivals.pools [--rounds 7]

Bursts: 32 buffers alive, each filled once, then all freed; one at a time: one buffer filled and freed. The
baseline is ``bytearray(n)`` under the C library's malloc as it comes. Objects: an acquire+release pair beside
``deque.pop`` and ``deque.append``. Every figure is the minimum of several rounds in which all contenders take
turns.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections import deque
from collections.abc import Callable

from benchmarks.guard import ready
from benchmarks.rivals.rows import head, row, total
from perfcore.memory import BufferPool, ObjectPool

KB = 1024
SIZES = (16 * KB, 64 * KB, 256 * KB, 1024 * KB, 4096 * KB)
ALIVE = 32


def fill_plain(size: int, pattern: bytes) -> bytearray:
    buffer = bytearray(size)
    memoryview(buffer)[:] = pattern  # slice assignment to the bytearray itself would copy twice
    return buffer


def plain_burst(size: int, pattern: bytes) -> None:
    held = [fill_plain(size, pattern) for _ in range(ALIVE)]
    held.clear()


def pool_burst(pool: BufferPool, size: int, pattern: bytes) -> None:
    held = []
    for _ in range(ALIVE):
        buffer = pool.acquire(size)
        memoryview(buffer)[:] = pattern
        held.append(buffer)
    for buffer in held:
        buffer.release()


def pool_single(pool: BufferPool, size: int, pattern: bytes) -> None:
    buffer = pool.acquire(size)
    memoryview(buffer)[:] = pattern
    buffer.release()


def best(contenders: dict[str, Callable[[], object]], rounds: int, repeat: int) -> dict[str, float]:
    found = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, once in contenders.items():
            start = time.perf_counter()
            for _ in range(repeat):
                once()
            found[name] = min(found[name], (time.perf_counter() - start) / repeat)
    return found


def measure(size: int, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds of a burst of 32 buffers, and of one at a time, by contender."""
    pattern = b"\xff" * size
    pool = BufferPool(initial=0, per_class=ALIVE, max_bytes="256MB")
    lazy = BufferPool(initial=0, per_class=ALIVE, max_bytes="256MB", clear="never")
    burst = best(
        {
            "plain": lambda: plain_burst(size, pattern),
            "pool": lambda: pool_burst(pool, size, pattern),
            "never": lambda: pool_burst(lazy, size, pattern),
        },
        rounds,
        max(1, 8 * 1024 * KB // (size * ALIVE)),
    )
    single = best(
        {"plain": lambda: fill_plain(size, pattern), "pool": lambda: pool_single(pool, size, pattern)},
        rounds,
        max(4, 16 * 1024 * KB // size),
    )
    pool.trim()
    lazy.trim()
    return burst, single


def buffers(rounds: int) -> None:
    for size in SIZES:
        burst, single = measure(size, rounds)
        name, unit = f"{size // KB:,} KB", 1e6 / ALIVE
        lazy = f" ({burst['plain'] / burst['never']:.2f} uncleared)"
        pair = burst["pool"], burst["plain"]
        row(f"{ALIVE} of {name} at once / bytearray", *pair, 4, unit, "us", saves=True, note=lazy)
        row(f"one of {name} at a time / bytearray", single["pool"], single["plain"], 1.15, 1e6, "us")


def pair_times(rounds: int, count: int = 200_000) -> tuple[dict[str, float], int]:
    """Return the seconds of ``count`` pairs by contender, and ``count``."""
    shelf: deque[list[int]] = deque([[1]])
    pool = ObjectPool(list)

    def plain() -> None:
        for _ in range(count):
            item = shelf.pop()
            shelf.append(item)

    def pooled() -> None:
        for _ in range(count):
            lease = pool.acquire()
            lease.release()

    return best({"deque": plain, "pool": pooled}, rounds, 1), count


def pairs(rounds: int) -> None:
    found, count = pair_times(rounds)
    row("acquire + release / deque.pop + append", found["pool"], found["deque"], 1.5, 1e9 / count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    ready()
    gc.disable()
    head()
    buffers(options.rounds)
    pairs(options.rounds)
    total()


if __name__ == "__main__":
    main()
