"""The pool of workers that a manager builds, feeds its monitor with, scales and ends."""

import asyncio
import threading
import time

import pytest

from perfcore import PerformanceManager
from perfcore.workers import InlinePool, QueueFullError, WorkerPool

PATIENCE = 30
WATCHED = {"enabled": True, "interval": 0.05, "enable_alerts": True}


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def test_the_pool_is_as_the_configuration_says():
    workers = {
        "enabled": True,
        "pool": {"min": 1, "max": 3, "scaling": "fixed"},
        "queues": {"high": {"max_size": 2}},
    }
    with PerformanceManager(workers=workers) as manager:
        pool = manager.workers
        assert (pool.min, pool.max, pool.scaling) == (1, 3, "fixed")
        assert pool._crew.queues.bounds == (2, 500, 1000)
        assert pool.submit(pow, 2, 3, priority="high").result(PATIENCE) == 8
        wait_for(lambda: manager.status().parts["workers"].stats.completed == 1)


def test_where_workers_are_off_the_caller_makes_the_calls(monkeypatch):
    monkeypatch.setenv("PERFCORE_DISABLE", "workers")
    with PerformanceManager(workers={"enabled": True}) as manager:
        before, me = {*threading.enumerate()}, threading.get_ident()
        pool = manager.workers
        assert isinstance(pool, InlinePool) and isinstance(pool, WorkerPool)
        assert manager.status().parts["workers"].state == "off"
        assert pool.submit(threading.get_ident, priority="low", deadline=1).result(0) == me
        assert list(pool.map(pow, [2, 3], [2, 2])) == [4, 9]
        assert asyncio.run(pool.run(threading.get_ident)) == me
        assert isinstance(pool.submit(lambda: 1 // 0).exception(0), ZeroDivisionError)
        with pytest.raises(ValueError, match="high, normal, low"):
            pool.submit(int, priority="urgent")
        assert pool.close() and not {*threading.enumerate()} - before
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(int)


def test_what_was_submitted_is_done_before_the_manager_is_closed_and_may_use_its_parts():
    manager = PerformanceManager(workers={"enabled": True, "pool": {"min": 1, "max": 1}})
    found, go = [], threading.Event()

    def work():
        go.wait(PATIENCE)
        manager.memory["a"] = 1  # built while the manager is being closed
        found.append(manager.cache.get("a"))

    for _ in range(3):
        manager.workers.submit(work)
    closing = threading.Thread(target=manager.close)
    closing.start()
    go.set()
    closing.join(PATIENCE)
    assert found == [1, 1, 1] and manager.status().state == "closed"


def test_a_task_may_close_its_manager():
    manager = PerformanceManager(workers={"enabled": True})
    manager.workers.submit(manager.close).result(PATIENCE)
    assert manager.status().state == "closed"
    assert manager.start().workers.submit(int).result(PATIENCE) == 0
    manager.close()


@pytest.mark.parametrize("first", ["monitor", "workers"])
def test_the_monitor_counts_the_tasks_whichever_is_built_first(first):
    with PerformanceManager(monitoring=WATCHED, workers={"enabled": True}) as manager:
        getattr(manager, first)
        go = threading.Event()
        running = [manager.workers.submit(go.wait, PATIENCE) for _ in range(2)]
        manager.workers.submit(lambda: 1 // 0, priority="high").exception(PATIENCE)

        def counted():
            workers = manager.get_metrics().application.workers
            return workers.active == 2 and workers.failed == 1

        wait_for(counted)
        go.set()
        assert all(task.result(PATIENCE) for task in running)


def test_an_alert_gives_the_pool_room_for_more_workers_and_takes_it_back():
    from perfcore.monitor import ThresholdRule

    rule = ThresholdRule(
        name="busy", metric="application.workers.queued", threshold=3, actions=("scale_workers",)
    )
    with PerformanceManager(
        monitoring=WATCHED, workers={"enabled": True, "pool": {"min": 1, "max": 2}}
    ) as manager:
        manager.alerts.add_rule(rule)
        meet = threading.Barrier(4)  # which two workers never pass
        tasks = [manager.workers.submit(meet.wait, PATIENCE) for _ in range(8)]
        for task in tasks:
            task.result(PATIENCE)
        assert manager.workers.stats().workers > 2
        wait_for(lambda: manager.workers.max == 2)
        outcomes = [record.outcome for record in manager.alerts.actions.records()]
        assert "done" in outcomes and "undone" in outcomes
        wait_for(lambda: manager.workers.stats().workers <= 2)


def test_bounds_of_the_configuration_hold():
    workers = {"enabled": True, "pool": {"min": 1, "max": 1}, "queues": {"low": {"max_size": 1}}}
    with PerformanceManager(workers=workers) as manager:
        go, busy = threading.Event(), threading.Event()
        manager.workers.submit(lambda: (busy.set(), go.wait(PATIENCE)))
        assert busy.wait(PATIENCE)
        manager.workers.submit(int, priority="low")
        with pytest.raises(QueueFullError):
            asyncio.run(manager.workers.run(int, priority="low"))
        go.set()


def test_the_optimizers_are_of_the_managers_own_parts(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    with PerformanceManager(workers={"enabled": True}) as manager:
        assert manager.cpu_optimizer.pool is manager.workers
        assert [step.outcome for step in manager.cpu_optimizer.optimize_cpu().steps] == ["nothing"] * 3
        assert manager.io_optimizer.read(str(tmp_path / "file")) == b"content"
        assert manager.io_optimizer.optimize_io().streams.plain == 1
        streams = manager.io_optimizer.streams
    with pytest.raises(ValueError, match="closed"):
        streams.read(str(tmp_path / "file"))


def test_an_alert_that_scales_workers_finds_them_before_anybody_has_used_them():
    monitoring = {"interval": 60, "alerts": {"cpu": {"threshold": 80, "action": "scale_workers"}}}
    with PerformanceManager(monitoring=monitoring, workers={"pool": {"min": 1, "max": 2}}) as manager:
        assert manager.status().parts["workers"].state == "running"
        assert "scale_workers" in manager.alerts.actions.names()
    with PerformanceManager(workers={"pool": {"min": 1, "max": 2}}) as manager:
        assert manager.status().parts["workers"].state == "idle"
