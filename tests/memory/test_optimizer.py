"""The optimizer measures, acts, and undoes what did not help."""

import gc
import subprocess
import sys
import time

import pytest

from perfcore.cache import Cache
from perfcore.memory import BufferPool, GcTuner, LeakDetector, MemoryOptimizer, ObjectPool, Pressure
from perfcore.memory.economy import Tracked
from perfcore.memory.gc import collector_kind
from perfcore.memory.leaks import rank_probability
from perfcore.memory.pressure import _stalled


@pytest.fixture
def optimizer():
    optimizer = MemoryOptimizer()
    yield optimizer
    optimizer.close()


@pytest.fixture(autouse=True)
def _collector_as_it_was():
    gc.unfreeze()  # CPython 3.12 starts with some of its own
    gc.collect()  # and a collection there puts objects that are immortal with those that are frozen
    before = gc.get_threshold(), len(gc.callbacks), gc.get_freeze_count()
    yield
    gc.collect()
    assert (gc.get_threshold(), len(gc.callbacks), gc.get_freeze_count()) == before


# --- pools that pay -----------------------------------------------------------------------------------------


class Dear:
    def __init__(self):
        deadline = time.perf_counter() + 50e-6
        while time.perf_counter() < deadline:
            pass


def use(tracked, times=200):
    for _ in range(times):
        with tracked.acquire():
            pass


def test_what_is_dear_and_made_often_gets_a_pool_of_the_guides_size(optimizer):
    tracked = optimizer.track(Dear)
    use(tracked)
    (action,) = optimizer.optimize_memory().pools
    assert action.action == "created" and action.measured.construct > 40e-6
    assert tracked.pool.max == pytest.approx(action.measured.rate * 0.2, abs=1)
    assert tracked.pool.min == pytest.approx(tracked.pool.max * 0.1, abs=1)
    made = tracked.pool.stats().made
    use(tracked)
    assert tracked.pool.stats().made == made
    assert optimizer.optimize_memory().pools[0].action == "kept"


def test_what_is_cheap_gets_none(optimizer):
    tracked = optimizer.track(list, reset=lambda items: time.sleep(1e-4))
    use(tracked)
    (action,) = optimizer.optimize_memory().pools
    assert (action.action, tracked.pool) == ("none", None) and action.measured.saves < 0


def test_what_is_seldom_made_gets_none():
    optimizer = MemoryOptimizer(frequency=1e12)
    tracked = optimizer.track(Dear)
    use(tracked)
    assert optimizer.optimize_memory().pools[0].reason == "not made often"
    optimizer.close()


def test_a_pool_that_does_not_pay_is_removed_and_its_leases_may_still_come_back(optimizer):
    slow = [False]
    tracked = optimizer.track(Dear, reset=lambda dear: time.sleep(1e-3) if slow[0] else None)
    use(tracked)
    optimizer.optimize_memory()
    lease = tracked.acquire()
    slow[0] = True
    use(tracked, 300)
    (action,) = optimizer.optimize_memory().pools
    assert action.action == "removed" and tracked.pool is None
    lease.release()
    use(tracked)


def test_an_object_without_a_pool_has_a_lease_all_the_same():
    lease = Tracked(Dear, None, "dear").acquire()
    assert isinstance(lease.value, Dear)
    lease.release()
    with pytest.raises(RuntimeError):
        lease.release()


def test_created_pools_have_the_guides_least(optimizer):
    pool = optimizer.create_object_pool(list, 25, reset=list.clear)
    assert (pool.min, pool.max, pool.stats().idle) == (3, 25, 3)
    with pytest.raises(ValueError):
        optimizer.create_object_pool(list, 0)


def test_names_are_taken_once(optimizer):
    optimizer.track(Dear)
    with pytest.raises(ValueError, match="tracked already"):
        optimizer.track(Dear)


# --- pressure -----------------------------------------------------------------------------------------------


def test_under_pressure_what_is_registered_shrinks_and_recovers():
    seen = [Pressure(90, 100, None)]
    optimizer = MemoryOptimizer(pressure=lambda: seen[0])
    buffers, cache = BufferPool(), Cache(100)
    objects = ObjectPool(list, min=1)
    for lease in [objects.acquire() for _ in range(5)]:
        lease.release()
    for thing in (buffers, cache, objects):
        optimizer.register(thing)
    relief = optimizer.optimize_memory().relief
    assert relief.buffer_bytes == 10 * (1 + 4 + 16 + 64) * 1024 and buffers.stats().idle_bytes == 0
    assert relief.objects == 4 and cache.capacity == 50
    optimizer.optimize_memory()
    assert cache.capacity == 25
    seen[0] = Pressure(75, 100, 0.0)  # not yet a tenth to spare
    assert optimizer.optimize_memory().relief.caches_restored == 0
    seen[0] = Pressure(50, 100, 0.0)
    assert optimizer.optimize_memory().relief.caches_restored == 1 and cache.capacity == 100
    optimizer.close()


def test_stalls_are_pressure_too():
    optimizer = MemoryOptimizer(pressure=lambda: Pressure(1, 100, 30.0))
    pool = BufferPool()
    optimizer.register(pool)
    assert optimizer.optimize_memory().relief.buffer_bytes > 0
    optimizer.close()


def test_only_pools_and_caches_are_registered(optimizer):
    with pytest.raises(TypeError):
        optimizer.register(object())


@pytest.mark.parametrize("options", [{"frequency": 0}, {"gc_threshold": 0}, {"gc_threshold": 1.1}])
def test_a_setting_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError):
        MemoryOptimizer(**options)


def test_stalls_are_read_from_the_innermost_group_that_tells(tmp_path):
    (tmp_path / "membership").write_text("0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "memory.pressure").write_text("some avg10=1.50 avg60=0.00 avg300=0.00 total=1\n")
    assert _stalled(tmp_path / "membership", tmp_path) == 1.5
    (tmp_path / "a" / "b" / "memory.pressure").write_text("some avg10=2.50 avg60=0.00 avg300=0.00 total=1\n")
    assert _stalled(tmp_path / "membership", tmp_path) == 2.5


async def test_it_runs_beside_an_event_loop(optimizer):
    assert (await optimizer.aoptimize_memory()).gc.action == "watching"


# --- the collector ------------------------------------------------------------------------------------------


class Node:
    def __init__(self):
        self.me = self


def churn(n=20_000):
    for _ in range(n):
        Node()


def test_a_dear_collector_is_tuned_and_kept_when_that_helps():
    found = gc.get_threshold()
    gc.set_threshold(10, 1, 1)
    try:
        tuner = GcTuner(most=0.01, factor=1000, warm_up=0)
        churn()
        report = tuner.step()
        assert report.action == "tuned" and report.before.share > 0.01 and report.thresholds[0] > 700
        churn()
        kept = tuner.step()
        assert kept.action == "kept" and kept.after.share < kept.before.share
        assert tuner.step().action == "watching"
        tuner.close()
        assert gc.get_threshold() == (10, 1, 1) and gc.get_freeze_count() == 0
    finally:
        gc.set_threshold(*found)


def test_what_an_interpreter_froze_when_it_started_is_not_somebody_elses():
    code = (
        "import gc; from perfcore.memory.gc import GcTuner\n"
        "tuner = GcTuner(most=0.001, warm_up=0); [gc.collect() for _ in range(3)]\n"
        "report = tuner.step(); print(report.action, report.frozen > 1000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tuned", "True"]


def test_tuning_that_does_not_help_is_undone():
    found = gc.get_threshold()
    tuner = GcTuner(most=0.001, warm_up=0)
    for _ in range(3):
        gc.collect()
    assert tuner.step().action == "tuned"
    held = [[i] for i in range(200_000)]  # what came after the freeze is as dear as what came before,
    for _ in range(20):
        gc.collect()  # and who collects by hand does not look at thresholds
    del held
    report = tuner.step()
    assert report.action == "undone" and gc.get_threshold() == found and gc.get_freeze_count() == 0
    assert "did not help" in tuner.step().reason
    tuner.close()
    tuner.close()


def test_nothing_is_tuned_before_the_warm_up_or_where_it_costs_little():
    tuner = GcTuner(most=0.9, warm_up=1)
    assert tuner.step().reason == "warming up"
    assert tuner.step().action == "watching"
    tuner.close()


@pytest.mark.parametrize(
    ("version", "gil", "kind"),
    [
        ((3, 11, 2), True, "generational"),
        ((3, 14, 0), True, "incremental"),
        ((3, 14, 5), True, "generational"),
        ((3, 15, 0), True, "generational"),
        ((3, 13, 1), False, "free-threaded"),
    ],
)
def test_the_collector_is_known_by_version(version, gil, kind):
    assert collector_kind(version, gil) == kind


# --- leaks --------------------------------------------------------------------------------------------------


class Leaking:
    pass


class Steady:
    pass


def test_what_grows_through_all_snapshots_is_suspected_and_what_does_not_is_not():
    detector, leak, steady = LeakDetector(), [], []
    for i in range(8):
        assert detector.suspects() == []
        leak += [Leaking() for _ in range(30)]
        steady = [Steady() for _ in range(100 + 300 * (i == 4))]
        detector.snapshot()
    names = {suspect.name.rpartition(".")[2]: suspect for suspect in detector.suspects()}
    assert names["Leaking"].growth == 210 and names["Leaking"].probability < 0.01
    assert "Steady" not in names
    assert steady


def test_what_filled_up_and_stopped_is_not_suspected():
    detector, cache = LeakDetector(), []
    for i in range(8):
        cache += [Leaking() for _ in range(30 * (i < 4))]
        detector.snapshot()
    assert all("Leaking" not in suspect.name for suspect in detector.suspects())


def test_lines_that_allocate_are_compared_while_they_are_traced():
    import tracemalloc

    tracemalloc.start()
    try:
        detector, held = LeakDetector(sites=True), []
        for _ in range(8):
            held.append(bytes(10_000))
            detector.snapshot()
        sites = [suspect for suspect in detector.suspects() if suspect.kind == "site"]
        assert any(__file__ in suspect.name and suspect.growth >= 70_000 for suspect in sites)
    finally:
        tracemalloc.stop()


def test_a_chain_of_references_leads_to_the_suspect():
    pytest.importorskip("objgraph")
    detector = LeakDetector()
    module = sys.modules[__name__] = sys.modules.get(__name__, sys)
    module.holder = []
    for _ in range(8):
        module.holder += [Leaking() for _ in range(30)]
        detector.snapshot()
    (suspect,) = [s for s in detector.suspects() if s.name.endswith(".Leaking")]
    assert suspect.chain and suspect.chain[-1].endswith("Leaking")
    del module.holder


def test_probabilities_are_exact():
    assert rank_probability([1, 2, 3, 4, 5, 6]) == 1 / 720
    assert rank_probability([6, 5, 4, 3, 2, 1]) == 1
    assert rank_probability([1, 3, 2, 4]) == 4 / 24


@pytest.mark.parametrize("options", [{"window": 5}, {"least": 0}, {"significance": 1}])
def test_a_detector_that_proves_nothing_is_refused(options):
    with pytest.raises(ValueError):
        LeakDetector(**options)
