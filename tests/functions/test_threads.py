"""Of all threads that want one result at once, one computes it; whatever becomes of it, nobody hangs."""

import asyncio
import contextvars
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from effort import effort
from functions.waiting import PATIENCE, Threads, eventually, flights_of
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore import cached


def test_a_stampede_of_a_thousand_threads_is_one_call():
    calls, gate = [], threading.Event()

    @cached(ttl=60)
    def function(x):
        calls.append(x)
        gate.wait(PATIENCE)
        return object()

    threads = Threads(*[lambda: function(1)] * 1000)
    eventually(lambda: function.cache_info().misses + function.cache_info().hits == 1000)
    gate.set()
    results = threads.join()
    assert len(set(map(id, results))) == 1
    assert len(calls) == 1
    assert function.cache_info() == (999, 1, 128, 1)


def test_without_single_flight_everybody_computes():
    barrier = threading.Barrier(4, timeout=PATIENCE)
    function = cached(single_flight=False)(lambda: barrier.wait() * 0)
    assert Threads(*[function] * 4).join() == [0] * 4
    assert function.cache_info() == (0, 4, 128, 1)


def test_other_keys_do_not_wait():
    gate = threading.Event()
    function = cached(lambda x: gate.wait(PATIENCE) if x else x)
    slow = Threads(lambda: function(1))
    assert function(0) == 0
    gate.set()
    assert slow.join() == [True]


def test_an_exception_reaches_every_thread_and_the_next_call_tries_again():
    calls, gate = [], threading.Event()

    @cached
    def function():
        calls.append(1)
        gate.wait(PATIENCE)
        raise ValueError(len(calls))

    threads = Threads(*[function] * 20)
    eventually(lambda: function.cache_info().misses + function.cache_info().hits == 20)
    gate.set()
    results = threads.join()
    assert all(isinstance(result, ValueError) and result.args == (1,) for result in results)
    with pytest.raises(ValueError, match="2"):
        function()
    assert function.cache_info().currsize == 0


def test_an_interrupt_is_the_leaders_own_and_another_thread_takes_over():
    calls, gate = [], threading.Event()

    @cached
    def function():
        calls.append(1)
        if len(calls) == 1:
            gate.wait(PATIENCE)
            raise KeyboardInterrupt
        return "done"

    threads = Threads(*[function] * 10)
    eventually(lambda: function.cache_info().misses == 10)
    gate.set()
    results = threads.join()
    assert sorted(map(repr, results)) == ["'done'"] * 9 + ["KeyboardInterrupt()"]
    assert len(calls) == 2


# --- waiting for oneself ----------------------------------------------------------------------


def test_recursion_on_the_same_key_is_computed():
    depth = []

    @cached
    def function(x):
        depth.append(x)
        return len(depth) if len(depth) == 3 else function(x)

    assert function(1) == 3
    assert function(1) == 3 and len(depth) == 3


def test_recursion_on_other_keys_is_cached():
    @cached(maxsize=None)
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(90) == 2880067194370816120
    assert fibonacci.cache_info().misses == 91


def test_recursion_in_a_fresh_context_of_the_same_thread():
    depth = []

    @cached
    def function():
        depth.append(1)
        return 1 if len(depth) == 2 else contextvars.Context().run(function)

    assert Threads(function).join() == [1]


def test_recursion_through_a_thread_that_carries_the_context():
    depth = []

    @cached
    def function():
        depth.append(1)
        if len(depth) == 2:
            return 1
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(contextvars.copy_context().run, function).result(PATIENCE)

    assert Threads(function).join() == [1]


def test_recursion_through_a_thread_without_the_context_ends_with_the_timeout():
    @cached(hard_timeout=0.2)
    def function():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(contextvars.Context().run, function).result(PATIENCE)

    with pytest.raises(TimeoutError, match="hard_timeout"):
        function()
    eventually(lambda: not flights_of(function))


def test_recursion_through_an_event_loop():
    depth = []

    @cached
    def function():
        depth.append(1)
        return 1 if len(depth) == 2 else asyncio.run(call())

    async def call():
        return await asyncio.to_thread(function)

    assert Threads(function).join() == [1]


@pytest.mark.parametrize("length", [2, 3, 7])
def test_a_ring_of_threads_that_wait_for_each_other_is_found(length):
    barrier = threading.Barrier(length, timeout=PATIENCE)
    entered = threading.local()

    @cached
    def function(x):
        if hasattr(entered, "first"):  # nobody waits for us: it is we who compute this one, too
            return entered.first * 100 + x
        entered.first = x
        barrier.wait()
        return function((x + 1) % length)

    results = Threads(*[lambda i=i: function(i) for i in range(length)]).join()
    assert all(isinstance(result, int) for result in results)
    assert function.cache_info().currsize == length


def test_two_functions_that_want_each_others_result():
    barrier = threading.Barrier(2, timeout=PATIENCE)

    @cached
    def one(inner):
        if not inner:
            return "one"
        barrier.wait()
        return "one+" + other(False)

    @cached
    def other(inner):
        if not inner:
            return "other"
        barrier.wait()
        return "other+" + one(False)

    assert Threads(lambda: one(True), lambda: other(True)).join() == ["one+other", "other+one"]


# --- invalidation ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "outdate",
    [
        lambda function: function.cache_invalidate(1),
        lambda function: function.cache_clear(),
        lambda function: function.invalidate_tags("t"),
        lambda function: function.cache.invalidate_tags("t"),
        lambda function: function.refresh(1),
    ],
    ids=["cache_invalidate", "cache_clear", "invalidate_tags", "tags of the cache", "refresh"],
)
def test_what_was_outdated_while_it_was_computed_is_not_stored(outdate):
    results, started, gate = iter(["old", "new", "newer"]), threading.Event(), threading.Event()

    @cached(tags="t")
    def function(x):
        result = next(results)
        if result == "old":
            started.set()
            gate.wait(PATIENCE)
        return result

    threads = Threads(lambda: function(1))
    assert started.wait(PATIENCE)
    outdate(function)
    fresh = function(1)  # does not wait for what is out of date
    gate.set()
    assert threads.join() == ["old"]
    assert function(1) == fresh == "new"


def test_other_tags_do_not_matter():
    started, gate = threading.Event(), threading.Event()

    @cached(tags=lambda x: [x])
    def function(x):
        started.set()
        return gate.wait(PATIENCE)

    threads = Threads(lambda: function("a"))
    assert started.wait(PATIENCE)
    function.invalidate_tags("b")
    gate.set()
    threads.join()
    assert function.cache_contains("a")


# --- everything at once ----------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(1, 3))
@settings(max_examples=effort(30))
def test_whatever_happens_everybody_gets_an_answer_that_was_computed(seed, threads, keys):
    """Threads call, invalidate, refresh and clear; the function returns, raises and recurses."""
    random, verbs = Random(seed), ["call"] * 5 + ["invalidate", "refresh", "clear"]
    plans = [[(random.choice(verbs), random.randrange(keys)) for _ in range(12)] for _ in range(threads)]
    coin = random.random
    made = set()
    lock = threading.Lock()

    @cached(maxsize=2, cache_exceptions=random.choice([(), KeyError]))
    def function(key, depth=0):
        if coin() < 0.3:
            time.sleep(0)
        if coin() < 0.1:
            raise random.choice([KeyError, ValueError])(key)
        if coin() < 0.3 and depth < 3:
            function(random.randrange(keys), depth + 1)
        with lock:
            value = (key, len(made))
            made.add(value)
        return value

    def run(plan):
        for verb, key in plan:
            try:
                if verb == "invalidate":
                    function.cache_invalidate(key)
                elif verb == "clear":
                    function.cache_clear()
                else:
                    value = function(key) if verb == "call" else function.refresh(key)
                    assert value in made and value[0] == key
            except (KeyError, ValueError) as error:
                assert len(error.args) == 1

    assert Threads(*[lambda plan=plan: run(plan) for plan in plans]).join() == [None] * threads
    assert not function.cache_parameters()["typed"]
    function.cache._check()


def test_a_forked_child_computes_for_itself():
    started, gate = threading.Event(), threading.Event()

    @cached
    def function(x):
        started.set()
        gate.wait(PATIENCE)
        return os.getpid()

    threads = Threads(lambda: function(1))
    assert started.wait(PATIENCE)
    child = os.fork()
    if child == 0:
        gate.set()
        os._exit(0 if function(1) == os.getpid() else 1)
    gate.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert threads.join() == [os.getpid()]


def test_a_function_that_forks_lands_in_both_processes():
    @cached
    def function():
        return os.fork()

    child = function()
    if child == 0:
        os._exit(0 if function() == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert function() == child
