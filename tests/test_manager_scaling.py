"""Scaling as a part of the manager: from workers of this process to a cluster by configuration alone."""

import os
import time

import pytest

from perfcore import ConfigError, PerformanceManager
from perfcore.scaling import CapacityError, DaskBackend, LocalBackend, SchedulerLostError

PATIENCE = 60


def test_where_scaling_is_off_there_is_one_worker_and_nothing_starts():
    with PerformanceManager() as manager:
        assert {manager.status().parts[name].state for name in ("backend", "scaler", "autoscaler")} == {"off"}
        assert len(manager.scaler.nodes()) == 1 and manager.autoscaler.decisions() == []
        with pytest.raises(CapacityError):
            manager.scaler.scale_out(2)
        assert manager.scaler.backend.submit(pow, 2, 5).result(PATIENCE) == 32


def test_the_pool_of_workers_is_what_scales_where_there_is_one():
    with PerformanceManager(scaling={"max_nodes": 6}, workers={"pool": {"min": 1, "max": 2}}) as manager:
        assert isinstance(manager.backend, LocalBackend) and manager.backend.pool is manager.workers
        assert manager.scaler.scale_out(5).after == manager.workers.max == 5
        with pytest.raises(CapacityError, match="there may be 6"):
            manager.scaler.scale_out(7)


def test_without_a_pool_it_has_its_own():
    with PerformanceManager(scaling={"nodes": 3}) as manager:
        assert len(manager.scaler.nodes()) == 3
        assert manager.backend.submit(os.getpid).result(PATIENCE) == os.getpid()


def test_a_cluster_takes_the_same_calls_and_is_counted_and_closed(tmp_path):
    paths = [tmp_path / f"m{n}.py" for n in range(5)]
    for path in paths:
        path.write_text("def f(): pass\n")
    config = {
        "monitoring": {"interval": 0.1},
        "scaling": {"backend": "dask", "nodes": 1, "max_nodes": 2, "timeout": 20},
    }
    with PerformanceManager(config) as manager:
        assert isinstance(manager.backend, DaskBackend)
        assert manager.backend.submit(os.getpid).result(PATIENCE) != os.getpid()
        results = list(manager.parser.parse_many(paths, backend=manager.backend))
        assert [result.symbols[0].name for result in results] == ["f"] * 5
        deadline = time.monotonic() + PATIENCE
        while (manager.get_metrics().application.workers.completed or 0) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        where, backend = manager.backend.where, manager.backend
        with PerformanceManager(scaling={"backend": "dask", "address": where, "timeout": 20}) as other:
            assert other.backend.submit(pow, 2, 6).result(PATIENCE) == 64
            assert len(other.scaler.nodes()) == 1
    with pytest.raises(SchedulerLostError):
        backend.submit(int)


def test_a_cluster_that_is_not_there_is_an_error_or_done_without():
    lost = {"backend": "dask", "address": "tcp://127.0.0.1:9", "timeout": 1}
    with PerformanceManager(scaling=lost) as manager, pytest.raises(SchedulerLostError):
        _ = manager.backend
    with PerformanceManager(scaling={**lost, "fallback": True}) as manager:
        assert manager.backend.submit(os.getpid).result(PATIENCE) == os.getpid()


def test_the_auto_scaler_runs_on_what_the_monitor_measures():
    auto = {"interval": 0.05, "cooldown": 0, "window_in": 0}
    config = {"monitoring": {"interval": 0.05}, "scaling": {"nodes": 3, "auto": auto}}
    with PerformanceManager(config) as manager:
        assert manager.status().parts["autoscaler"].state == "running"
        deadline = time.monotonic() + PATIENCE
        while True:
            decisions = manager.autoscaler.decisions()
            if any(dict(d.inputs).get("cpu") is not None for d in decisions):
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert {name for name, _ in decisions[-1].inputs} == {"cpu", "memory", "queue"}
    count = len(manager._built)
    assert count == 0


def test_without_a_monitor_nothing_is_measured_and_it_holds():
    with PerformanceManager(scaling={"nodes": 3, "auto": {"interval": 0.02}}) as manager:
        deadline = time.monotonic() + PATIENCE
        while not manager.autoscaler.decisions():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        decision = manager.autoscaler.decisions()[0]
        assert decision.action == "hold" and "cpu, memory not measured" in decision.reason


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        (
            {"min_nodes": 3, "max_nodes": 2},
            r"Expected `min_nodes` <= `max_nodes`, got 3 and 2 - at `\$.scaling`",
        ),
        ({"address": "tcp://a:1"}, "Expected `backend` dask for an `address`"),
        ({"backend": "dask", "address": "a:1"}, r"at `\$.scaling.address`"),
        ({"backend": "ray"}, r"at `\$.scaling.backend`"),
        ({"nodes": 0}, r"Expected `int` >= 1 - at `\$.scaling.nodes`"),
        ({"auto": {"tolerance": 1}}, r"at `\$.scaling.auto.tolerance`"),
        ({"auto": {"cooldown": -1}}, r"at `\$.scaling.auto.cooldown`"),
        ({"auto": {"rules": []}}, "unknown field `rules`"),
    ],
)
def test_settings_that_make_no_sense_name_their_place(scaling, message):
    with pytest.raises(ConfigError, match=message):
        PerformanceManager(scaling=scaling)
