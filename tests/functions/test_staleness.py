"""Fresh, due, stale, over: what callers get at each age of a result."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from functions.waiting import PATIENCE, Clock, Threads, eventually, flights_of

from perfcore import cached
from perfcore.cache.background import Background


class Source:
    """A function, plain or of coroutines, whose results differ, and that can be made to fail or to wait."""

    def __init__(self, kind, **options):
        self.calls, self.error, self.none = 0, None, False
        self.gate = threading.Event()
        self.gate.set()
        self.clock = Clock()
        self.kind = kind
        self.loop = asyncio.new_event_loop() if kind == "coroutine" else None

        def plain(x=0):
            self.calls += 1
            call = self.calls
            assert self.gate.wait(PATIENCE)
            if self.error is not None:
                raise self.error
            return None if self.none else call

        async def coroutine(x=0):
            self.calls += 1
            call = self.calls
            while not self.gate.is_set():
                await asyncio.sleep(0.001)
            if self.error is not None:
                raise self.error
            return None if self.none else call

        self.wrapped = cached(timer=self.clock, **options)(plain if kind == "plain" else coroutine)

    def __call__(self, *args):
        return self.wrapped(*args) if self.loop is None else self.loop.run_until_complete(self._await(args))

    async def _await(self, args):
        return await self.wrapped(*args)

    def settle(self):
        """Let refreshes behind callers end."""
        if self.loop is None:
            eventually(lambda: not flights_of(self.wrapped))
        else:
            self.loop.run_until_complete(self._settle())

    async def _settle(self):
        while flights_of(self.wrapped):
            await asyncio.sleep(0.001)

    def close(self):
        self.gate.set()
        self.settle()
        if self.loop is not None:
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()


@pytest.fixture(params=["plain", "coroutine"])
def make(request):
    made = []

    def build(**options):
        made.append(Source(request.param, **options))
        return made[-1]

    yield build
    for source in made:
        source.close()


def test_a_result_ends_with_its_ttl(make):
    source = make(ttl=timedelta(seconds=10))
    assert source() == source() == 1
    source.clock.pass_(9.9)
    assert source() == 1
    source.clock.pass_(0.2)
    assert source() == 2


def test_a_result_ends_when_it_is_not_used(make):
    source = make(tti=10)
    assert source() == 1
    for _ in range(5):
        source.clock.pass_(9)
        assert source() == 1
    source.clock.pass_(11)
    assert source() == 2


def test_jitter_shortens_the_ttl(make):
    source = make(ttl=100, jitter=0.5, maxsize=None)
    for x in range(200):
        source(x)
    source.clock.pass_(49)
    assert all(source.wrapped.cache_contains(x) for x in range(200))
    source.clock.pass_(26)
    left = sum(source.wrapped.cache_contains(x) for x in range(200))
    assert 50 < left < 150
    source.clock.pass_(26)
    assert not any(source.wrapped.cache_contains(x) for x in range(200))


def test_jitter_shortens_the_freshness_of_what_may_be_stale(make):
    source = make(ttl=100, jitter=0.5, stale_ttl=1000, maxsize=None)
    for x in range(50):
        source(x)
    source.clock.pass_(101)
    source.gate.clear()
    assert [source(x) for x in range(50)] == list(range(1, 51))  # all stale, all served
    assert len(flights_of(source.wrapped)) == 50


def test_a_stale_result_is_served_while_it_is_refreshed_behind(make):
    source = make(ttl=10, stale_ttl=5)
    assert source() == 1
    source.clock.pass_(12)
    source.gate.clear()
    assert source() == source() == 1  # nobody waits, and one refreshes
    source.gate.set()
    source.settle()
    assert source() == 2 and source.calls == 2
    source.clock.pass_(16)
    assert source() == 3  # over: everybody waits


def test_a_use_close_to_the_end_refreshes_behind(make):
    source = make(ttl=10, refresh_ahead=0.2)
    assert source() == 1
    source.clock.pass_(7.5)
    assert source() == 1 and source.calls == 1
    source.clock.pass_(1)
    assert source() == 1
    source.settle()
    assert source.calls == 2 and source() == 2
    source.clock.pass_(7.5)
    assert source() == 2 and source.calls == 2  # fresh from the refresh on


def test_a_refresh_that_fails_leaves_the_stale_result_and_one_line(make, caplog):
    source = make(ttl=10, stale_ttl=50)
    source()
    source.clock.pass_(11)
    source.error = ValueError("secret")
    with caplog.at_level(logging.WARNING, "perfcore"):
        for _ in range(5):
            assert source() == 1
            source.settle()
    eventually(lambda: len(caplog.records) == 1)
    assert "ValueError" in caplog.text and "secret" not in caplog.text
    source.error = None
    source()
    source.settle()
    assert source() == source.calls


@pytest.mark.parametrize(
    "options", [{"stale_on_error": True}, {"stale_on_error": 100}, {"stale_on_error": timedelta(seconds=100)}]
)
def test_a_stale_result_is_served_when_computing_it_anew_fails(make, options):
    source = make(ttl=10, **options)
    assert source() == 1
    source.clock.pass_(50)
    source.error = ValueError()
    assert source() == source() == 1 and source.calls == 3
    source.error = None
    assert source() == 4
    source.error = ValueError()
    source.clock.pass_(1000)
    if options["stale_on_error"] is True:
        assert source() == 4  # as long as it is kept
    else:
        with pytest.raises(ValueError):
            source()


def test_without_a_stale_result_an_error_is_an_error(make):
    source = make(ttl=10, stale_on_error=True, stale_ttl=5)
    source.error = ValueError()
    with pytest.raises(ValueError):
        source()
    source.error = None
    assert source() == 2


def test_a_caller_with_a_stale_result_waits_for_soft_timeout(make):
    source = make(ttl=10, stale_ttl=100, soft_timeout=0.05)
    assert source() == 1
    source.clock.pass_(11)
    assert source() == 2  # in time
    source.clock.pass_(11)
    source.gate.clear()
    assert source() == 2  # too late, but it goes on
    source.gate.set()
    source.settle()
    assert source() == 3 and source.calls == 3


def test_a_caller_with_a_stale_result_gets_the_error_unless_it_is_to_be_excused(make):
    source = make(ttl=10, stale_ttl=100, soft_timeout=5)
    source()
    source.clock.pass_(11)
    source.error = ValueError()
    with pytest.raises(ValueError):
        source()
    excused = make(ttl=10, stale_ttl=100, soft_timeout=5, stale_on_error=True)
    excused()
    excused.clock.pass_(11)
    excused.error = ValueError()
    assert excused() == 1


def test_a_caller_waits_for_hard_timeout_at_most(make):
    source = make(hard_timeout=0.05)
    source.gate.clear()
    with pytest.raises(TimeoutError, match=r"hard_timeout of 0\.05 s"):
        source()
    source.gate.set()
    if source.kind == "plain":  # the call went on in the pool
        eventually(lambda: source.wrapped.cache_contains())
        assert source() == 1
    else:  # it was cancelled with the last who waited
        assert source() == 2


def test_a_stale_result_excuses_a_call_that_takes_too_long(make):
    source = make(ttl=10, stale_on_error=True, hard_timeout=0.05)
    assert source() == 1
    source.clock.pass_(11)
    source.gate.clear()
    assert source() == 1


def test_none_and_named_exceptions_have_a_ttl_of_their_own(make):
    source = make(ttl=100, negative_ttl=10, cache_exceptions=KeyError)
    source.none = True
    assert source() is None and source() is None and source.calls == 1
    source.clock.pass_(11)
    source.none, source.error = False, KeyError("x")
    for _ in range(3):
        with pytest.raises(KeyError):
            source()
    assert source.calls == 2
    source.clock.pass_(11)
    source.error = ValueError()
    for _ in range(2):
        with pytest.raises(ValueError):
            source()
    source.error = None
    assert source() == 5
    source.clock.pass_(50)
    assert source() == 5


def test_each_exception_can_have_its_own_ttl(make):
    source = make(negative_ttl={None: 5, KeyError: 10}, cache_exceptions={ValueError: 20})
    for error, ttl in ((KeyError(), 10), (ValueError(), 20)):
        source.error = error
        before = source.calls
        for wait in (0, ttl - 1, 2):
            source.clock.pass_(wait)
            with pytest.raises(type(error)):
                source()
        assert source.calls == before + 2
        source.wrapped.cache_clear()


@pytest.mark.parametrize("more", [{"stale_ttl": 50}, {"refresh_ahead": 5}, {"stale_on_error": True}])
def test_negative_results_end_by_their_own_ttl_whatever_else_is_asked_for(make, more):
    source = make(ttl=100, negative_ttl=10, cache_exceptions=KeyError, **more)
    source.error = KeyError()
    for wait, calls in ((0, 1), (9, 1), (2, 2)):
        source.clock.pass_(wait)
        with pytest.raises(KeyError):
            source()
        source.settle()
        assert source.calls == calls


def test_none_is_refreshed_ahead_in_the_same_share_of_its_own_ttl(make):
    source = make(ttl=100, refresh_ahead=20, negative_ttl=10)
    source.none = True
    for wait, calls in ((0, 1), (7, 1), (2, 2), (7, 2), (2, 3)):  # due in the last 2 of 10 seconds
        source.clock.pass_(wait)
        assert source() is None
        source.settle()
        assert source.calls == calls


def test_a_stale_result_is_not_replaced_by_an_error(make):
    source = make(ttl=10, stale_on_error=True, cache_exceptions=KeyError)
    assert source() == 1
    source.clock.pass_(11)
    source.error = KeyError()
    assert source() == source() == 1


def test_tags_end_stale_results_too(make):
    source = make(ttl=10, stale_ttl=100, tags="t")
    assert source() == 1
    source.wrapped.invalidate_tags("t")
    assert source() == 2
    source.clock.pass_(11)
    source.wrapped.invalidate_tags("t")
    assert source() == 3


# --- the pool ------------------------------------------------------------------------------------


def test_a_pool_has_a_bound_and_says_when_it_is_full():
    gate, started = threading.Event(), []
    pool = Background(workers=2, queue=3)

    def call():
        started.append(1)
        gate.wait(PATIENCE)

    assert [pool.submit(call) for _ in range(2)] == [True, True]
    eventually(lambda: len(started) == 2)
    assert [pool.submit(call) for _ in range(4)] == [True, True, True, False]
    gate.set()
    eventually(lambda: len(started) == 5)


def test_a_call_that_fails_ends_no_thread(caplog):
    pool, done = Background(workers=1), threading.Event()
    pool.submit(lambda: 1 / 0)
    pool.submit(done.set)
    assert done.wait(PATIENCE)
    assert "ZeroDivisionError" in caplog.text


def test_threads_go_away_when_there_is_nothing_to_do():
    pool, done = Background(workers=1, idle=0.01), threading.Event()
    pool.submit(done.set)
    assert done.wait(PATIENCE)
    eventually(lambda: pool._threads == 0)
    done.clear()
    pool.submit(done.set)
    assert done.wait(PATIENCE)


def test_the_pool_does_not_keep_the_interpreter_alive():
    script = (
        "import time, perfcore\n"
        "f = perfcore.cached(hard_timeout=0.01)(lambda: time.sleep(600))\n"
        "try: f()\nexcept TimeoutError: print('late')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr, done.returncode) == ("late\n", "", 0)


def test_the_pool_works_in_a_forked_child():
    source = Source("plain", ttl=10, stale_ttl=100)
    source()
    source.clock.pass_(11)
    source()
    source.settle()
    child = os.fork()
    if child == 0:
        source.clock.pass_(11)
        assert source() == 2
        source.settle()
        os._exit(0 if source() == 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_calls_of_the_pool_that_wait_for_each_other_do_not_starve():
    @cached(hard_timeout=PATIENCE)
    def outer(x):
        return inner(x)

    @cached(hard_timeout=PATIENCE)
    def inner(x):
        return x

    assert sorted(Threads(*[lambda i=i: outer(i) for i in range(100)]).join()) == list(range(100))


def test_a_caller_does_not_wait_for_a_thread_of_a_busy_pool():
    gate = threading.Event()
    blocker = cached(hard_timeout=0.01)(lambda x: gate.wait(PATIENCE))
    for x in range(16):
        with pytest.raises(TimeoutError):
            blocker(x)
    source = Source("plain", ttl=10, stale_ttl=10)
    source()
    source.clock.pass_(11)
    assert source() == 1  # a refresh waits for a thread
    source.clock.pass_(11)
    assert source() == 2  # over: this caller computes it itself
    gate.set()
    source.settle()
