"""Counters, gauges, histograms, timers, rings and queues: what they record, refuse and survive."""

import asyncio
import doctest
import gc
import importlib
import math
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import AsyncExitStack, ExitStack

import numpy as np
import pytest
from effort import effort
from hypothesis import example, given
from hypothesis import strategies as st

from perfcore.metrics import Counter, EventQueue, Gauge, Histogram, Registry, SampleRing, Timer

BOUND = 0.010831
HUGE = 10**400


def fresh(cls, name="m", **options):
    return cls(name, registry=Registry(), **options)


def together(count, work):
    """Run ``work(0)`` to ``work(count - 1)`` in threads that start at once; re-raise what they raise."""
    errors, barrier = [], threading.Barrier(count)

    def run(index):
        barrier.wait()
        try:
            work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("room", ["metrics", "histogram", "timer", "ring", "events"])
def test_the_examples_of_the_native_rooms_are_true(room):
    result = doctest.testmod(importlib.import_module(f"perfcore._native.{room}"))
    assert result.attempted >= 3
    assert not result.failed


# --- counters and gauges ----------------------------------------------------------------


@given(st.lists(st.integers(0, 2**40) | st.floats(0, 1e12)))
def test_a_counter_is_the_sum_of_its_amounts(amounts):
    counter = fresh(Counter)
    for amount in amounts:
        counter.inc(amount)
    small = sum(n for n in amounts if isinstance(n, int) and n < 2**32)
    rest = sum(float(n) for n in amounts if not (isinstance(n, int) and n < 2**32))
    assert counter.value == pytest.approx(small + rest, rel=1e-12)
    if not rest:
        assert counter.value == small
        assert isinstance(counter.value, int)


@pytest.mark.parametrize("amount", [-1, -0.5, math.nan, math.inf, -math.inf, -(10**30)])
def test_a_counter_refuses_what_does_not_count_and_stays_as_it_was(amount):
    counter = fresh(Counter)
    counter.inc(3)
    with pytest.raises(ValueError, match="m: a counter grows by finite amounts"):
        counter.inc(amount)
    assert counter.value == 3


def test_a_counter_takes_amounts_beyond_its_integers_as_floats():
    counter = fresh(Counter)
    counter.inc(10**30)
    assert counter.value == 1e30
    with pytest.raises(OverflowError):
        counter.inc(HUGE)
    for wrong in ("1", None, [1]):
        with pytest.raises(TypeError):
            counter.inc(wrong)
    assert counter.value == 1e30


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -3.5, 1e30, 10**30])
def test_a_gauge_holds_what_was_measured(value):
    gauge = fresh(Gauge)
    gauge.set(value)
    assert gauge.value == float(value) or (math.isnan(value) and math.isnan(gauge.value))
    with pytest.raises(OverflowError):
        gauge.set(HUGE)


def test_threads_lose_no_increment():
    counter, gauge, histogram = fresh(Counter), fresh(Gauge), fresh(Histogram)

    def work(_):
        for _ in range(5000):
            counter.inc()
            counter.inc(0.5)
            gauge.inc(2)
            histogram.observe(1.0)

    together(4, work)
    assert (counter.value, gauge.value, histogram.count, histogram.sum) == (30000, 40000, 20000, 20000)


# --- histograms ----------------------------------------------------------------

POSITIVE = st.floats(2.0**-30, 2.0**40, exclude_min=True)


@given(st.lists(POSITIVE, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_within_its_bound_of_numpys(values, q):
    histogram = fresh(Histogram)
    histogram.observe_many(values)
    assert histogram.quantile(q) == pytest.approx(np.quantile(values, q), rel=BOUND)


DISTRIBUTIONS = {
    "uniform": lambda r, n: r.random(n),
    "exponential": lambda r, n: r.exponential(0.01, n),
    "lognormal": lambda r, n: r.lognormal(-5, 2, n),
    "pareto": lambda r, n: r.pareto(1.1, n) + 0.001,
    "two humps": lambda r, n: np.abs(
        np.where(r.random(n) < 0.9, r.normal(1e-3, 1e-4, n), r.normal(2, 0.1, n))
    ),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_quantiles_of_large_samples_are_within_the_bound(name):
    values = DISTRIBUTIONS[name](np.random.default_rng(5), effort(200_000))
    histogram = fresh(Histogram)
    histogram.observe_many(values)
    for q in (0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1):
        assert histogram.quantile(q) == pytest.approx(np.quantile(values, q), rel=BOUND)
    assert histogram.count == len(values)
    assert histogram.sum == pytest.approx(values.sum())


ANY = st.lists(st.floats(), max_size=30)


def snapshot_of(*parts):
    histogram = fresh(Histogram)
    for part in parts:
        histogram.observe_many(part)
    return histogram.snapshot()


def same(a, b):
    """Whether two snapshots are equal but for the rounding of their sums."""
    parts = ("zeros", "under", "over", "negative", "nan", "count")
    return np.array_equal(a.counts, b.counts) and all(getattr(a, p) == getattr(b, p) for p in parts)


@example([2.0**1023, 2.0**1023], [], [])
@given(ANY, ANY, ANY)
def test_snapshots_are_an_algebra(a, b, c):
    one, two, three = map(snapshot_of, (a, b, c))
    assert same(one + two, two + one)
    assert same((one + two) + three, one + (two + three))
    assert same(one + two, snapshot_of(a, b))
    assert same((one + two) - two, one)
    assert one - one == snapshot_of()  # also where the sum of finite values is infinite
    assert pickle.loads(pickle.dumps(one)) == one


@given(ANY)
def test_every_value_is_counted_somewhere(values):
    snapshot = snapshot_of(values)
    assert snapshot.count + snapshot.negative + snapshot.nan == len(values)
    assert snapshot.nan == sum(map(math.isnan, values))
    assert snapshot.negative == sum(v < 0 for v in values)
    assert snapshot.zeros == values.count(0)
    assert snapshot.over == sum(v > 2.0**40 for v in values)


def test_observing_one_by_one_is_observing_many():
    values = np.random.default_rng(1).lognormal(0, 20, 20_000)
    one_by_one = fresh(Histogram)
    for value in values:
        one_by_one.observe(value)
    assert same(one_by_one.snapshot(), snapshot_of(values))


def test_what_lies_outside_the_range_is_counted_apart():
    histogram = fresh(Histogram, low=0.001, high=60)
    histogram.observe_many([0, 1e-9, 1e30, math.inf, math.nan, -1, 2])
    snapshot = histogram.snapshot()
    assert snapshot.exponents == (-10, 6)
    assert (snapshot.count, snapshot.under, snapshot.over, snapshot.negative, snapshot.nan) == (5, 1, 2, 1, 1)
    assert histogram.quantile(0) == 0
    assert histogram.quantile(1) == math.inf
    with pytest.raises(OverflowError):
        histogram.observe(HUGE)
    for q in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="q must be from 0 to 1"):
            histogram.quantile(q)
    assert math.isnan(fresh(Histogram).quantile(0.5))


@pytest.mark.parametrize(
    "bounds", [(0, 1), (1, 1), (2, 1), (-1, 1), (1, math.inf), (math.nan, 1), (1, math.nan)]
)
def test_a_range_that_is_none_is_refused(bounds):
    with pytest.raises(ValueError, match="low and high"):
        fresh(Histogram, low=bounds[0], high=bounds[1])


def test_merging_adds_and_needs_the_same_range():
    a, b = fresh(Histogram), fresh(Histogram)
    a.observe_many([1, 2, 3])
    b.observe_many([3, 4, math.nan])
    a.merge(b)
    a.merge(b.snapshot())
    a.observe(9)
    assert same(a.snapshot(), snapshot_of([1, 2, 3, 3, 4, math.nan, 3, 4, math.nan, 9]))
    a.merge(a)
    assert a.count == 16
    with pytest.raises(ValueError, match="different ranges"):
        a.merge(fresh(Histogram, low=1, high=2))
    with pytest.raises(ValueError, match="not an earlier one"):
        snapshot_of([1]) - snapshot_of([2])
    with pytest.raises(TypeError):
        a.merge([1])


# --- timers ----------------------------------------------------------------


def durations(timer):
    return [edge for edge, count in timer.snapshot().buckets() for _ in range(count)]


def test_a_timer_times_blocks_that_nest_recurse_and_raise():
    timer = fresh(Timer)

    def nest(depth):
        with timer:
            time.sleep(0.004)
            if depth:
                nest(depth - 1)

    nest(2)
    first, second, third = durations(timer)
    assert first >= 0.004 * 0.97
    assert second >= 0.008 * 0.97
    assert third >= 0.012 * 0.97
    with pytest.raises(KeyError), timer:
        raise KeyError
    assert timer.count == 4


async def test_tasks_that_interleave_are_timed_apart():
    timer = fresh(Timer)

    async def work(delay):
        async with timer:
            await asyncio.sleep(delay)
        with timer:
            await asyncio.sleep(delay)

    await asyncio.gather(work(0.05), work(0.01))
    short, short_again, long, long_again = durations(timer)
    assert short >= 0.0097
    assert long >= 0.048
    assert long_again >= long * 0.9
    assert short_again < 0.048


async def test_a_timer_works_in_exit_stacks_and_by_hand():
    timer = fresh(Timer)
    with ExitStack() as stack:
        stack.enter_context(timer)
        stack.enter_context(timer.time())
        time.sleep(0.005)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(timer)
        await asyncio.sleep(0.005)
    span = timer.time()
    time.sleep(0.005)
    assert 0.005 <= span.stop() < 5
    assert timer.count == 4
    assert min(durations(timer)) >= 0.0048
    timer.__enter__()
    with pytest.raises(RuntimeError, match="outside of a with"):
        timer.__exit__(None, None, None)
    assert timer.count == 4


async def test_a_timer_decorates_functions_coroutines_and_generators():
    timer = fresh(Timer)

    @timer
    def plain(a, *, b=2):
        return a + b

    @timer
    async def awaited(a):
        await asyncio.sleep(0)
        return a

    @timer
    def generated():
        got = yield 1
        return got

    @timer
    async def streamed():
        yield 1
        yield 2

    assert plain(1, b=5) == 6
    assert plain.__name__ == "plain"
    assert await awaited(3) == 3
    assert list(generated()) == [1]
    assert [x async for x in streamed()] == [1, 2]
    assert timer.count == 4
    with pytest.raises(TypeError):
        timer(3)


# --- the ring ----------------------------------------------------------------


@pytest.mark.parametrize("capacity", [0, -1, 1, 63, 65, 100, 2**31, 2**70])
def test_a_ring_of_another_size_is_refused(capacity):
    with pytest.raises(ValueError, match="power of two"):
        SampleRing(capacity)
    with pytest.raises(TypeError):
        SampleRing("64")


@given(st.lists(st.integers(0, 200), max_size=20), st.integers(0, 100))
def test_a_ring_keeps_the_newest_and_drains_each_sample_once(batches, limit):
    ring, model, drained, next_ = SampleRing(64), [], [], 0
    for size in batches:
        values = [float(len(model) + i) for i in range(size)]
        if size % 2:
            assert ring.put_many(3, values) == size
        else:
            assert all(ring.put(3, value) for value in values)
        model += values
        assert ring.snapshot()["value"].tolist() == model[-64:]
        next_ = max(next_, len(model) - 64)
        expected = model[next_ : next_ + limit]
        assert ring.drain(limit)["value"].tolist() == expected
        next_ += len(expected)
        drained += expected
        assert len(drained) + ring.missed == next_
    assert (ring.head, ring.accepted, ring.dropped) == (len(model), len(model), 0)
    ring._check()


def test_a_ring_takes_any_float_and_any_64_bit_series():
    ring = SampleRing(64)
    for value in (math.nan, math.inf, -1.0, 1e30):
        assert ring.put(-(2**63), value)
    assert np.isnan(ring.snapshot()["value"][0])
    assert ring.snapshot()["series"][0] == -(2**63)
    for wrong in ((2**63, 1.0), (1, HUGE)):
        with pytest.raises(OverflowError):
            ring.put(*wrong)
    with pytest.raises(TypeError):
        ring.put("a", 1.0)
    with pytest.raises(ValueError, match="need as many times"):
        ring.put_many(1, [1.0, 2.0], times=[1])
    assert ring.head == 4
    ring.put_many([7, 8], [1.0, 2.0], times=[5, 6])
    assert ring.snapshot()[-1].item() == (6, 8, 2.0)


def test_times_are_monotonic_nanoseconds():
    ring = SampleRing(64)
    before = time.monotonic_ns()
    ring.put(1, 1.0)
    assert before <= ring.snapshot()["time_ns"][0] <= time.monotonic_ns()


def test_threads_that_write_and_read_see_whole_samples_and_exact_counts():
    ring, done = SampleRing(4096), threading.Event()
    batch = np.arange(5000, dtype=np.float64)  # long enough to be written without the GIL

    def work(index):
        if index == 3:
            while not done.is_set():
                found = ring.snapshot()
                assert np.array_equal(found["series"], found["value"].astype("i8"))
            return
        for _ in range(effort(40)):
            ring.put_many(batch.astype("i8"), batch)
        finished.append(index)
        if len(finished) == 3:
            done.set()

    finished = []
    together(4, work)
    assert ring.head == 3 * effort(40) * 5000
    assert ring.accepted + ring.dropped == ring.head
    ring._check()


def test_puts_beside_long_arrays_that_are_written_without_the_gil_are_all_counted():
    ring, stop = SampleRing(1024), threading.Event()
    batch = np.arange(200_000, dtype=np.float64)
    arrays, puts = [], effort(60_000)

    def work(index):
        if index == 0:
            while not (arrays and stop.is_set()):
                arrays.append(ring.put_many(batch.astype("i8"), batch))
            return
        accepted.append(sum(ring.put(i, i) + ring.put_at(i, i, i) for i in range(puts)))
        if len(accepted) == 2:
            stop.set()

    accepted = []
    together(3, work)
    assert ring.head == 2 * 2 * puts + len(arrays) * len(batch)
    assert ring.accepted == sum(accepted) + sum(arrays)
    found = ring.snapshot()
    assert np.array_equal(found["series"], found["value"].astype("i8"))
    ring._check()


# --- the queue ----------------------------------------------------------------


@given(st.lists(st.integers(0, 9)))
def test_a_queue_is_first_in_first_out_and_refuses_when_full(steps):
    queue, model, refused = EventQueue(4), [], 0
    for step in steps:
        if step < 6:
            assert queue.put(step) == (len(model) < 4)
            refused += len(model) == 4
            model += [step] * (len(model) < 4)
        elif step < 8:
            assert queue.get("none") == (model.pop(0) if model else "none")
        else:
            assert queue.drain(step - 7) == model[: step - 7]
            del model[: step - 7]
        assert len(queue) == len(model)
        queue._check()
    assert queue.dropped == refused


def test_cycles_through_a_queue_are_collected_and_events_are_released():
    class Event:
        pass

    queue, event = EventQueue(8), Event()
    event.queue = queue
    queue.put(event)
    watcher = weakref.ref(event)
    del queue, event
    gc.collect()
    assert watcher() is None
    queue, event = EventQueue(2), Event()
    before = sys.getrefcount(event)
    for _ in range(5):
        queue.put(event)
    assert sys.getrefcount(event) == before + 2
    del queue
    assert sys.getrefcount(event) == before


def test_a_finalizer_may_use_the_queue_it_falls_out_of():
    queue = EventQueue(4)

    class Event:
        def __del__(self):
            queue.put("again")

    queue.put(Event())
    queue.drain()
    assert queue.drain() == ["again"]


# --- at any moment ----------------------------------------------------------------


def test_callbacks_of_the_collector_and_signal_handlers_record_without_a_deadlock():
    registry = Registry()
    counter, histogram = Counter("c", registry=registry), Histogram("h", registry=registry)
    labelled, timer = Counter("l", labels=["x"], registry=registry), Timer("t", registry=registry)
    ring, queue, calls, merged = SampleRing(64), EventQueue(64), [0], fresh(Histogram)
    came = {"collector": 0, "signal": 0}

    def record():
        calls[0] += 1
        counter.inc()
        with timer:
            histogram.observe(calls[0])
        labelled.labels(calls[0] % 50).inc()
        ring.put(1, 2.0)
        ring.snapshot()
        queue.put(calls[0])
        queue.drain()
        merged.merge(histogram)
        registry.snapshot()

    def collecting(*_):
        came["collector"] += 1
        record()

    def alarmed(*_):
        came["signal"] += 1
        record()

    before = signal.signal(signal.SIGALRM, alarmed)
    gc.callbacks.append(collecting)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while (
            min(came.values()) < 100
        ):  # not for a time: without the GIL each collection looks at the whole heap
            record()
            [[[]] for _ in range(300)]
            gc.collect(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.callbacks.remove(collecting)
    assert counter.value == calls[0] == timer.count
    assert sum(registry.snapshot()["l"].samples.values()) == calls[0]


FORK = """
import os, threading
from perfcore.metrics import Counter, EventQueue, Registry, SampleRing
import numpy as np
ring, queue, counter = SampleRing(4096), EventQueue(8), Counter("c", registry=Registry())
queue.put("parent"); counter.inc(5)
stop, batch = False, np.ones(100_000)
def write():
    while not stop:
        ring.put_many(1, batch)  # without the GIL: fork() may cut it off in the middle
thread = threading.Thread(target=write); thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        ok = ring.head == 0 and len(ring.snapshot()) == 0 and ring.poisoned_slots == 0 and len(queue) == 0
        for i in range(10_000): ok = ring.put(2, float(i)) and ok
        ok = ok and ring.dropped == 0 and len(ring.snapshot()) == 4096 and queue.put(1) and counter.value == 5
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
stop = True; thread.join()
assert queue.drain() == ["parent"]
"""


def test_a_forked_child_starts_with_fresh_rings_and_queues_and_keeps_its_counts():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "thing", [fresh(Counter), SampleRing(64), EventQueue(2)], ids=lambda t: type(t).__name__
)
def test_what_belongs_to_a_process_is_not_pickled(thing):
    with pytest.raises(TypeError, match="belongs to its process"):
        pickle.dumps(thing)
