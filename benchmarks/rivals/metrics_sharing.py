"""Without the GIL: what two threads reach on one counter, beside two threads on two.

    python -m benchmarks.rivals.metrics_sharing [--rounds 15]

A row of ``benchmarks.rivals.metrics``, too. It is measured by the interpreter that runs it, or, if that has
a GIL, by the one in ``build/free-threaded``, which ``make free-threaded-rivals`` makes. With a GIL there
is nothing to measure: one thread counts at a time.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.guard import ready
from benchmarks.rivals.rows import remark, row
from perfcore.metrics import Counter, Registry

ROOT = Path(__file__).parents[2]
FREE = ROOT / "build" / "free-threaded"
NAME = "two threads on one counter / two threads on two"
BOUND = 0.85


def has_gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def seconds(calls: list[Callable[[], object]], count: int) -> float:
    """Return how long threads take that each call ``count`` times, from the first start to the last end."""
    barrier, starts, ends = threading.Barrier(len(calls)), [0.0] * len(calls), [0.0] * len(calls)

    def work(number: int) -> None:
        call = calls[number]
        barrier.wait()
        starts[number] = time.perf_counter()
        for _ in range(count):
            call()
        ends[number] = time.perf_counter()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(ends) - min(starts)


def reached(rounds: int, count: int = 300_000) -> tuple[float, float]:
    """Return the seconds of two threads on one counter, and on two: the minimum of rounds taken in turn."""
    registry = Registry()
    one, two = Counter("one", registry=registry), Counter("two", registry=registry)
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for side, other in enumerate((one, two)):
            best[side] = min(best[side], seconds([one.inc, other.inc], count))
    return best[0], best[1]


def show(rounds: int) -> None:
    """Print the row, or why there is none."""
    if not has_gil():
        shared, apart = reached(rounds)
        row(NAME, shared, apart, BOUND, 1e3, "ms", saves=True)
    elif (FREE / "bin" / "python").exists():
        elsewhere(rounds)
    else:
        remark(NAME, "not applicable with the GIL; make free-threaded-rivals builds a CPython without it")


def elsewhere(rounds: int) -> None:
    """Let the CPython without the GIL measure, and print what it found."""
    code = f"from benchmarks.rivals import metrics_sharing as m; print(*m.reached({rounds}))"
    done = subprocess.run(
        [FREE / "bin" / "python", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHON_GIL": "0"},
        cwd=FREE,  # its own build of perfcore comes before that of the tree
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{FREE}: {done.stderr.strip()}")
    shared, apart = map(float, done.stdout.split())
    row(NAME, shared, apart, BOUND, 1e3, "ms", saves=True, note=" without the GIL")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    ready()
    gc.disable()
    show(options.rounds)


if __name__ == "__main__":
    main()
