"""Windows on the allocator count each object by its type, and leave the allocator as they found it."""

import gc
import os
import subprocess
import sys
import threading

import pytest

from perfcore._native.census import Census, pair_cost, works
from perfcore._native.stopwatch import Stopwatch

GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
with_gil = pytest.mark.skipif(not GIL, reason="windows are for builds with the GIL")


class Open:
    pass


class Slotted:
    __slots__ = ("a", "b")


class Numbers(list):
    pass


class OwnError(Exception):
    pass


class Linked:
    __slots__ = ("__weakref__", "other")


KINDS = (Open, Slotted, Numbers, OwnError, Linked)


def call(function):
    return function()


def counted(census):
    seconds, born, counts = census.end()
    assert seconds > 0 and born >= sum(gone + stayed for _, gone, stayed in counts)
    return {known(): (gone, stayed) for known, gone, stayed in counts}


def nearly(count, truth):
    """A birth may need the place of one that still lives, or whose type is not written yet: 1 in some 100."""
    return 0.95 * truth <= count <= truth


@with_gil
def test_it_counts_right_on_this_interpreter():
    assert works() and 0 < pair_cost() < 1e-5


@with_gil
def test_every_layout_is_counted_when_it_goes_and_when_it_stays():
    census, kept = Census(), []
    assert census.begin(1 << 40)
    for i in range(2000):
        for kind in KINDS:
            kind()
        if i % 2:
            kept.append(Slotted())
    counts = counted(census)
    for kind in KINDS:
        (gone, stayed), held = counts[kind], len(kept) if kind is Slotted else 0
        assert nearly(gone + stayed, 2000 + held)
        assert held <= stayed + 20 and nearly(gone, 2000)
    assert census.end() is None


@with_gil
def test_threads_are_counted_together():
    census = Census()
    assert census.begin(1 << 40)
    threads = [threading.Thread(target=lambda: [Open() for _ in range(5000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert nearly(sum(counted(census)[Open]), 20_000)


@with_gil
def test_a_window_closes_itself_and_its_blocks_may_go_later():
    census = Census()
    assert census.begin(500)
    kept = [Open() for _ in range(5000)]
    del kept
    gc.collect()
    _, born, _ = census.end()
    assert born == 500


@with_gil
def test_one_window_at_a_time_and_none_is_left_by_its_owners_death():
    first, second = Census(), Census()
    assert first.begin(1) and not second.begin(1 << 40)  # what the first saw has yet to be taken
    first.end()
    assert second.begin(1 << 40) and not first.begin(1 << 40)
    del second
    assert first.begin(1 << 40) and first.begin(1 << 40)
    first.end()
    assert not first.begin(0)


@with_gil
def test_resizing_churn_and_collections_are_survived():
    census = Census()
    assert census.begin(1 << 40)
    kept = []
    for i in range(3000):
        text = "x" * (i % 700)
        kept.append([text] * (i % 50))
        loop = Open()
        loop.me = loop
        if len(kept) > 100:
            kept.clear()
        tuple(x for x in range(i % 30))
    gc.collect()
    assert nearly(sum(counted(census)[Open]), 3000)


@with_gil
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_no_window_and_may_open_one():
    census = Census()
    assert census.begin(1 << 40)
    pid = os.fork()
    if pid == 0:
        good = False
        try:
            own = Census()
            census.end()
            good = own.begin(1 << 40) and sum([1 for _ in range(10) if Open()]) == 10
            good = good and {known(): gone for known, gone, _ in own.end()[2]}[Open] == 10
        finally:
            os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for _ in range(7):
        Open()
    assert counted(census)[Open] == (7, 0)


@with_gil
def test_an_interpreter_may_end_with_a_window_open():
    code = """if True:
        from perfcore._native.census import Census
        census = Census()
        assert census.begin(1 << 40)
        cycle = [census]
        cycle.append(cycle)
    """
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.skipif(GIL, reason="with the GIL there are windows")
def test_without_a_gil_there_are_no_windows():
    assert not works() and not Census().begin(1 << 40) and Census().end() is None
    assert not Stopwatch(lambda: None, Open).watching


# --- stopwatches --------------------------------------------------------------------------------------------


@with_gil
def test_a_stopwatch_times_what_it_was_asked_for_and_nothing_else():
    class Base:
        def __init__(self, value):
            self.value = value

    class Child(Base):
        def __init__(self):
            super().__init__(5)

    watch = Stopwatch(Base.__init__, Base, 10)
    for i in range(30):
        assert [child.value for child in map(call, [Child])] == [5]  # calls the function, but makes a Child
        assert len(watch.times()) == min(i, 10)
        assert [base.value for base in map(Base, [i])] == [i]  # from C: always through the function
    assert watch.watching and all(0 < took < 1 for took in watch.times())
    watch.stop()
    assert not watch.watching and watch.times() == []


@with_gil
def test_places_that_the_interpreter_has_a_shortcut_for_are_timed_too():
    class Hot:
        def __init__(self, value):
            self.value = value

    def make(times):
        for i in range(times):
            assert Hot(i).value == i

    make(2000)
    watch = Stopwatch(Hot.__init__, Hot, 20)
    make(200)
    assert len(watch.times()) >= 10


@with_gil
def test_what_makes_objects_in_new_is_timed_by_its_class():
    class Made:
        def __new__(cls, *args):
            return super().__new__(cls)

    watch = Stopwatch(Made.__new__, Made, 3)
    for _ in range(5):
        Made(1, 2)
    assert len(watch.times()) == 3


@with_gil
def test_a_constructor_that_raises_recurses_or_ends_its_watch_is_called_as_ever():
    watches = []

    class Odd:
        def __init__(self, depth):
            if depth == 0:
                watches.clear()
                raise KeyError(depth)
            Odd(depth - 1)

    watches.append(Stopwatch(Odd.__init__, Odd, 5))
    for _ in range(3):
        with pytest.raises(KeyError):
            Odd(50)
    watch = Stopwatch(Odd.__init__, Odd, 5)
    with pytest.raises(TypeError):
        Odd()
    with pytest.raises(KeyError):
        Odd(3)
    assert watch.times() == []


@with_gil
def test_no_function_and_no_type_is_kept_alive_by_its_stopwatch():
    import weakref

    class Brief:
        def __init__(self):
            pass

    watch = Stopwatch(Brief.__init__, Brief)
    Brief()
    gone = weakref.ref(Brief), weakref.ref(Brief.__init__)
    del Brief
    gc.collect()
    assert gone[0]() is None and gone[1]() is None
    watch.stop()


@with_gil
def test_places_are_limited_and_given_back():
    def functions(n):
        return [eval("lambda self: None") for _ in range(n)]

    for _ in range(3):
        made = functions(40)
        watches = [Stopwatch(function, Open) for function in made]
        assert 8 <= sum(watch.watching for watch in watches) <= 16
        if _ == 1:
            del made  # the functions die before their watches
        del watches
    assert not Stopwatch(len, Open).watching and not Stopwatch(None, Open).watching
