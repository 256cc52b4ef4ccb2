"""Types that are made often are found though nobody names them, at a bounded cost, and left as they were."""

import gc
import sys
import time
import timeit
import tracemalloc
import weakref
from statistics import median

import pytest

from perfcore._native.census import works
from perfcore.memory import MemoryOptimizer
from perfcore.memory.discovery import Discovery, at_least

pytestmark = pytest.mark.skipif(
    not works(), reason="no windows without a GIL, or while allocations are traced"
)


class Dear:
    def __init__(self):
        self.table = [0] * 5000


class Bare:
    pass


class Seldom:
    def __init__(self):
        self.value = 1


class Point(tuple):
    __slots__ = ()

    def __new__(cls, x, y):
        return super().__new__(cls, (x, y))


@pytest.fixture
def discovery():
    discovery = Discovery(share=0.5, frequency=100_000)  # windows of a test are far shorter than a minute
    discovery.step()
    yield discovery
    discovery.close()


def work(times=4000):
    for i in range(times):
        Dear(), Bare(), Point(i, i), object(), {i: i}, [i]
        if i % 1000 == 0:
            Seldom()


def found(discovery):
    return {seen.name.rpartition(".")[2]: seen for seen in discovery.step()}


def test_what_is_made_often_and_dropped_at_once_is_found_and_the_rest_is_not():
    discovery = Discovery(share=0.5, frequency=100_000)
    assert discovery._priced()  # outside the time that is taken here, in which the window lies
    start = time.perf_counter()
    discovery.step()
    work()
    seen = found(discovery)
    a_minute = 4000 / (time.perf_counter() - start) * 60
    assert {"Dear", "Bare", "Point"} <= seen.keys()
    assert not {"Seldom", "object", "dict", "list"} & seen.keys()
    for name in ("Dear", "Bare", "Point"):
        assert seen[name].measured.rate >= a_minute * 0.99  # the window is no longer than what was timed here
        assert 0.9 * seen[name].measured.rate < seen[name].least < seen[name].measured.rate
        assert seen[name].dropped == pytest.approx(1, abs=1 / 1000)  # one may live when the window ends
    discovery.close()


def test_constructors_are_timed_and_said_to_pay_or_not(discovery):
    work()
    first = found(discovery)
    assert first["Dear"].verdict == first["Point"].verdict == "watching" and first["Bare"].verdict == "costs"
    work()
    second = found(discovery)
    took = median(timeit.repeat(Dear, number=1, repeat=300))
    assert second["Dear"].verdict == "pays" and second["Dear"].measured.saves > 0
    assert took / 20 < second["Dear"].measured.construct < took * 20
    assert 0 < second["Point"].measured.construct < second["Dear"].measured.construct


def test_what_stays_is_counted_too(discovery):
    kept = [Bare() for _ in range(20_000)]
    seen = found(discovery)["Bare"]
    assert seen.dropped == 0 and len(kept) == 20_000


def test_the_rate_is_forgotten_when_it_is_over(discovery):
    work()
    assert "Bare" in found(discovery)
    for _ in range(20):
        rate = discovery.rate_of(Bare)
        time.sleep(0.005)
        discovery.step()
    assert discovery.rate_of(Bare) < rate or rate == 0
    assert "Bare" not in found(discovery)


def test_what_it_costs_stays_within_the_share_of_the_time():
    discovery, start = Discovery(share=0.05, frequency=100), time.perf_counter()
    for _ in range(10):
        discovery.step()
        for _ in range(30_000):
            Bare()
    discovery.close()
    taken = time.perf_counter() - start
    assert 0 < discovery.spent <= 0.02 + 0.05 * taken + 0.1  # of ten calls' own time, on a busy machine


def test_a_window_ends_when_it_has_seen_what_it_may():
    discovery = Discovery(share=0.0001, frequency=1)
    for _ in range(3):
        discovery.step()
        for _ in range(3_000_000):
            Bare()
        if discovery._affordable() == 0:
            break
    discovery.pause()
    assert discovery._affordable() == 0 and discovery.spent < 1
    discovery.close()


def test_no_type_is_kept_alive_and_a_dead_one_is_not_reported(discovery):
    kind = type("Brief", (), {"__init__": lambda self: None})
    work(10)
    discovery.step()
    for _ in range(3000):
        kind()
    assert "Brief" in found(discovery)
    for _ in range(3000):
        kind()
    gone = weakref.ref(kind)
    del kind
    gc.collect()
    assert gone() is None and "Brief" not in found(discovery)


class Hostile(type):
    def __refuse(cls, *args, **kwargs):
        raise RuntimeError("the metaclass was asked")

    __eq__ = __hash__ = __repr__ = __str__ = __bool__ = __len__ = __refuse
    __subclasses__ = __instancecheck__ = __subclasscheck__ = __refuse
    __name__ = property(__refuse)


def test_a_metaclass_that_raises_at_everything_is_not_asked(discovery):
    class Victim(metaclass=Hostile):
        __slots__ = ("__weakref__",)

        def __init__(self):
            pass

    for _ in range(2):
        discovery.step()
        for _ in range(3000):
            Victim()
    assert found(discovery)[f"{Victim.__init__.__qualname__.split('.')[-2]}"].verdict in {"costs", "pays"}


def test_a_hostile_metaclass_is_no_trouble_to_the_whole_optimizer():
    class Victim(metaclass=Hostile):
        pass

    optimizer, held = MemoryOptimizer(), []
    for _ in range(9):
        held += [Victim() for _ in range(50)]
        report = optimizer.optimize_memory()
    assert any("Victim" in suspect.name for suspect in report.leaks)
    optimizer.close()


def test_functions_are_called_as_before_when_they_were_timed(discovery):
    class Touchy:
        def __init__(self, wrong=False, *, name="x"):
            if wrong:
                raise ValueError(name)
            self.name = name

    def use():
        for i in range(2000):
            assert Touchy(name=str(i)).name == str(i)
            if i % 100 == 0:
                with pytest.raises(ValueError, match="n"):
                    Touchy(True, name="n")

    for _ in range(4):
        use()
        discovery.step()
    assert discovery.rate_of(Touchy) > 0 and discovery.rate_of(Bare) == 0


def test_profilers_and_traces_of_others_are_left_alone(discovery):
    calls = []

    def profile(frame, event, arg):
        calls.append(event)

    sys.setprofile(profile)
    try:
        work(50)
        discovery.step()
        assert sys.getprofile() is profile
    finally:
        sys.setprofile(None)
    assert calls and sys.gettrace() is not profile
    if hasattr(sys, "monitoring"):
        assert all("perfcore" not in (sys.monitoring.get_tool(i) or "") for i in range(6))


def test_while_allocations_are_traced_there_is_no_window(discovery):
    tracemalloc.start()
    try:
        discovery.step()
        before = tracemalloc.get_traced_memory()[0]
        kept = [bytes(1000) for _ in range(100)]
        assert tracemalloc.get_traced_memory()[0] - before >= 100_000 and kept
        work(50)
        assert discovery._census.end() is None
    finally:
        tracemalloc.stop()
    discovery.step()
    work()
    assert "Bare" in found(discovery)


def test_who_begins_to_trace_in_a_window_may_end_before_or_after_it():
    for traced_longer in (True, False):
        discovery = Discovery(share=0.5, frequency=1000)
        discovery.step()
        work(100)
        tracemalloc.start()
        try:
            kept = [bytes(1000) for _ in range(100)]
            if traced_longer:
                discovery.step()
            assert tracemalloc.get_object_traceback(kept[0]) is not None
        finally:
            tracemalloc.stop()
        work()
        discovery.step()
        work()
        assert "Bare" in found(discovery)
        discovery.close()


def test_two_optimizers_do_not_disturb_each_other(discovery):
    other = Discovery(share=0.5, frequency=1000)
    other.step()
    work()
    assert other.step() == [] and "Bare" in found(discovery)
    other.close()


def test_what_is_tracked_is_not_discovered_and_a_pool_gets_its_size_from_what_was_seen():
    with MemoryOptimizer(frequency=1000, discovery=0.5) as optimizer:
        optimizer.optimize_memory()
        work()
        report = optimizer.optimize_memory()
        names = {seen.name.rpartition(".")[2] for seen in report.discovered}
        assert {"Dear", "Bare"} <= names
        pool = optimizer.create_object_pool(Bare)
        assert (pool.max, pool.min) == (1000, 100)
        with pytest.raises(ValueError, match="no size was given"):
            optimizer.create_object_pool(Exception)
        optimizer.track(Dear)
        work()
        assert all("Dear" not in seen.name for seen in optimizer.optimize_memory().discovered)


def test_nothing_is_looked_at_where_it_was_switched_off():
    with MemoryOptimizer(discovery=0) as optimizer:
        for _ in range(2):
            work(100)
            assert optimizer.optimize_memory().discovered == []
    with pytest.raises(ValueError, match="share"):
        MemoryOptimizer(discovery=1)


def test_the_bound_of_a_rate_is_below_what_was_seen():
    assert [at_least(n) < n for n in (1, 10, 1e6)] == [True] * 3 and at_least(0) == 0
    assert at_least(1e8) / 1e8 == pytest.approx(1, abs=1e-3)
