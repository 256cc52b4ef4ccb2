"""Of all tasks that want one result, one call computes it, whoever is cancelled and whatever loop ends."""

import asyncio
import contextvars
import gc
import inspect
import random
import threading

import pytest
from effort import effort
from functions.waiting import PATIENCE, Threads, flights_of
from hypothesis import given, settings
from hypothesis import strategies as st

import perfcore.cache.task_flights as module
from perfcore import cached
from perfcore.compat.async_lru import alru_cache


class Slow:
    """A coroutine function that waits to be let go, and counts how its calls ended."""

    def __init__(self, **options):
        self.calls = self.cancelled = 0
        self.gate = asyncio.Event()
        self.wrapped = cached(**options)(self.run)

    async def run(self, x=0):
        self.calls += 1
        call = self.calls
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return call


async def begun(*coroutines):
    """Return tasks of these that have all begun to wait."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_a_stampede_of_ten_thousand_tasks_is_one_call():
    slow = Slow(ttl=60)
    tasks = await begun(*(slow.wrapped(1) for _ in range(10_000)))
    slow.gate.set()
    assert set(await asyncio.gather(*tasks)) == {1}
    assert slow.calls == 1
    assert slow.wrapped.cache_info() == (9999, 1, 128, 1)


async def test_a_hit_suspends_nobody_and_is_a_coroutine():
    slow = Slow()
    slow.gate.set()
    assert await slow.wrapped() == 1
    hit = slow.wrapped()
    assert inspect.isawaitable(hit) and asyncio.iscoroutine(hit)
    with pytest.raises(StopIteration) as stop:
        hit.send(None)
    assert stop.value.value == 1
    assert await asyncio.gather(slow.wrapped(), asyncio.create_task(slow.wrapped())) == [1, 1]
    assert asyncio.iscoroutinefunction(slow.wrapped)


async def test_an_exception_reaches_every_task_and_the_next_call_tries_again():
    calls = []

    @cached
    async def function():
        calls.append(1)
        await asyncio.sleep(0)
        raise ValueError(len(calls))

    results = await asyncio.gather(*(function() for _ in range(100)), return_exceptions=True)
    assert all(isinstance(result, ValueError) and result.args == (1,) for result in results)
    with pytest.raises(ValueError, match="2"):
        await function()


async def test_cancelling_a_waiter_leaves_the_others():
    slow = Slow()
    tasks = await begun(*(slow.wrapped() for _ in range(3)))
    tasks[1].cancel()
    await asyncio.sleep(0)
    slow.gate.set()
    await asyncio.wait(tasks)
    assert (tasks[0].result(), tasks[1].cancelled(), tasks[2].result()) == (1, True, 1)
    assert slow.calls == 1


async def test_cancelling_the_one_who_began_hands_the_work_on():
    slow = Slow()
    tasks = await begun(*(slow.wrapped() for _ in range(3)))
    tasks[0].cancel()
    await asyncio.sleep(0)
    slow.gate.set()
    assert await asyncio.gather(*tasks[1:]) == [1, 1]
    assert tasks[0].cancelled() and (slow.calls, slow.cancelled) == (1, 0)
    assert await slow.wrapped() == 1


async def test_cancelling_everybody_cancels_the_call_and_stores_nothing():
    slow = Slow()
    tasks = await begun(*(slow.wrapped() for _ in range(3)))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await asyncio.sleep(0)
    assert slow.cancelled == 1 and not slow.wrapped.cache_contains()
    slow.gate.set()
    assert await slow.wrapped() == 2


async def test_whoever_comes_while_a_call_is_being_cancelled_begins_another():
    slow = Slow()
    (task,) = await begun(slow.wrapped())
    task.cancel()
    await asyncio.sleep(0)  # the task knows, the call does not yet
    slow.gate.set()
    assert await slow.wrapped() == 2


async def test_a_function_that_cancels_itself_cancels_who_began_it_and_nobody_hangs():
    @cached
    async def function():
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    tasks = await begun(*(function() for _ in range(4)))
    done, pending = await asyncio.wait(tasks, timeout=PATIENCE)
    assert not pending and all(task.cancelled() for task in done)


async def test_recursion_on_the_same_key_is_computed():
    depth = []

    @cached
    async def function():
        depth.append(1)
        if len(depth) == 3:
            return 3
        return await (function() if len(depth) == 1 else asyncio.create_task(function()))

    assert await asyncio.wait_for(function(), PATIENCE) == 3


async def test_tasks_that_wait_for_each_other_are_found():
    @cached
    async def function(x, n):
        if x in running:
            return x
        running.add(x)
        await asyncio.sleep(0)
        results = await asyncio.gather(function((x + 1) % n, n), function((x + 2) % n, n))
        return sum(results)

    running = set()
    results = await asyncio.wait_for(asyncio.gather(*(function(i, 5) for i in range(5))), PATIENCE)
    assert len(results) == 5


async def test_the_call_runs_in_the_context_of_who_began_it():
    variable = contextvars.ContextVar("variable", default="default")

    @cached
    async def function():
        return variable.get()

    variable.set("mine")
    assert await function() == "mine"


async def test_what_cannot_be_hashed_is_refused_at_the_call():
    with pytest.raises(TypeError, match="argument 'x' of"):
        Slow().wrapped([])


async def test_without_single_flight_every_task_computes():
    slow = Slow(single_flight=False)
    tasks = await begun(*(slow.wrapped() for _ in range(3)))
    slow.gate.set()
    assert sorted(await asyncio.gather(*tasks)) == [1, 2, 3]


async def test_a_failed_call_leaves_nothing_behind():
    class Big:
        pass

    @cached
    async def function(x):
        big = Big()
        await asyncio.sleep(0)
        raise ValueError(id(big))

    await asyncio.gather(*(function(i) for i in range(100)), return_exceptions=True)
    await asyncio.sleep(0)
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is Big]


# --- several event loops ------------------------------------------------------------


def test_loops_share_one_call_and_its_result():
    calls, gate = [], threading.Event()

    @cached
    async def function(x):
        calls.append(1)
        await asyncio.to_thread(gate.wait, PATIENCE)
        return object()

    threads = Threads(*[lambda: asyncio.run(function(1))] * 8)
    while function.cache_info().misses + function.cache_info().hits < 8:
        pass
    gate.set()
    results = threads.join()
    assert len(set(map(id, results))) == len(calls) == 1
    assert asyncio.run(function(1)) is results[0]


def test_when_a_loop_is_closed_before_its_call_is_over_another_takes_over(monkeypatch):
    monkeypatch.setattr(module, "_LOOK", 0.01)
    calls = []

    @cached
    async def function():
        calls.append(1)
        if len(calls) == 1:
            await asyncio.sleep(PATIENCE)
        return len(calls)

    loop = asyncio.new_event_loop()
    task = loop.create_task(function())
    loop.run_until_complete(asyncio.sleep(0.01))
    waiter = Threads(lambda: asyncio.run(function()))
    while function.cache_info().misses < 2:
        pass
    task.cancel()  # which the loop does not live to see
    task._log_destroy_pending = False
    for other in asyncio.all_tasks(loop):
        other._log_destroy_pending = False
    loop.close()
    assert waiter.join() == [2]
    assert asyncio.run(function()) == 2


def test_when_a_loop_stands_still_another_takes_over_after_a_lease(monkeypatch):
    monkeypatch.setattr(module, "_LOOK", 0.005)
    calls = []

    @cached
    async def function():
        calls.append(1)
        await asyncio.sleep(0.02 if len(calls) == 1 else 0)
        return len(calls)

    loop = asyncio.new_event_loop()
    task = loop.create_task(function())
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    assert Threads(lambda: asyncio.run(function())).join() == [2]
    assert loop.run_until_complete(task) == 2  # it goes on, and finds what the other computed
    loop.close()
    assert asyncio.run(function()) == 2


def test_a_loop_that_is_shut_down_cancels_its_call_and_another_takes_over():
    calls, started = [], threading.Event()

    @cached
    async def function():
        calls.append(1)
        if len(calls) == 1:
            started.set()
            await asyncio.sleep(PATIENCE)
        return len(calls)

    async def leave():
        task = asyncio.ensure_future(function())
        while not any(len(flight.riders) == 2 for flight in flights_of(function).all()):
            await asyncio.sleep(0.001)
        del task

    first = Threads(lambda: asyncio.run(leave()))
    assert started.wait(PATIENCE)
    assert Threads(lambda: asyncio.run(function())).join() == [2]
    first.join()


# --- everything at once ------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(2, 8), st.integers(1, 3), st.integers(1, 2))
@settings(max_examples=effort(25))
def test_whatever_happens_every_task_ends_with_an_answer_or_its_cancellation(seed, tasks, keys, loops):
    """Tasks of several loops call, are cancelled, invalidate and refresh; the function does all it can."""
    chance = random.Random(seed)
    made, lock = set(), threading.Lock()

    @cached(maxsize=2, hard_timeout=chance.choice([None, PATIENCE]))
    async def function(key, depth=0):
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < 0.15:
            raise chance.choice([KeyError, ValueError])(key)
        if chance.random() < 0.3 and depth < 3:
            await asyncio.gather(*(function(chance.randrange(keys), depth + 1) for _ in range(2)))
        with lock:
            value = (key, len(made))
            made.add(value)
        return value

    async def user():
        for _ in range(6):
            key, dice = chance.randrange(keys), chance.random()
            if dice < 0.1:
                function.cache_invalidate(key)
            try:
                value = await (function.refresh(key) if dice > 0.9 else function(key))
                assert value in made and value[0] == key
            except (KeyError, ValueError):
                pass

    async def main():
        users = [asyncio.ensure_future(user()) for _ in range(tasks)]
        for _ in range(chance.randrange(10)):
            await asyncio.sleep(0)
            if chance.random() < 0.3:
                chance.choice(users).cancel()
        done, pending = await asyncio.wait(users, timeout=PATIENCE)
        assert not pending, "it hangs"
        assert all(task.cancelled() or task.exception() is None for task in done), done

    assert Threads(*[lambda: asyncio.run(main())] * loops).join() == [None] * loops
    assert len(flights_of(function)) == 0


# --- async-lru's names ------------------------------------------------------------


async def test_alru_cache_serves_what_it_has_and_can_be_closed():
    calls = []

    @alru_cache(maxsize=2, ttl=60)
    async def function(x):
        calls.append(x)
        return x

    assert await asyncio.gather(function(1), function(1), function(2)) == [1, 1, 2]
    assert function.cache_info() == (1, 2, 2, 2)
    assert function.cache_parameters() == {"typed": False, "maxsize": 2, "tasks": 0, "closed": False}
    await function.cache_close(wait=True)
    assert function.cache_info().currsize == 2
    for x in (1, 3):
        with pytest.raises(RuntimeError, match="closed"):
            await function(x)
    assert calls == [1, 2]
