"""What a task costs in a worker pool, beside ``concurrent.futures``, in one run.

    python -m benchmarks.rivals.workers [burst map urgent computing] [--rounds 7]

Burst: 10 000 no-op submits and their results. Map: 10 000 calls of a no-op with one argument. Urgent: a high
task's submit and result, alone, and in two floods of low tasks that fill their queue: no-ops, each of which
submits the next, and computations of 20 ms. Computing: a computation in pieces of 20 ms over a pool of two
workers, beside two independent processes that do half each; the workers are processes, and where there is no
GIL threads. Contenders take turns; of the first two the median of the ratios within a round counts, of
computing the median of the ratios, too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Literal

from benchmarks.guard import ready
from perfcore.workers import WorkerPool

TASKS = 10_000
WAITING = 900  # of the 1 000 low tasks for which there is room


def nothing(_: object = None) -> None:
    pass


def burst(pool: Executor) -> float:
    start = time.perf_counter()
    for future in [pool.submit(nothing) for _ in range(TASKS)]:
        future.result()
    return time.perf_counter() - start


def mapped(pool: Executor) -> float:
    start = time.perf_counter()
    assert len(list(pool.map(nothing, range(TASKS)))) == TASKS
    return time.perf_counter() - start


def ratio(measure: Callable[[Executor], float], rounds: int) -> tuple[float, float, float]:
    theirs, ours = [], []
    for _ in range(rounds):
        with ThreadPoolExecutor(8) as rival, WorkerPool() as pool:
            theirs.append(measure(rival))
            ours.append(measure(pool))
    median = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
    return median, statistics.median(theirs), statistics.median(ours)


def latencies(pool: WorkerPool, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        time.sleep(0.001)
        start = time.perf_counter()
        pool.submit(nothing, priority="high").result()
        taken.append(time.perf_counter() - start)
    return sorted(taken)


def flood(pool: WorkerPool, stop: list[bool], work: Callable[[], object]) -> None:
    def low() -> None:
        if not stop:
            work()
            pool.submit(low, priority="low")

    for _ in range(WAITING):
        pool.submit(low, priority="low")


def urgent(work: Callable[[], object], count: int) -> tuple[float, float, float]:
    """Return p50 idle, p50 and p99 under a flood of low tasks that do ``work``, in seconds."""
    with WorkerPool() as pool:
        latencies(pool, 50)
        idle = latencies(pool, count)
    stop: list[bool] = []
    with WorkerPool() as pool:
        flood(pool, stop, work)
        taken = latencies(pool, count)
        stop.append(True)
    return idle[count // 2], taken[count // 2], taken[count * 99 // 100]


def compute(rounds: int) -> int:
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total


def pieces(count: int, size: int) -> None:
    for _ in range(count):
        compute(size)


def independent(count: int, size: int) -> float:
    """Return the time from when both processes run to the end of the later one."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(3), context.Barrier(3)
    both = [
        context.Process(target=between, args=(ready, done, count // 2, size), daemon=True) for _ in range(2)
    ]
    for process in both:
        process.start()
    ready.wait()
    start = time.perf_counter()
    done.wait()
    taken = time.perf_counter() - start
    for process in both:
        process.join()
    return taken


def between(ready: object, done: object, count: int, size: int) -> None:
    ready.wait()  # type: ignore[attr-defined]
    pieces(count, size)
    done.wait()  # type: ignore[attr-defined]


def pooled(pool: WorkerPool, count: int, size: int) -> float:
    start = time.perf_counter()
    for future in [pool.submit(compute, size) for _ in range(count)]:
        future.result()
    return time.perf_counter() - start


def piece() -> int:
    """Return how far to compute for 20 ms."""
    start = time.perf_counter()
    compute(200_000)
    return int(200_000 * 0.02 / (time.perf_counter() - start))


def ceiling(kind: Literal["thread", "process"], rounds: int, count: int = 60) -> tuple[float, float, float]:
    """Return the median share of the ceiling, and the median times of both."""
    size = piece()
    theirs, ours = [], []
    with WorkerPool(2, 2, kind=kind) as pool:
        for future in [pool.submit(time.sleep, 0.5) for _ in range(2)]:
            future.result()  # both workers are up
        for _ in range(rounds):
            theirs.append(independent(count, size))
            ours.append(pooled(pool, count, size))
    shares = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
    return shares, statistics.median(theirs), statistics.median(ours)


def show_ratio(name: str, measure: Callable[[Executor], float], bar: float, rounds: int) -> None:
    median, theirs, ours = ratio(measure, rounds)
    costs = f"ThreadPoolExecutor {theirs / TASKS * 1e6:.2f} us, WorkerPool {ours / TASKS * 1e6:.2f} us a task"
    print(f"{name:<10} {median:5.1f}x   (bar {bar}x; {costs})", flush=True)


def show_urgent() -> None:
    size = piece()
    for name, work, count in (("no-ops", nothing, 1000), ("computing", lambda: compute(size), 200)):
        idle, middle, worst = urgent(work, count)
        print(
            f"{'urgent':<10} {worst / idle:5.1f}    (bar 3; in a flood of {name} p99 {worst * 1e6:.0f} us, "
            f"p50 {middle * 1e6:.0f} us, p50 idle {idle * 1e6:.0f} us)",
            flush=True,
        )


def show_computing(rounds: int) -> None:
    for kind in ("thread", "process")[gil() : 1 + gil()]:
        share, theirs, ours = ceiling(kind, rounds)
        print(
            f"{kind:<10} {share:5.2f}    "
            f"(bar 0.85; two independent processes {theirs:.2f} s, two workers {ours:.2f} s)",
            flush=True,
        )


def gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def main() -> None:
    ready()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rows", nargs="*", default=["burst", "map", "urgent", "computing"])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if "burst" in options.rows:
        show_ratio("burst", burst, 1.3, options.rounds)
    if "map" in options.rows:
        show_ratio("map", mapped, 5.0, options.rounds)
    if "urgent" in options.rows:
        show_urgent()
    if "computing" in options.rows:
        show_computing(options.rounds)


if __name__ == "__main__":
    main()
