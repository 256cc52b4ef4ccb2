"""Registries: names, bounded label sets, snapshots; the same over the processes of a directory."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from effort import effort

from perfcore.metrics import (
    Counter,
    Gauge,
    Histogram,
    Registry,
    Timer,
    classic,
    default_registry,
    exponential,
    native,
)
from perfcore.metrics.instrument import note, watched
from perfcore.metrics.multiprocess import collect

ROOT = Path(__file__).parent.parent.parent


def test_the_same_name_is_the_same_instrument():
    registry = Registry()
    for cls in (Counter, Gauge, Histogram, Timer):
        first, second = (cls(f"x.{cls.__name__}", registry=registry) for _ in range(2))
        (first.observe if isinstance(first, Histogram) else first.inc)(2)
        read = (lambda i: i.count) if isinstance(first, Histogram) else (lambda i: i.value)
        assert read(second) == read(first) > 0
    a, b = Histogram("x.Histogram", registry=registry), Histogram("x.Histogram", registry=registry)
    a.merge(b)
    assert b.count == 2
    assert len(registry) == 4
    assert "x.Counter" in registry
    registry.unregister("x.Counter")
    assert Counter("x.Counter", registry=registry).value == 0


def test_without_a_registry_it_is_the_process_wide_one():
    Counter("test_registry.served").inc()
    assert default_registry()["test_registry.served"].series[()].value == 1
    default_registry().unregister("test_registry.served")


@pytest.mark.parametrize(
    "again",
    [
        lambda r: Gauge("x", registry=r),
        lambda r: Counter("x", unit="s", registry=r),
        lambda r: Counter("x", labels=["a"], registry=r),
    ],
)
def test_a_name_means_one_thing(again):
    registry = Registry()
    Counter("x", registry=registry)
    with pytest.raises(ValueError, match="x is registered as"):
        again(registry)


@pytest.mark.parametrize("name", ["", "1x", "a b", "a\n", "é", "x" * 256, None, 3])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises((TypeError, ValueError), match="name"):
        Counter(name, registry=Registry())


@pytest.mark.parametrize("labels", ["ab", ["a", "a"], [""], ["a-b"], [3], {"a"}, ["otel.metric.overflow"]])
def test_labels_that_are_none_are_refused(labels):
    with pytest.raises((TypeError, ValueError), match="label"):
        Counter("x", labels=labels, registry=Registry())


def test_children_are_found_by_position_and_by_name():
    counter = Counter("x", labels=["method", "code"], registry=Registry())
    counter.labels("GET", 200).inc()
    counter.labels(code="200", method="GET").inc()
    assert counter.labels("GET", "200") is counter.labels("GET", 200)
    assert counter.family.series[("GET", "200")].value == 2
    assert "GET" in repr(counter.labels("GET", 200))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (("a",), {}),
        ((), {}),
        (("a", "b", "c"), {}),
        (("a",), {"code": 1}),
        ((), {"method": 1}),
        ((), {"x": 1, "code": 2}),
    ],
)
def test_a_wrong_label_set_is_refused_by_name(values, named):
    counter = Counter("x", labels=["method", "code"], registry=Registry())
    with pytest.raises(ValueError, match=r"x has the labels \('method', 'code'\)"):
        counter.labels(*values, **named)
    assert not counter.family.series


@pytest.mark.parametrize("cls", [Counter, Gauge, Histogram, Timer])
def test_labels_belong_to_those_who_declared_them(cls):
    record = "observe" if issubclass(cls, Histogram) else "inc"
    with pytest.raises(ValueError, match=r"call labels\(...\) first"):
        getattr(cls("x", labels=["a"], registry=Registry()), record)(1)
    with pytest.raises(ValueError, match="has the labels"):
        cls("y", registry=Registry()).labels("a")
    with pytest.raises(RuntimeError, match="never initialised"):
        getattr(cls.__new__(cls), record)(1)


def test_a_million_label_sets_take_a_bounded_number_of_series():
    registry = Registry(max_series=100)
    counter = Counter("x", labels=["id"], registry=registry)
    count = 1_000_000 if effort(1) > 1 else 100_000
    for i in range(count):
        counter.labels(i).inc()
    samples = registry.snapshot()["x"].samples
    assert len(samples) == 101
    assert samples[None] == counter.family.overflowed == count - 100
    assert registry.snapshot()["x"].label_set(None) == {"otel.metric.overflow": "true"}
    assert counter.labels(5).value == 1


def test_threads_never_exceed_the_bound_nor_lose_a_count():
    registry = Registry(max_series=50)
    counter, start = Counter("x", labels=["id"], registry=registry), threading.Barrier(4)

    def work():
        start.wait()
        for i in range(2000):
            counter.labels(i % 200).inc()

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    samples = registry.snapshot()["x"].samples
    assert len(samples) <= 51
    assert sum(samples.values()) == 8000


def test_snapshots_subtract_add_and_pickle():
    registry = Registry()
    counter, gauge = Counter("c", labels=["a"], registry=registry), Gauge("g", registry=registry)
    histogram = Histogram("h", registry=registry)
    counter.labels("x").inc(3), gauge.set(5), histogram.observe(1)
    before = pickle.loads(pickle.dumps(registry.snapshot()))
    counter.labels("x").inc(2), counter.labels("y").inc(7), gauge.set(4), histogram.observe_many([2, 3])
    new = registry.snapshot() - before
    assert new["c"].samples == {("x",): 2, ("y",): 7}
    assert new["g"].samples == {(): 4}
    assert new["h"].samples[()].count == 2
    both = before + new
    assert both["c"].samples == {("x",): 5, ("y",): 7}
    assert both["h"].samples[()].count == 3


def test_snapshots_of_different_instruments_are_not_added():
    one, other = Registry(), Registry()
    Counter("requests", registry=one).inc()
    Gauge("requests", registry=other).set(1)
    with pytest.raises(ValueError, match="requests is a counter of"):
        one.snapshot() + other.snapshot()


def test_a_registry_has_room_for_something():
    with pytest.raises(ValueError, match="max_series must be positive, got 0"):
        Registry(max_series=0)


def test_layouts_have_the_same_buckets():
    histogram = Histogram("h", registry=Registry())
    values = [0, 0.1, 0.1, 0.5, 1, 1.0000001, 700, 1e30]
    histogram.observe_many(values)
    snapshot = histogram.snapshot()
    otel, prometheus = exponential(snapshot), native(snapshot)
    assert otel.zero_count + sum(otel.bucket_counts) == otel.count == 8
    absolute = [sum(prometheus.deltas[: i + 1]) for i in range(len(prometheus.deltas))]
    indices, at = [], 0
    for distance, length in prometheus.spans:
        at += distance
        indices += range(at, at + length)
        at += length
    filled = {otel.offset + i + 1: n for i, n in enumerate(otel.bucket_counts) if n}
    assert dict(zip(indices, absolute, strict=True)) == filled
    for value in values[1:-1]:
        assert any(2 ** ((i - 1) / 32) < value <= 2 ** (i / 32) * (1 + 1e-15) for i in filled)
    assert classic(snapshot, [1, 0.5, 2]) == [(0.5, 4), (1, 5), (2, 6), (float("inf"), 8)]


def test_notes_reach_those_who_watch():
    note("cache.hit")
    with watched() as outer:
        note("cache.hit")
        with watched() as inner:
            note("cache.miss", 2)
    note("cache.hit")
    assert (dict(outer), dict(inner)) == ({"cache.hit": 1, "cache.miss": 2}, {"cache.miss": 2})


# --- many processes ----------------------------------------------------------------------------

WORKER = """
import os, sys, signal
from perfcore.metrics import Counter, Gauge, Histogram
served = Counter("served", labels=["who"])
Counter("all").inc(2); Gauge("busy").set(3); Gauge("peak", merge="max").set(float(sys.argv[1]))
served.labels(sys.argv[1]).inc(int(sys.argv[1])); Histogram("h").observe_many([1.0, 2.0])
print("ready", flush=True)
sys.stdin.readline()
"""


def worker(directory, number):
    environment = {**os.environ, "PERFCORE_METRICS_DIR": str(directory), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(number)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process, how):
    if how == "killed":
        process.send_signal(signal.SIGKILL)
    process.communicate("\n")


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_processes_are_added_up_and_the_dead_folded_in(tmp_path, how):
    workers = [worker(tmp_path, n) for n in (1, 2, 3)]
    for alive in (3, 2, 1, 0):
        for _ in range(2):
            total = collect(tmp_path)
            assert total["all"].samples == {(): 6}
            assert total["served"].samples == {("1",): 1, ("2",): 2, ("3",): 3}
            assert total["h"].samples[()].count == 6
            assert len(list(tmp_path.glob("*.metrics"))) == alive
            if alive:
                assert total["busy"].samples == {(): 3 * alive}
                assert total["peak"].samples == {(): 3}
            else:
                assert "busy" not in total.families
        if alive:
            finish(workers[3 - alive if alive > 1 else 2], how)
    assert (tmp_path / "archive.folded").exists()


def test_a_fold_that_was_cut_off_counts_nothing_twice(tmp_path, monkeypatch):
    finish(worker(tmp_path, 1), "killed")
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        collect(tmp_path)  # the archive is written, the file still there
    monkeypatch.undo()
    assert list(tmp_path.glob("*.metrics"))
    for _ in range(3):
        assert collect(tmp_path)["all"].samples == {(): 2}
    assert not list(tmp_path.glob("*.metrics"))


def test_damaged_and_foreign_files_are_left_out(tmp_path):
    registry = Registry(directory=tmp_path)
    Counter("x", registry=registry).inc(4)
    good = next(tmp_path.glob("*.metrics")).read_bytes()[:4096]
    for i, content in enumerate(
        [b"", b"nonsense" * 100, good[:50], good[:90] + b"\0" * 50, b"pcmetr9\0" + good[8:]]
    ):
        (tmp_path / f"1-{i}.metrics").write_bytes(content)
    assert collect(tmp_path, fold=False)["x"].samples == {(): 4}
    assert collect(tmp_path)["x"].samples == {(): 4}


FORK = """
import os, sys
from perfcore.metrics import Counter, Gauge, Registry
from perfcore.metrics.multiprocess import collect
registry = Registry(directory=sys.argv[1])
counter, gauge = Counter("x", registry=registry), Gauge("g", registry=registry)
counter.inc(5); gauge.set(1)
for i in range(3):
    if os.fork() == 0:
        assert counter.value == 0 and gauge.value == 0
        counter.inc(10 ** i); Counter("y", registry=registry).inc()
        if os.fork() == 0:
            counter.inc(1000)
            os._exit(0)
        os.wait()
        os._exit(0)
    os.wait()
total = collect(sys.argv[1])
assert total["x"].samples == {(): 3116}, total["x"]
assert total["y"].samples == {(): 3}
assert total["g"].samples == {(): 1}
assert counter.value == 5
"""


def test_forked_children_count_in_files_of_their_own(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_full_file_counts_on_in_memory(tmp_path):
    registry = Registry(directory=tmp_path, file_size=8192)
    counters = [Counter(f"c{i}", registry=registry) for i in range(100)]
    for counter in counters:
        counter.inc()
    assert all(counter.value == 1 for counter in counters)
    assert 10 < len(collect(tmp_path, fold=False).families) < 100
    with pytest.raises(ValueError, match="file_size"):
        Registry(directory=tmp_path, file_size=1)


def test_a_histogram_in_a_file_merges_where_others_see_it(tmp_path):
    registry = Registry(directory=tmp_path)
    histogram, other = Histogram("h", registry=registry), Histogram("o", registry=Registry())
    other.observe_many([1, 2, float("nan")])
    histogram.merge(other)
    assert collect(tmp_path, fold=False)["h"].samples[()] == other.snapshot()
