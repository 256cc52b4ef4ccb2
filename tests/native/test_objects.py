"""Object pools: who gets which object when, and what becomes of objects when somebody's code fails."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest
from effort import effort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from perfcore._native.objects import Lease
from perfcore.memory import ObjectPool


class Thing:
    made = 0

    def __init__(self):
        Thing.made += 1
        self.number = Thing.made
        self.clean = True


@pytest.fixture(autouse=True)
def _count_anew():
    Thing.made = 0


def raises(error):
    def fail(*args):
        raise error

    return fail


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# --- lending ------------------------------------------------------------------------------------------------


def test_what_comes_back_is_lent_again():
    pool = ObjectPool(Thing)
    with pool.acquire() as first:
        assert pool.stats().in_use == 1
    with pool.acquire() as second:
        assert second is first
    lease = pool.acquire()
    assert lease.value is first
    pool.release(lease)
    assert pool.stats()[:4] == (3, 3, 2, 1)
    pool._check()


def test_the_warmest_is_lent_first():
    pool = ObjectPool(Thing)
    leases = [pool.acquire() for _ in range(3)]
    for lease in leases:
        lease.release()
    assert pool.acquire().value.number == 3


def test_the_least_is_made_at_once():
    pool = ObjectPool(Thing, min=3, max=5)
    assert Thing.made == 3 and pool.stats().idle == 3
    pool._check()


def test_what_is_made_ahead_is_no_acquisition():
    pool = ObjectPool(Thing, min=3, max=5)
    assert (pool.stats().acquired, pool.stats().hit_ratio) == (0, 0)
    leases = [pool.acquire() for _ in range(4)]
    stats = pool.stats()
    assert (stats.acquired, stats.reused, stats.made, stats.hit_ratio) == (4, 3, 4, 0.75)
    assert len(leases) == stats.in_use
    pool._check()


def test_filling_makes_what_is_missing():
    pool = ObjectPool(Thing, min=3, max=5)
    assert pool.shrink(2) == 1
    assert (pool.fill(), pool.fill()) == (1, 0)
    assert (Thing.made, pool.stats().idle, pool.stats().acquired) == (4, 3, 0)
    pool._check()


def test_what_was_made_ahead_before_the_factory_failed_is_kept():
    things = iter([Thing() for _ in range(4)])
    pool = ObjectPool(lambda: next(things), min=3, max=5)
    assert pool.shrink(0) == 3
    with pytest.raises(StopIteration):
        pool.fill()
    stats = pool.stats()
    assert (stats.idle, stats.in_use, stats.leaked, stats.made) == (1, 0, 0, 4)
    pool._check()


def test_reset_runs_as_an_object_comes_back():
    pool = ObjectPool(list, list.clear)
    with pool.acquire() as items:
        items.append(1)
    assert items == []


def test_an_object_that_fails_its_validation_is_replaced():
    gone = []
    pool = ObjectPool(Thing, validate=lambda thing: thing.clean, destroy=gone.append, max=1)
    with pool.acquire() as thing:
        thing.clean = False
    with pool.acquire() as other:
        assert other is not thing and gone == [thing]
    assert pool.stats().refused == 1
    pool._check()


def test_an_old_object_is_replaced():
    gone = []
    pool = ObjectPool(Thing, max_age=0.02, destroy=gone.append)
    pool.acquire().release()
    time.sleep(0.03)
    lease = pool.acquire()
    assert lease.value.number == 2 and pool.stats().expired == 1
    time.sleep(0.03)
    lease.release()
    assert pool.stats().idle == 0 and len(gone) == 2
    pool._check()


def test_a_broken_object_is_given_up_by_its_holder():
    gone = []
    pool = ObjectPool(Thing, destroy=gone.append)
    lease = pool.acquire()
    thing = lease.value
    lease.discard()
    assert gone == [thing] and pool.stats().in_use == pool.stats().idle == 0
    with pytest.raises(RuntimeError):
        lease.discard()


def test_shrinking_takes_the_coldest():
    gone = []
    pool = ObjectPool(Thing, min=1, max=5, destroy=gone.append)
    leases = [pool.acquire() for _ in range(4)]
    for lease in leases:
        lease.release()
    assert pool.shrink() == 3 and [thing.number for thing in gone] == [1, 2, 3]
    assert pool.shrink(0) == 1 and pool.stats().idle == 0
    assert pool.fill() == 1
    pool._check()


# --- leases -------------------------------------------------------------------------------------------------


def test_a_lease_is_released_once():
    pool = ObjectPool(Thing)
    lease = pool.acquire()
    lease.release()
    for use in (Lease.release, lambda lease: lease.value, Lease.__enter__, pool.release):
        with pytest.raises(RuntimeError, match="was released"):
            use(lease)
    assert pool.stats().idle == 1


def test_a_lease_may_be_released_inside_its_block_and_by_another_thread():
    pool = ObjectPool(Thing)
    with (lease := pool.acquire()):
        lease.release()
    lease = pool.acquire()
    thread = threading.Thread(target=lease.release)
    thread.start()
    thread.join()
    assert lease.released and pool.stats().idle == 1


def test_leases_belong_to_their_pool():
    with pytest.raises(ValueError, match="another pool"):
        ObjectPool(Thing).release(ObjectPool(Thing).acquire())
    with pytest.raises(TypeError):
        Lease()
    with pytest.raises(TypeError):
        ObjectPool(Thing).release(Thing())


def test_a_lease_that_dies_is_a_leak_and_its_room_is_free(caplog):
    pool = ObjectPool(Thing, max=1, leak_sampling=1)
    thing = pool.acquire().value  # the lease dies, the object does not
    assert pool.stats().leaked == 1
    with pool.acquire(timeout=0) as other:
        assert other is not thing
    assert "test_objects.py" in next(iter(pool.leaks()))
    assert "never released" in caplog.text
    pool._check()


def test_a_leak_is_told_with_the_lines_of_those_who_called():
    pool = ObjectPool(Thing, leak_sampling=1)

    def inner():
        return pool.acquire()

    def outer():
        return inner()

    outer()
    (site,) = pool.leaks()
    first, middle, last = site.split(" < ")[:3]
    lines = [function.__code__.co_firstlineno + 1 for function in (inner, outer)]
    assert first == f"{__file__}:{lines[0]} in inner" and middle == f"{__file__}:{lines[1]} in outer"
    assert last.endswith("in test_a_leak_is_told_with_the_lines_of_those_who_called")


def test_a_leak_on_a_short_stack_names_those_there_are():
    script = """
from perfcore.memory import ObjectPool
pool = ObjectPool(list, leak_sampling=1)
def careless(): pool.acquire()
careless()
print(*pool.leaks())
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "<string>:4 in careless < <string>:5 in <module>\n" in result.stdout


def test_a_leaked_lease_makes_room_for_who_waits():
    pool = ObjectPool(Thing, max=1)
    held, got = [pool.acquire()], []
    thread = threading.Thread(target=lambda: got.append(pool.acquire(timeout=20)))
    thread.start()
    wait_until(lambda: pool.stats().waiting)
    held.clear()
    thread.join()
    assert got[0].value.number == 2
    pool._check()


# --- waiting ------------------------------------------------------------------------------------------------


def test_who_waits_in_vain_gets_a_timeout():
    pool = ObjectPool(Thing, max=1)
    lease = pool.acquire()
    for timeout in (0, 0.01):
        with pytest.raises(TimeoutError, match="all 1 objects"):
            pool.acquire(timeout)
    assert pool.try_acquire() is None
    assert pool.stats().timeouts == 2 and pool.stats().waiting == 0
    lease.release()
    pool.acquire(0).release()
    pool._check()


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "soon", True])
def test_a_timeout_that_makes_no_sense_is_refused(timeout):
    with pytest.raises((ValueError, TypeError), match="timeout"):
        ObjectPool(Thing).acquire(timeout)


def test_those_who_wait_are_served_in_order():
    pool, served = ObjectPool(Thing, max=1), []
    lease = pool.acquire()

    def work(number):
        with pool.acquire(timeout=20):
            served.append(number)

    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        wait_until(lambda number=number: pool.stats().waiting == number + 1)
    lease.release()
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3] and Thing.made == 1
    pool._check()


def test_with_overflow_nobody_waits_and_the_surplus_is_not_kept():
    pool = ObjectPool(Thing, max=2, overflow=True)
    leases = [pool.acquire(0) for _ in range(5)]
    for lease in leases:
        lease.release()
    assert pool.stats().idle == 2 and pool.stats().discarded == 3
    pool._check()


def test_threads_never_share_an_object():
    pool, errors, busy = ObjectPool(Thing, max=3, validate=lambda thing: thing.number % 7), [], set()

    def work():
        try:
            for i in range(effort(300)):
                with pool.acquire(timeout=20) as thing:
                    assert thing not in busy
                    busy.add(thing)
                    if i % 50 == 0:
                        time.sleep(0)
                    busy.remove(thing)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and pool.stats().in_use == 0
    pool._check()


# --- other people's code ------------------------------------------------------------------------------------


def test_a_factory_that_fails_costs_no_room():
    pool = ObjectPool(raises(ZeroDivisionError), max=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            pool.acquire(0)
    assert pool.stats().in_use == 0
    pool._check()


def test_a_factory_that_returns_none_is_a_type_error():
    with pytest.raises(TypeError, match="factory must return an object"):
        ObjectPool(lambda: None).acquire()
    with pytest.raises(TypeError):
        ObjectPool(lambda: None, min=1)


def test_after_a_failed_factory_the_next_may_try():
    pool = ObjectPool(Thing, max=1)
    held, results = pool.acquire(), []

    def work():
        try:
            results.append(flaky.acquire(timeout=20))
        except ZeroDivisionError as error:
            results.append(error)

    attempts = iter([Thing, raises(ZeroDivisionError), Thing])
    flaky = ObjectPool(lambda: next(attempts)(), max=1)
    held = flaky.acquire()
    threads = [threading.Thread(target=work) for _ in range(2)]
    for number, thread in enumerate(threads):
        thread.start()
        wait_until(lambda number=number: flaky.stats().waiting == number + 1)
    held.discard()
    for thread in threads:
        thread.join()
    assert {type(result) for result in results} == {ZeroDivisionError, Lease}
    flaky._check()


def test_a_reset_that_fails_gives_the_object_up_and_tells_who_releases():
    gone = []
    pool = ObjectPool(Thing, raises(ZeroDivisionError), destroy=gone.append, max=1)
    lease = pool.acquire()
    with pytest.raises(ZeroDivisionError):
        lease.release()
    assert lease.released and len(gone) == 1 and pool.stats().in_use == 0
    pool.acquire(0)


def test_a_reset_that_fails_does_not_hide_the_exception_of_the_block(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))
    pool = ObjectPool(Thing, raises(ZeroDivisionError))
    with pytest.raises(KeyError), pool.acquire():
        raise KeyError
    assert seen == [ZeroDivisionError] and pool.stats().in_use == 0
    with pytest.raises(ZeroDivisionError), pool.acquire():
        pass


def test_a_validation_that_fails_gives_the_object_up():
    pool = ObjectPool(Thing, validate=raises(ZeroDivisionError), max=1)
    pool.acquire().release()
    with pytest.raises(ZeroDivisionError):
        pool.acquire()
    assert pool.stats().in_use == pool.stats().idle == 0
    pool.acquire(0)
    pool._check()


def test_a_destroy_that_fails_is_nobodys_problem(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))
    pool = ObjectPool(Thing, destroy=raises(ZeroDivisionError))
    pool.acquire().discard()
    assert seen == [ZeroDivisionError]


def test_other_peoples_code_may_use_the_pool():
    def reset(thing):
        if pool.stats().in_use < 3:
            pool.acquire(0).release()

    pool = ObjectPool(Thing, reset, max=5, validate=lambda thing: pool.try_acquire() is not None)
    for _ in range(5):
        pool.acquire(0).release()
    pool._check()


def test_a_collection_may_happen_at_any_moment():
    pool = ObjectPool(Thing, max=500)

    class Loop:
        def __init__(self):
            self.me, self.lease = self, pool.acquire(0)

        def __del__(self):
            pool.acquire(0).release()

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            Loop()
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert pool.stats().leaked == 200 and pool.stats().in_use == 0
    pool._check()


def test_cycles_through_a_pool_are_collected():
    def build():
        pool = ObjectPool(Thing)
        lease = pool.acquire()
        lease.value.pool = pool
        lease.release()
        held = pool.acquire()
        held.value.lease = held
        held.value.pool = pool
        idle = pool.acquire()
        idle.value.pool = pool
        idle.release()
        return weakref.ref(pool)

    pool = build()
    gc.collect()
    assert pool() is None


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"factory": 3}, "factory"),
        ({"reset": 3}, "reset"),
        ({"min": -1}, "min"),
        ({"min": 5, "max": 3}, "min"),
        ({"max": 0}, "max"),
        ({"max": -1}, "max"),
        ({"max": 1.5}, "max"),
        ({"validate": 3}, "validate"),
        ({"destroy": 3}, "destroy"),
        ({"max_age": 0}, "max_age"),
        ({"max_age": float("nan")}, "max_age"),
        ({"leak_sampling": -1}, "leak_sampling"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(options, word):
    with pytest.raises((ValueError, TypeError), match=word):
        ObjectPool(**{"factory": Thing, **options})


# --- coroutines ---------------------------------------------------------------------------------------------


async def test_coroutines_wait_in_the_same_queue():
    pool = ObjectPool(Thing, max=1)
    lease = pool.acquire()
    task = asyncio.create_task(_use(pool))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pool.stats().waiting == 1
    threading.Thread(target=lease.release).start()
    assert await task == 1
    assert (await pool.aacquire()).value.number == 1
    pool._check()


async def _use(pool, timeout=None):
    async with pool.aacquire(timeout) as thing:
        return thing.number


async def test_a_coroutine_waits_in_vain():
    pool = ObjectPool(Thing, max=1)
    with pool.acquire():
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutError, match="all 1 objects"):
                await pool.aacquire(timeout)
    assert pool.stats().waiting == 0
    pool._check()


async def test_a_cancelled_task_keeps_nothing():
    pool = ObjectPool(Thing, max=1)
    lease = pool.acquire()
    waiting = asyncio.create_task(_use(pool))
    served = asyncio.create_task(_use(pool))
    await asyncio.sleep(0.001)
    waiting.cancel()
    await asyncio.sleep(0)
    assert pool.stats().waiting == 1
    lease.release()
    served.cancel()  # it was served already, and has not run since
    await asyncio.gather(waiting, served, return_exceptions=True)
    assert pool.stats().in_use == 0 and pool.stats().idle == 1
    pool._check()


def test_who_waited_in_a_loop_that_was_closed_is_passed_over():
    pool = ObjectPool(Thing, max=1)
    lease = pool.acquire()
    loop = asyncio.new_event_loop()
    waiter = pool.enroll(lambda: loop.call_soon_threadsafe(print))
    loop.close()
    lease.release()
    assert not waiter.granted and pool.stats().idle == 1
    pool.acquire(0).release()
    pool._check()


def test_a_waiter_who_dies_passes_on_what_he_was_granted():
    pool = ObjectPool(Thing, max=1)
    lease = pool.acquire()
    waiter = pool.enroll(lambda: None)
    lease.release()
    assert waiter.granted
    del waiter
    assert pool.stats().idle == 1
    pool._check()


# --- processes ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_starts_with_an_empty_pool():
    code = """
import os, threading
from perfcore.memory import ObjectPool
made, gone = [], []
pool = ObjectPool(lambda: made.append(os.getpid()) or [os.getpid()], max=2, destroy=gone.append)
held = pool.acquire()
pool.acquire().release()
thread = threading.Thread(target=lambda: (pool.acquire(), pool.acquire(timeout=30)), daemon=True)
thread.start()
while not pool.stats().waiting:
    pass
child = os.fork()
if child == 0:
    held.release()
    assert pool.stats().idle == 0 and pool.stats().waiting == 0
    with pool.acquire(timeout=0) as mine, pool.acquire(timeout=0):
        assert mine == [os.getpid()]
    pool._check()
    os._exit(len(gone))
status = os.waitpid(child, 0)[1]
held.release()
thread.join()
raise SystemExit(status)
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True, timeout=60)


def test_an_interpreter_may_end_with_objects_out():
    code = """
import sys, threading
from perfcore.memory import ObjectPool
pool = ObjectPool(list, list.clear, max=1, leak_sampling=1, destroy=print)
sys.held = pool.acquire()
threading.Thread(target=pool.acquire, daemon=True).start()
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)
    assert done.stderr == b"" and done.stdout == b""


class PoolMachine(RuleBasedStateMachine):
    @initialize(least=st.integers(0, 2), most=st.integers(2, 4), overflow=st.booleans())
    def build(self, least, most, overflow):
        self.fail = False
        self.gone, self.held, self.bad = [], [], set()
        self.pool = ObjectPool(
            self.make,
            self.reset,
            least,
            most,
            validate=lambda thing: thing not in self.bad,
            destroy=self.gone.append,
            overflow=overflow,
            leak_sampling=0,
        )
        self.most, self.overflow = most, overflow

    def make(self):
        if self.fail:
            raise ZeroDivisionError
        return Thing()

    def reset(self, thing):
        if self.fail:
            raise ZeroDivisionError

    @rule(value=st.booleans())
    def break_things(self, value):
        self.fail = value

    @rule()
    def acquire(self):
        try:
            lease = self.pool.acquire(timeout=0)
        except TimeoutError:
            assert len(self.held) == self.most and not self.overflow
        except ZeroDivisionError:
            assert self.fail
        else:
            assert lease.value not in self.bad and lease.value not in self.gone
            assert all(lease.value is not other.value for other in self.held)
            self.held.append(lease)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), discard=st.booleans(), bad=st.booleans())
    def release(self, data, discard, bad):
        lease = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        thing = lease.value
        if bad:
            self.bad.add(thing)
        try:
            lease.discard() if discard else lease.release()
        except ZeroDivisionError:
            assert self.fail and not discard
        assert lease.released
        assert (thing in self.gone) or not (self.fail or discard)

    @precondition(lambda self: self.held)
    @rule()
    def forget(self):
        self.held.pop()

    @rule(keep=st.integers(0, 4))
    def shrink(self, keep):
        self.pool.shrink(keep)
        assert self.pool.stats().idle <= keep

    @invariant()
    def agree(self):
        if hasattr(self, "pool"):
            self.pool._check()
            assert self.pool.stats().in_use == len(self.held)


def test_a_pool_behaves_as_the_model():
    PoolMachine.TestCase.settings = settings(max_examples=effort(60), stateful_step_count=40, deadline=None)
    PoolMachine.TestCase("runTest").runTest()


def test_a_released_lease_that_somebody_still_has_is_not_lent_again():
    pool = ObjectPool(list, max=10)
    kept = []
    for _ in range(20):
        lease = pool.acquire()
        assert all(lease is not old for old in kept)
        lease.release()
        kept.append(lease)
    out = [pool.acquire() for _ in range(10)]
    assert all(old.released for old in kept)
    for old in kept:
        for call in (old.release, old.discard, old.__enter__, lambda old=old: pool.release(old)):
            with pytest.raises(RuntimeError, match="was released"):
                call()
    assert len({id(lease.value) for lease in out}) == 10
    pool._check()


def test_a_lease_may_be_the_last_that_knows_its_pool():
    class Thing:
        pass

    things = []

    def make():
        thing = Thing()
        things.append(weakref.ref(thing))
        return thing

    for end in ("release", "discard", "__exit__", "die"):
        lease = ObjectPool(make).acquire()
        if end == "__exit__":
            with lease:
                pass
        elif end != "die":
            getattr(lease, end)()
        del lease
    gc.collect()
    assert [ref() for ref in things] == [None] * 4
