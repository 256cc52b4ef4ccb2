"""What all native types have in common: true examples, words for people, and clear refusals."""

import doctest
import importlib
import pickle
import sys
from array import array
from pathlib import Path

import pytest

import perfcore._native
from perfcore import Cache
from perfcore._native.files import OpenFile
from perfcore._native.objects import Lease, Waiter
from perfcore._native.predict import Predictor
from perfcore._native.simulate import Replay, distinct
from perfcore._native.timer import Span
from perfcore.memory import BufferPool, ObjectPool
from perfcore.metrics import (
    Counter,
    EventQueue,
    Gauge,
    Histogram,
    HistogramSnapshot,
    Registry,
    SampleRing,
    Timer,
)

ROOMS = sorted(path.stem for path in Path(perfcore._native.__file__).parent.glob("*.pyi"))
LABELS = {"labels": ["shop"], "registry": Registry()}


def foreseen():
    predictor = Predictor(100)
    for number in range(40_000):
        predictor.record(number % 1000, None, False)
    return predictor.predictions(1)[0]


# --- examples ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", ROOMS)
def test_the_examples_of_the_extensions_are_true(room):
    module = importlib.import_module(f"perfcore._native.{room}")
    assert not doctest.testmod(module, extraglobs={"Cache": Cache}).failed


# --- words for people --------------------------------------------------------------------------------------


def test_a_repr_says_what_it_is_and_how_full():
    registry = Registry()
    queue, ring = EventQueue(4), SampleRing(64)
    queue.put("a"), ring.put(1, 2.0)
    histogram = Histogram("seconds", registry=registry)
    pool = BufferPool()
    buffer = pool.acquire(100)
    file = OpenFile(__file__)
    predictor = Predictor(100)
    predictor.record("a")
    assert repr(queue) == "<EventQueue 1 of 4, dropped=0>"
    assert (queue.capacity, queue.accepted) == (4, 1)
    assert repr(ring) == "<SampleRing capacity=64 head=1 dropped=0>"
    assert repr(histogram.snapshot()) == "<HistogramSnapshot count=0>"
    assert histogram.snapshot().mean != histogram.snapshot().mean  # not a number
    assert repr(Cache(8)) == "<Cache: 0 entries, weight 0 of 8>"
    assert repr(pool).startswith("<BufferPool 1 in use, ")
    assert repr(buffer).startswith("<PooledBuffer of 100 bytes")
    assert repr(file) == f"<OpenFile {__file__!r}, {file.size} bytes when it was opened>"
    assert repr(predictor) == "<Predictor keys=1 visits=1>"
    assert repr(Counter("calls", registry=registry)) == "<Counter calls>"
    assert (
        repr(Counter("sales", labels=["shop"], registry=registry).labels(1)) == "<Counter sales{'shop': '1'}>"
    )
    buffer.release()
    assert repr(buffer).endswith("released>")
    assert "100%" not in repr(foreseen()) and repr(foreseen()).startswith("<Foreseen ")


def test_what_owns_memory_says_how_much():
    assert sys.getsizeof(SampleRing(1024)) > 1024 * 24
    empty, full = Cache(10_000), Cache(10_000)
    full.update(zip(range(10_000), range(10_000), strict=True))
    assert sys.getsizeof(full) > sys.getsizeof(empty) + 10_000 * 40
    assert (full.currsize, full.maxweight, full.weight) == (10_000, None, 10_000)


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Counter("c", registry=Registry()),
        lambda: Timer("t", registry=Registry()),
        lambda: SampleRing(64),
        lambda: EventQueue(8),
        lambda: Predictor(100),
        foreseen,
        lambda: BufferPool(),
        lambda: ObjectPool(list),
    ],
)
def test_what_belongs_to_its_process_is_not_pickled(make):
    with pytest.raises(TypeError):
        pickle.dumps(make())


@pytest.mark.parametrize("made_elsewhere", [Lease, Waiter, Span, HistogramSnapshot])
def test_what_others_make_is_not_made_by_hand(made_elsewhere):
    with pytest.raises(TypeError, match=r" (comes from|is taken by|is started by) "):
        made_elsewhere()


COUNTER, GAUGE = Counter("c", **LABELS), Gauge("g", **LABELS)
HISTOGRAM, TIMER = Histogram("h", **LABELS), Timer("t", **LABELS)


def timed():
    with TIMER:
        pass


@pytest.mark.parametrize(
    "use",
    [
        COUNTER.inc,
        lambda: COUNTER.value,
        lambda: GAUGE.set(1),
        GAUGE.inc,
        GAUGE.dec,
        lambda: GAUGE.value,
        lambda: HISTOGRAM.observe(1),
        lambda: HISTOGRAM.observe_many([1.0]),
        HISTOGRAM.snapshot,
        lambda: HISTOGRAM.quantile(0.5),
        lambda: HISTOGRAM.merge(Histogram("own", registry=Registry())),
        lambda: Histogram("own", registry=Registry()).merge(HISTOGRAM),
        TIMER.time,
        timed,
        lambda: TIMER(len),
    ],
)
def test_an_instrument_with_labels_records_nothing_without_them(use):
    with pytest.raises(ValueError, match=r"has the labels .*: call labels\(\.\.\.\) first"):
        use()


def test_an_instrument_that_was_never_initialised_says_so():
    for kind in (Counter, Gauge, Histogram, Timer):
        with pytest.raises(RuntimeError, match="never initialised"):
            getattr(kind.__new__(kind), "inc" if kind in (Counter, Gauge) else "snapshot")()


@pytest.mark.parametrize("kind", [SampleRing, EventQueue])
@pytest.mark.parametrize(
    ("capacity", "error"), [("8", TypeError), (True, TypeError), (7, ValueError), (1 << 40, ValueError)]
)
def test_a_capacity_is_a_power_of_two(kind, capacity, error):
    with pytest.raises(error, match="capacity must be"):
        kind(capacity)


def test_limits_are_not_negative():
    for series in (SampleRing(64), EventQueue(8)):
        with pytest.raises(ValueError, match="limit must not be negative"):
            series.drain(-1)


def test_a_range_of_a_histogram_is_one_of_doubles():
    with pytest.raises(ValueError, match="low and high must be between"):
        Histogram("h", registry=Registry(), low=1e-320)


def test_a_gauge_is_merged_in_one_of_four_ways():
    with pytest.raises(ValueError, match="merge must be"):
        Gauge("g", registry=Registry(), merge="median")


def test_snapshots_are_only_reckoned_with_snapshots():
    snapshot = Histogram("h", registry=Registry()).snapshot()
    for reckon in ("__add__", "__sub__", "__eq__"):
        assert getattr(snapshot, reckon)(1) is NotImplemented
    assert Cache(8).__eq__(1) is NotImplemented


def test_a_replay_refuses_what_it_has_no_place_for():

    nothing, ids = array("I"), array("I", [0, 3])
    replay = Replay("lru", 2, 3, False, 0)
    replay.feed(nothing)
    assert (replay.counts()[0], distinct(nothing, 3)) == (0, 0)
    with pytest.raises(ValueError, match="below 3"):
        replay.feed(ids)
    with pytest.raises(ValueError, match="below 3"):
        distinct(ids, 3)


def test_a_prediction_that_was_held_already_is_told_so():
    predictor = Predictor(100)
    for number in range(40_000):
        predictor.record(number % 1000, None, False)
    predictor.present(predictor.predictions(1)[0])
    predictor._check()
    assert predictor.predictions(0) == []
