"""What a pool does with tasks, whatever becomes of them."""

import asyncio
import concurrent.futures
import gc
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import pytest
from effort import effort

from perfcore.errors import PerfcoreError
from perfcore.metrics import Registry
from perfcore.workers import DeadlineError, QueueFullError, WorkerPool
from perfcore.workers.crew import Crew
from perfcore.workers.queues import Queues

PATIENCE = 30


@pytest.fixture
def pool():
    with WorkerPool(min=2, max=4) as pool:
        yield pool


class Stopped:
    """A pool of one worker that is busy until ``go`` is set."""

    def __init__(self, **options):
        self.pool = WorkerPool(min=1, max=1, **options)
        self.go, busy = threading.Event(), threading.Event()
        self.pool.submit(lambda: (busy.set(), self.go.wait(PATIENCE)))
        assert busy.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go.set()
        self.pool.shutdown()


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def script(text, *, code=0):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout


# --- results ------------------------------------------------------------------------------------------------


def test_a_task_returns_what_its_call_returns(pool):
    future = pool.submit(lambda *args, **kwargs: (args, kwargs), 1, fn=2, self=3)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(PATIENCE) == ((1,), {"fn": 2, "self": 3})
    assert future.done() and not future.running() and not future.cancelled() and future.exception() is None


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration])
def test_whatever_a_call_raises_is_its_result_and_the_worker_goes_on(pool, kind):
    def fail():
        raise kind("x")

    future = pool.submit(fail)
    with pytest.raises(kind, match="x"):
        future.result(PATIENCE)
    assert type(future.exception()) is kind
    assert pool.submit(int).result(PATIENCE) == 0


def test_nothing_is_kept_of_a_task_that_is_over(pool):
    class Thing:
        def use(self, other):
            raise ValueError

    thing, other = Thing(), Thing()
    gone = [weakref.ref(thing), weakref.ref(other)]
    future = pool.submit(thing.use, other)
    assert future.exception(PATIENCE) is not None
    future = None
    del thing, other
    gc.collect()
    wait_until(lambda: not any(ref() for ref in gone))


def test_wait_and_as_completed_know_these_futures(pool):
    futures = [pool.submit(time.sleep, 0.001 * (i % 3)) for i in range(50)]
    assert set(concurrent.futures.as_completed(futures, PATIENCE)) == set(futures)
    assert concurrent.futures.wait(futures, PATIENCE).done == set(futures)
    go = threading.Event()
    slow, quick = pool.submit(go.wait, PATIENCE), pool.submit(int)
    assert concurrent.futures.wait([slow, quick], PATIENCE, "FIRST_COMPLETED").done == {quick}
    go.set()


def test_wait_never_returns_early_while_tasks_end_around_it(pool):
    for _ in range(effort(200)):
        futures = [pool.submit(int) for _ in range(4)]
        assert not concurrent.futures.wait(futures, PATIENCE).not_done


def test_callbacks_are_called_once_before_and_after_the_end(pool):
    go, called = threading.Event(), []
    future = pool.submit(go.wait, PATIENCE)
    future.add_done_callback(called.append)
    future.add_done_callback(lambda _: called.append("second"))
    go.set()
    wait_until(lambda: len(called) == 2)
    future.add_done_callback(called.append)
    assert called == [future, "second", future]


def test_to_look_at_a_task_is_not_to_wait_for_it():
    with WorkerPool(min=1, max=1) as pool:
        go = threading.Event()

        def look():
            waiting = pool.submit(go.wait, PATIENCE)
            return [repr(waiting) for _ in range(3)]

        texts = pool.submit(look).result(PATIENCE)
        assert all("state=pending" in text for text in texts)
        go.set()
        done = pool.submit(int)
        assert done.result(PATIENCE) == 0 and "state=finished returned int" in repr(done)
        failed = pool.submit(int, "x")
        assert failed.exception(PATIENCE) is not None and "raised ValueError" in repr(failed)
    assert pool.stats().injected == 0


def test_an_urgent_call_in_a_flood_of_low_ones_begins_no_threads_beyond_the_most_there_may_be():
    stop = []

    def low():
        if not stop:
            pool.submit(low, priority="low")

    with WorkerPool(min=2, max=4) as pool:
        for _ in range(300):
            pool.submit(low, priority="low")
        for _ in range(effort(100)):
            assert pool.submit(int, priority="high").result(PATIENCE) == 0
            assert len(pool._crew.workers) <= 4
        stop.append(True)


def test_an_urgent_call_that_nobody_ends_holds_the_workers_up_only_for_a_moment():
    with WorkerPool(min=2, max=2) as pool:
        go = threading.Event()
        urgent = pool.submit(go.wait, PATIENCE, priority="high")
        waiting = threading.Thread(target=urgent.result)
        waiting.start()
        for _ in range(effort(50)):
            assert pool.submit(int, priority="low").result(PATIENCE) == 0
        go.set()
        waiting.join(PATIENCE)


def test_result_gives_up_after_its_timeout():
    with Stopped() as stopped, pytest.raises(TimeoutError):
        stopped.pool.submit(int).result(0.01)


# --- order, bounds, pressure --------------------------------------------------------------------------------


def test_urgent_tasks_go_first():
    order = []
    with Stopped() as stopped:
        for priority in ("low", "normal", "high"):
            for i in range(3):
                stopped.pool.submit(order.append, (priority, i), priority=priority)
    assert order == [(priority, i) for priority in ("high", "normal", "low") for i in range(3)]


def test_low_tasks_go_on_under_a_flood_of_high_ones():
    order, stop = [], []

    def high():
        order.append("high")
        if not stop:
            pool.submit(high, priority="high")

    with WorkerPool(min=1, max=1) as pool:
        for _ in range(10):
            pool.submit(high, priority="high")
        lows = [pool.submit(order.append, "low", priority="low") for _ in range(20)]
        for low in lows:
            low.result(PATIENCE)
        stop.append(True)
    places = [i for i, kind in enumerate(order) if kind == "low"]
    assert all(after - before <= 64 for before, after in itertools.pairwise(places))


def test_a_full_queue_raises_if_told_to_and_counts():
    with Stopped(when_full="raise", queues={"high": 2}) as stopped:
        for _ in range(2):
            stopped.pool.submit(int, priority="high")
        with pytest.raises(QueueFullError, match="2 tasks of priority high") as caught:
            stopped.pool.submit(int, priority="high")
        assert isinstance(caught.value, PerfcoreError)
        assert stopped.pool.submit(int).cancel(), "other classes have room of their own"
        assert stopped.pool.stats().rejected == 1


def test_a_full_queue_blocks_until_there_is_room_and_no_longer_than_patience():
    with Stopped(queues={"normal": 1}, patience=0.02) as stopped:
        stopped.pool.submit(int)
        with pytest.raises(QueueFullError):
            stopped.pool.submit(int)
    with Stopped(queues={"normal": 1}) as stopped:
        stopped.pool.submit(int)
        submitted = []
        thread = threading.Thread(target=lambda: submitted.append(stopped.pool.submit(int)))
        thread.start()
        wait_until(lambda: stopped.pool._crew.waiting_for_room)
        assert not submitted
        stopped.go.set()
        thread.join(PATIENCE)
        assert submitted[0].result(PATIENCE) == 0


def test_the_caller_runs_what_has_no_room():
    with Stopped(when_full="caller_runs", queues={"normal": 1}) as stopped:
        stopped.pool.submit(int)
        assert stopped.pool.submit(threading.get_ident).result(0) == threading.get_ident()


def test_the_oldest_low_task_makes_room():
    with Stopped(when_full="drop_low", queues={"low": 2, "high": 1}) as stopped:
        lows = [stopped.pool.submit(int, priority="low") for _ in range(3)]
        assert [low.cancelled() for low in lows] == [True, False, False]
        highs = [stopped.pool.submit(int, priority="high") for _ in range(3)]
        assert all(low.cancelled() for low in lows) and not any(high.cancelled() for high in highs)
        with pytest.raises(QueueFullError):
            stopped.pool.submit(int, priority="high")
        assert stopped.pool.stats().dropped == 3


def test_room_that_came_meanwhile_is_taken_where_no_low_task_can_be_dropped():
    with WorkerPool(min=1, max=2, when_full="drop_low", queues={"low": 2}) as pool:
        tasks = [
            pool.submit(int, priority="low") for _ in range(effort(20_000))
        ]  # while workers empty the queue
        assert not any(task.exception(PATIENCE) for task in tasks if not task.cancelled())


def test_a_task_that_comes_to_its_deadline_unstarted_is_not_run():
    ran = []
    with Stopped() as stopped:
        late = stopped.pool.submit(ran.append, 1, deadline=0.01)
        in_time = stopped.pool.submit(ran.append, 2, deadline=PATIENCE)
        assert isinstance(late.exception(PATIENCE), DeadlineError), "also while no worker is free"
        stopped.go.set()
        in_time.result(PATIENCE)
    assert ran == [2] and stopped.pool.stats().expired == 1


def test_a_task_is_cancelled_while_it_waits_and_leaves_its_place():
    with Stopped(queues={"normal": 1}, when_full="raise") as stopped:
        future = stopped.pool.submit(int)
        assert future.cancel() and future.cancel() and future.cancelled() and future.done()
        again = stopped.pool.submit(int)
        with pytest.raises(concurrent.futures.CancelledError):
            future.result()
    assert not again.cancel() and again.result() == 0


# --- nesting ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_tasks_that_wait_for_their_own_tasks_never_lock_up(workers):
    with WorkerPool(min=workers, max=workers) as pool:

        def fib(n):
            return n if n < 2 else sum(f.result() for f in [pool.submit(fib, n - 1), pool.submit(fib, n - 2)])

        assert pool.submit(fib, 12).result(PATIENCE) == 144


@pytest.mark.parametrize("how", ["wait", "as_completed", "timeout", "map"])
def test_other_ways_to_wait_in_a_worker_get_another_thread(how):
    with WorkerPool(min=1, max=1) as pool:

        def outer(depth):
            if not depth:
                return 1
            if how == "map":
                return sum(pool.map(outer, [depth - 1] * 2))
            futures = [pool.submit(outer, depth - 1) for _ in range(2)]
            if how == "wait":
                concurrent.futures.wait(futures)
            elif how == "as_completed":
                list(concurrent.futures.as_completed(futures))
            return sum(future.result(PATIENCE if how == "timeout" else None) for future in futures)

        assert pool.submit(outer, 3).result(PATIENCE) == 8
        wait_until(lambda: pool.stats().workers == 1)


def test_a_task_that_waits_hands_its_urgency_on():
    order, ready = [], threading.Event()
    with WorkerPool(min=1, max=1) as pool:
        low = []

        def high():
            ready.wait(PATIENCE)
            low[0].result(PATIENCE)

        waiting = pool.submit(high, priority="high")
        pool.submit(order.append, "normal")
        low.append(pool.submit(order.append, "low", priority="low"))
        ready.set()
        waiting.result(PATIENCE)
    assert order == ["low", "normal"]


def test_thousands_of_threads_wait_for_one_pool():
    threads, go = effort(2000), threading.Event()
    with WorkerPool(min=1, max=2) as pool:
        future = pool.submit(go.wait, PATIENCE)
        got = []
        waiting = [
            threading.Thread(target=lambda: got.append(future.result(PATIENCE))) for _ in range(threads)
        ]
        for thread in waiting:
            thread.start()
        go.set()
        for thread in waiting:
            thread.join(PATIENCE)
    assert got == [True] * threads


def test_thousands_of_threads_submit_and_every_task_runs_exactly_once():
    ran = []
    with WorkerPool(queues={"normal": 5}) as pool:
        threads = [threading.Thread(target=pool.submit, args=(ran.append, i)) for i in range(effort(1000))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert sorted(ran) == list(range(len(threads)))


# --- size ---------------------------------------------------------------------------------------------------


def test_the_pool_grows_while_its_workers_wait_and_shrinks_when_they_rest():
    with WorkerPool(min=1, max=4, idle=0.05) as pool:
        meet = threading.Barrier(4)
        for future in [pool.submit(meet.wait, PATIENCE) for _ in range(4)]:
            future.result(PATIENCE)
        assert pool.stats().workers == 4
        assert any("tasks wait" in text for text in pool.decisions())
        wait_until(lambda: pool.stats().workers == 1)


def test_a_fixed_pool_has_all_its_workers_and_keeps_them():
    with WorkerPool(min=1, max=3, scaling="fixed", idle=0.01) as pool:
        meet = threading.Barrier(3)
        for future in [pool.submit(meet.wait, PATIENCE) for _ in range(3)]:
            future.result(PATIENCE)
        time.sleep(0.1)
        assert pool.stats().workers == 3


def test_a_pool_may_have_more_workers_from_now_on_and_fewer():
    with WorkerPool(min=1, max=1) as pool:
        meet = threading.Barrier(6)
        waiting = [pool.submit(meet.wait, PATIENCE) for _ in range(6)]
        pool.resize(min=2, max=6)
        for future in waiting:
            future.result(PATIENCE)
        assert pool.stats().workers == 6
        go = threading.Event()
        busy = [pool.submit(go.wait, PATIENCE) for _ in range(6)]
        wait_until(lambda: pool.stats().busy == 6)
        rest = [pool.submit(int) for _ in range(20)]
        pool.resize(min=1, max=2)
        assert pool.stats().workers == 6, "nobody is interrupted"
        go.set()
        assert [future.result(PATIENCE) for future in busy + rest] == [True] * 6 + [0] * 20
        wait_until(lambda: pool.stats().workers <= 2)
        with pytest.raises(ValueError, match="`min` <= `max`, got 5 and 2"):
            pool.resize(min=5)
        assert (pool.min, pool.max) == (1, 2)


def test_workers_that_rest_go_at_once_when_there_are_too_many():
    with WorkerPool(min=4, max=4) as pool:
        meet = threading.Barrier(4)
        for future in [pool.submit(meet.wait, PATIENCE) for _ in range(4)]:
            future.result(PATIENCE)
        wait_until(lambda: len(pool._crew.resting) == 4)
        pool.resize(min=1, max=1)
        wait_until(lambda: pool.stats().workers == 1)
        assert pool.submit(int).result(PATIENCE) == 0


def test_no_task_is_forgotten_while_the_pool_is_resized_again_and_again():
    with WorkerPool(min=1, max=4, queues={"normal": 10_000}) as pool:
        done, stop = [], []

        def resize():
            for least, most in itertools.cycle([(1, 1), (2, 4), (4, 4), (1, 8)]):
                pool.resize(least, most)
                if stop:
                    return
                time.sleep(0.0005)

        thread = threading.Thread(target=resize)
        thread.start()
        for i in range(effort(3000)):
            pool.submit(done.append, i)
            if i % 7 == 0:
                pool.submit(int).result(PATIENCE)
        stop.append(True)
        thread.join(PATIENCE)
    assert sorted(done) == list(range(effort(3000)))


def test_workers_are_bound_where_asked():
    mine = os.sched_getaffinity(0)
    with WorkerPool(min=1, max=1, affinity=True) as pool:
        assert len(pool.submit(os.sched_getaffinity, 0).result(PATIENCE)) == 1
    assert os.sched_getaffinity(0) == mine


# --- map ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunksize", [None, 1, 7])
@pytest.mark.parametrize("count", [0, 1, 3, 1000])
def test_map_keeps_the_order(pool, count, chunksize):
    assert list(pool.map(pow, range(count), [2] * count, chunksize=chunksize)) == [
        i * i for i in range(count)
    ]


def test_map_divides_chunks_that_take_long():
    with WorkerPool(min=4, max=4) as pool:
        assert list(pool.map(lambda i: time.sleep(0.004) or i, range(200))) == list(range(200))
        assert pool.stats().submitted > 16, "more than it began with"


def test_map_raises_at_the_place_of_the_error(pool):
    results = pool.map(lambda i: 1 // (i - 5), range(1000))
    assert [next(results) for _ in range(5)] == [1 // (i - 5) for i in range(5)]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_map_gives_up_after_its_timeout_and_cancels_the_rest():
    with Stopped() as stopped:
        with pytest.raises(TimeoutError):
            list(stopped.pool.map(int, range(8), timeout=0.01))
        assert stopped.pool.stats().queued["normal"] == 0


# --- coroutines ---------------------------------------------------------------------------------------------


async def test_coroutines_await_calls(pool):
    assert await asyncio.gather(*(pool.run(pow, i, 2) for i in range(20))) == [i * i for i in range(20)]
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0, priority="high")


async def test_cancelling_a_coroutine_cancels_the_call_that_waits():
    with Stopped() as stopped:
        waiting = asyncio.create_task(stopped.pool.run(int))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(wait_until, lambda: stopped.pool.stats().cancelled == 1)


async def test_an_event_loop_is_never_blocked_by_a_full_queue():
    with Stopped(queues={"normal": 1}) as stopped:
        stopped.pool.submit(int)
        with pytest.raises(QueueFullError):
            await stopped.pool.run(int)


# --- the end ------------------------------------------------------------------------------------------------


def test_after_the_shutdown_what_was_submitted_is_done_and_nothing_more_is_taken():
    pool, done = WorkerPool(min=1, max=1), []
    for i in range(100):
        pool.submit(done.append, i)
    pool.shutdown()
    assert done == list(range(100))
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)


def test_shutdown_while_others_submit_loses_nothing_that_was_accepted():
    for _ in range(effort(20)):
        pool, accepted, ran = WorkerPool(min=1, max=2, queues={"normal": 3}), [], []

        def submit(pool=pool, accepted=accepted, ran=ran):
            try:
                while True:
                    pool.submit(ran.append, 1)
                    accepted.append(1)
            except RuntimeError:
                pass

        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda accepted=accepted: accepted)
        pool.shutdown()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(ran) == len(accepted)


def test_a_shutdown_that_cancels_runs_nothing_more():
    with Stopped() as stopped:
        futures = [stopped.pool.submit(int) for _ in range(5)]
        stopped.pool.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in futures)


def test_close_gives_up_on_a_task_that_never_ends():
    with Stopped() as stopped:
        assert stopped.pool.close(timeout=0.01) is False
        assert stopped.pool.stats().workers == 0


def test_a_pool_that_nobody_has_finishes_and_ends():
    done = []
    pool = WorkerPool(min=1, max=1)
    for i in range(10):
        pool.submit(done.append, i)
    crew: Crew = pool._crew
    del pool
    gc.collect()
    wait_until(lambda: not crew.workers)
    assert done == list(range(10))


def test_the_interpreter_ends_after_what_was_submitted():
    text = """
        import time
        from perfcore.workers import WorkerPool
        pool = WorkerPool(min=1, max=1)
        for i in range(20):
            pool.submit(lambda i=i: (time.sleep(0.005), print(i, flush=True)))
        """
    assert script(text).split() == [str(i) for i in range(20)]


def test_the_interpreter_ends_though_a_task_never_does_once_it_was_given_up():
    script("""
        import threading
        from perfcore.workers import WorkerPool
        pool = WorkerPool(min=1, max=1)
        pool.submit(threading.Event().wait)
        assert not pool.close(timeout=0.05)
        """)


def test_a_forked_child_has_the_pool_anew_and_the_parent_goes_on():
    text = """
        import os, threading
        from concurrent.futures import CancelledError
        from perfcore.workers import WorkerPool
        pool = WorkerPool(min=2, max=2)
        go = threading.Event()
        running = [pool.submit(go.wait, 30) for _ in range(2)]
        waiting = [pool.submit(int) for _ in range(5)]
        child = os.fork()
        if not child:
            assert all(future.cancelled() for future in waiting), waiting
            assert pool.submit(pow, 2, 3).result(30) == 8
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        go.set()
        assert [future.result(30) for future in running + waiting] == [True, True, 0, 0, 0, 0, 0]
        pool.shutdown()
        """
    script(text)


# --- what it says -------------------------------------------------------------------------------------------


def test_stats_add_up_and_go_to_a_registry():
    with WorkerPool(name="mine") as pool:
        for future in [pool.submit(int, text) for text in ("1", "x", "2")]:
            future.exception(PATIENCE)
        wait_until(lambda: pool.stats().completed + pool.stats().failed == 3)
        stats = pool.stats()
        assert (stats.submitted, stats.completed, stats.failed) == (3, 2, 1)
        registry = Registry()
        pool.publish(registry)
        pool.publish(registry)
    assert [gauge.value for gauge in registry["perfcore_workers_submitted"].series.values()] == [3]
    assert len(registry["perfcore_workers_queued"].series) == 3
    assert "mine" in repr(pool)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"min": 3, "max": 2}, ValueError, "`min` <= `max`, got 3 and 2"),
        ({"min": 0}, ValueError, ">= 1, got 0 - at `min`"),
        ({"max": 0}, ValueError, "at `max`"),
        ({"min": True}, TypeError, "bool"),
        ({"max": 2.5}, TypeError, "float"),
        ({"scaling": "wild"}, ValueError, "adaptive, fixed, got 'wild'"),
        ({"kind": "coroutine"}, ValueError, "at `kind`"),
        ({"when_full": "cry"}, ValueError, "at `when_full`"),
        ({"queues": {"urgent": 1}}, ValueError, "'urgent'"),
        ({"queues": {"low": 0}}, ValueError, "at `queues"),
        ({"idle": -1}, ValueError, "at `idle`"),
        ({"patience": float("nan")}, ValueError, "at `patience`"),
        ({"affinity": [10**6]}, ValueError, "at `affinity`"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, error, text):
    with pytest.raises(error, match=text):
        WorkerPool(**options)


@pytest.mark.parametrize("priority", ["urgent", 3, None, []])
def test_an_unknown_priority_is_refused(pool, priority):
    with pytest.raises(ValueError, match="high, normal, low"):
        pool.submit(int, priority=priority)


def test_a_deadline_is_a_number_of_seconds(pool):
    with pytest.raises(TypeError, match="deadline"):
        pool.submit(int, deadline="soon")
    with pytest.raises(ValueError, match="deadline"):
        pool.submit(int, deadline=-1)


def test_no_more_threads_is_an_error_only_when_there_are_none(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    crew = Crew(Queues((1, 1, 1)), 1, 1, idle=1.0, name="x")
    pool = WorkerPool(min=1, max=1)
    pool._crew = crew
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            pool.submit(int)
        assert not crew.workers and not crew.queues.total
    assert pool.submit(int).result(PATIENCE) == 0
    pool.shutdown()
