"""Changes to a pool stay when more tasks end a second, and are undone when not."""

import itertools
import math
import os
import threading
import time

import pytest

from perfcore.workers import CPUOptimizer, WorkerPool
from perfcore.workers.optimizer import available_cpus
from perfcore.workers.worker import current_worker

PATIENCE = 30


class Busy:
    """A pool with tasks that submit their successors until the end."""

    def __init__(self, work, tasks=8, **options):
        self.pool, self.stop, self.work = WorkerPool(**options), threading.Event(), work
        for _ in range(tasks):
            self.pool.submit(self.step)

    def step(self):
        self.work()
        if not self.stop.is_set():
            self.pool.submit(self.step)

    def __enter__(self):
        return self.pool

    def __exit__(self, *_):
        self.stop.set()
        self.pool.shutdown()


def measured(*values):
    """Return a measurement that says these values, one after the other."""
    values = itertools.chain(values, itertools.repeat(values[-1]))
    return lambda pool: next(values)


def masks(pool):
    return [os.sched_getaffinity(worker.thread.native_id) for worker in pool._crew.workers.values()]


def test_without_a_pool_it_has_one_of_the_processors_there_are_to_twice_that():
    with CPUOptimizer() as optimizer:
        assert optimizer.pool.min == math.ceil(available_cpus())
        assert optimizer.pool.max == 2 * optimizer.pool.min
        pool = optimizer.pool
        assert pool.submit(int).result(PATIENCE) == 0
    with pytest.raises(RuntimeError):
        pool.submit(int)


def test_the_quota_of_the_control_group_counts(monkeypatch):
    from perfcore.workers import optimizer as module

    class Group:
        cpu_limit = 0.5

    monkeypatch.setattr(module, "ControlGroup", Group)
    assert available_cpus() == 0.5
    assert (CPUOptimizer().pool.min, CPUOptimizer().pool.max) == (1, 2)


def test_what_does_nothing_is_left_alone():
    with WorkerPool() as pool:
        report = CPUOptimizer(pool, seconds=0.01).optimize_cpu()
        assert [step.outcome for step in report.steps] == ["nothing"] * 3
        assert (pool.min, pool.max) == (2, 8)


@pytest.mark.parametrize(("after", "outcome"), [(90.0, "undone"), (104.0, "undone"), (106.0, "kept")])
def test_bound_workers_stay_bound_only_where_that_helps(after, outcome):
    with Busy(lambda: time.sleep(0.001), min=2, max=2) as pool:
        time.sleep(0.05)
        before = masks(pool)
        step = CPUOptimizer(pool, measure=measured(100.0, after)).optimize_cpu_affinity()
        if len(os.sched_getaffinity(0)) < 2:
            assert step.outcome == "nothing"
            return
        assert (step.outcome, step.before, step.after) == (outcome, 100.0, after)
        assert (masks(pool) == before) == (outcome == "undone")
        assert outcome == "undone" or all(len(mask) == 1 for mask in masks(pool))


@pytest.mark.parametrize(("after", "outcome"), [(90.0, "undone"), (200.0, "kept")])
def test_another_number_of_workers_stays_only_where_that_helps(after, outcome):
    with Busy(lambda: time.sleep(0.001), min=1, max=4) as pool:
        step = CPUOptimizer(pool, measure=measured(100.0, after)).optimize_task_scheduling()
        assert step.outcome == outcome
        assert (pool.min, (pool.max == 4)) == (1, outcome == "undone")


def test_tasks_that_were_moved_in_vain_go_back_where_they_wait_still():
    with WorkerPool(min=3, max=3) as pool:
        go, ready = threading.Event(), threading.Barrier(4)
        children, owner = [], []

        def parent():
            owner.append(current_worker().number)
            ready.wait(PATIENCE)
            children.extend(pool.submit(int) for _ in range(20))  # which wait at this worker
            ready.wait(PATIENCE)
            go.wait(PATIENCE)

        def hold():
            ready.wait(PATIENCE)
            ready.wait(PATIENCE)
            go.wait(PATIENCE)

        for work in (parent, hold, hold):
            pool.submit(work)
        ready.wait(PATIENCE)
        ready.wait(PATIENCE)
        crew = pool._crew
        with crew.lock:  # as it was before the pool itself balanced it
            crew.queues.give_back(dict.fromkeys(children, owner[0]))
            before = crew.queues.loads()
            assert max(before.values()) == 20
            optimizer = CPUOptimizer(pool, measure=measured(100.0, 50.0))
            step = optimizer.balance_workload()
            assert step.outcome == "undone" and "10 tasks moved" in step.reason
            assert crew.queues.loads() == before
            crew.queues._check()
            step = CPUOptimizer(pool, measure=measured(100.0, 100.0)).balance_workload()
            assert step.outcome == "kept" and max(crew.queues.loads().values()) == 10
        go.set()
        assert [child.result(PATIENCE) for child in children] == [0] * 20


def test_a_measurement_that_fails_leaves_everything_as_it_was():
    def fail(pool):
        if calls:
            raise ZeroDivisionError
        calls.append(1)
        return 100.0

    calls = []
    with Busy(lambda: time.sleep(0.001), min=1, max=4) as pool:
        with pytest.raises(ZeroDivisionError):
            CPUOptimizer(pool, measure=fail).optimize_task_scheduling()
        assert (pool.min, pool.max) == (1, 4)


def test_workers_that_wait_become_more_under_real_load():
    with Busy(lambda: time.sleep(0.005), tasks=60, min=1, max=2) as pool:
        time.sleep(0.1)
        step = CPUOptimizer(pool, seconds=0.3).optimize_task_scheduling()
        assert step.outcome == "kept" and pool.max > 2, step
        assert step.after > step.before


async def test_a_coroutine_gets_the_same_report():
    with Busy(lambda: sum(range(1000)), min=1, max=2) as pool:
        report = await CPUOptimizer(pool, seconds=0.05).aoptimize_cpu()
        names = [step.name for step in report.steps]
        assert names == ["balance_workload", "optimize_task_scheduling", "optimize_cpu_affinity"]
        assert report.cpus == available_cpus() and report.after.completed >= report.before.completed


def test_a_look_takes_time():
    with pytest.raises(ValueError, match="seconds"):
        CPUOptimizer(seconds=0)
