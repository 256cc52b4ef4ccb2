"""What recording and reading a metric costs, beside the other ways to do it, in one run.

    python -m benchmarks.rivals.metrics [--rounds 15] [--count 20000] [--values 10000000]

Every figure is the minimum of several rounds in which both sides take turns; a row says how much of the
rival's cost ours is, and the bound that the project holds itself to. Loops are the same on both sides and
counted on both, which favours the slower one. prometheus_client comes with ``pip install prometheus_client``,
and ``make free-threaded-rivals`` builds the CPython without the GIL in which threads share a counter.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np

from benchmarks.guard import ready
from benchmarks.rivals import metrics_libraries, metrics_sharing
from benchmarks.rivals.rows import Loop, duel, head, remark, row, share, total
from perfcore.metrics import Counter, Histogram, Registry, SampleRing, Timer


def calling(function: Callable[..., Any], count: int, *arguments: Any) -> Loop:
    def loop() -> None:
        call = function
        for _ in range(count):
            call(*arguments)

    def plain() -> None:
        call = function
        for _ in range(count):
            call()

    def single() -> None:
        call, argument = function, arguments[0]
        for _ in range(count):
            call(argument)

    def double() -> None:
        call = function
        first, second = arguments
        for _ in range(count):
            call(first, second)

    return {0: plain, 1: single, 2: double}.get(len(arguments), loop)


def recording(count: int, rounds: int) -> None:
    per = 1e9 / count
    registry = Registry()
    counter, histogram = Counter("c", registry=registry), Histogram("h", registry=registry)
    try:
        rival = importlib.import_module("prometheus_client")
    except ImportError:
        remark("Counter.inc() and Histogram.observe(v)", "prometheus_client is not installed")
    else:
        theirs = rival.CollectorRegistry()
        their_counter = rival.Counter("c", "c", registry=theirs)
        their_histogram = rival.Histogram("h", "h", registry=theirs)
        pair = duel(calling(counter.inc, count), calling(their_counter.inc, count), rounds)
        row("Counter.inc() / prometheus_client", *pair, 1 / 12, per)
        pair = duel(
            calling(histogram.observe, count, 0.25), calling(their_histogram.observe, count, 0.25), rounds
        )
        row("Histogram.observe(v) / prometheus_client", *pair, 1 / 12, per)
    growing(count, rounds, per)
    timer = Timer("t", registry=registry)

    def blocks() -> None:
        for _ in range(count):
            with timer:
                pass

    def clocks() -> None:
        for _ in range(count):
            perf_counter_ns()
            perf_counter_ns()

    row("with timer: pass / two perf_counter_ns()", *duel(blocks, clocks, rounds), 3, per)


def growing(count: int, rounds: int, per: float) -> None:
    """The ring beside a deque that keeps everything, and beside one that keeps as much as the ring."""
    for name, samples, bound in [
        ("deque.append((now, v, id))", deque[object](), 0.6),
        ("the same, maxlen=65536", deque[object](maxlen=65536), 0.6),
    ]:
        ring = SampleRing(65536)

        def appending(samples: deque[object] = samples) -> None:
            if samples.maxlen is None:
                samples.clear()
            append, value, series = samples.append, 0.25, 7
            for _ in range(count):
                append((perf_counter_ns(), value, series))

        pair = duel(calling(ring.put, count, 7, 0.25), appending, rounds)
        row(f"SampleRing.put(id, v) / {name}", *pair, bound, per)


def reading(rounds: int) -> None:
    registry = Registry()
    a, b = Histogram("a", registry=registry), Histogram("b", registry=registry)
    values = 2.0 ** np.random.default_rng(2).uniform(-30, 40, 300_000)  # every bucket is filled
    a.observe_many(values)
    b.observe_many(values)
    one, two = a.snapshot(), b.snapshot()
    x, y = one.counts.copy(), two.counts.copy()
    assert (x > 0).all()
    repeat = 300

    def ours() -> None:
        for _ in range(repeat):
            one + two

    def in_place() -> None:
        merge = a.merge
        for _ in range(repeat):
            merge(b)

    def theirs() -> None:
        for _ in range(repeat):
            x + y

    row("snapshot + snapshot / adding two numpy arrays", *duel(ours, theirs, rounds), 2, 1e6 / repeat, "us")
    row(
        "Histogram.merge(histogram) / adding two numpy arrays",
        *duel(in_place, theirs, rounds),
        2,
        1e6 / repeat,
        "us",
    )


def snapshots(rounds: int) -> None:
    """A full ring is read while another thread writes it without the GIL."""
    ring, stop = SampleRing(65536), threading.Event()
    batch = np.arange(200_000, dtype=np.float64)
    ring.put_many(7, batch)
    bytes_ = ring.snapshot().view("u1").copy()

    def writing() -> None:
        while not stop.is_set():
            ring.put_many(7, batch)

    writer = threading.Thread(target=writing)
    writer.start()
    before = ring.head
    pair = duel(
        lambda: [ring.snapshot() for _ in range(5)], lambda: [bytes_.copy() for _ in range(5)], rounds * 4
    )
    written = ring.head - before
    stop.set()
    writer.join()
    row(f"snapshot of 65,536 slots ({written:,} puts meanwhile) / copy", *pair, 4, 1e6 / 5, "us")


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "uniform": lambda r, n: r.random(n),
    "exponential": lambda r, n: r.exponential(0.01, n),
    "lognormal": lambda r, n: r.lognormal(-5, 2, n),
    "pareto": lambda r, n: r.pareto(1.1, n) + 0.001,
    "two humps": lambda r, n: np.abs(
        np.where(r.random(n) < 0.9, r.normal(1e-3, 1e-4, n), r.normal(2, 0.1, n))
    ),
}


def accuracy(count: int) -> None:
    quantiles = [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999]
    for name, draw in DISTRIBUTIONS.items():
        values = draw(np.random.default_rng(1), count)
        histogram = Histogram("h", registry=Registry())
        histogram.observe_many(values)
        exact = np.quantile(values, quantiles)
        worst = max(abs(histogram.quantile(q) / e - 1) for q, e in zip(quantiles, exact, strict=True))
        share(f"largest error of {len(quantiles)} quantiles of {count:,} values, {name}", worst, 0.01083)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--values", type=int, default=10_000_000)
    options = parser.parse_args()
    ready()
    gc.disable()
    head()
    recording(options.count, options.rounds)
    reading(options.rounds)
    snapshots(options.rounds)
    metrics_sharing.show(options.rounds)
    accuracy(options.values)
    total()
    print("\nbeside other libraries")
    metrics_libraries.show()


if __name__ == "__main__":
    main()
