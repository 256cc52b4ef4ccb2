"""The auto-scaler at work: on the local pool, on a real Dask cluster, and what it says of itself."""

import logging
import sys
import threading
import time

import cloudpickle
import cluster_marks as marks
import pytest

from perfcore.monitor import PerformanceMetrics
from perfcore.monitor.records import CPUMetrics, SystemMetrics
from perfcore.scaling import AutoScaler, DaskBackend, HorizontalScaler, LocalBackend, ScalingRule

PATIENCE = 60

cloudpickle.register_pickle_by_value(marks)
cloudpickle.register_pickle_by_value(sys.modules[__name__])

BUSY = {"system": {"cpu": {"usage": 93}, "memory": {"percent": 10}}}
IDLE = {"system": {"cpu": {"usage": 3}, "memory": {"percent": 10}}}


def until(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@pytest.fixture
def backend():
    with LocalBackend(2) as backend:
        yield backend


def eager(backend, source=None, **options):
    patient = {"cooldown": 0, "window_in": 0, "rate_in": (9, 1), "interval": 0.02}
    return AutoScaler(HorizontalScaler(backend, max_nodes=4), source, **{**patient, **options})


# --- on the local pool --------------------------------------------------------------------------------------


def test_it_does_what_it_decides(backend):
    auto = eager(backend)
    assert auto.evaluate_scaling(BUSY, 0.0).target == len(backend.nodes()) == 3
    assert auto.evaluate_scaling(IDLE, 1000.0).action == "scale-in"
    assert len(backend.nodes()) == 2
    assert [decision.action for decision in auto.decisions()] == ["scale-out", "scale-in"]


def test_deciding_alone_does_nothing(backend):
    auto = eager(backend)
    assert auto.decide(BUSY, 0.0).target == 3 and len(backend.nodes()) == 2
    assert auto.decide(BUSY, 1.0, nodes=4).reason.endswith("4 is a bound (1 to 4)")


def test_a_dry_run_says_what_it_would_do(backend, caplog):
    auto = eager(backend, dry_run=True)
    with caplog.at_level(logging.INFO, "perfcore.scaling"):
        assert auto.evaluate_scaling(BUSY, 0.0).dry_run
    assert len(backend.nodes()) == 2
    assert "(dry run) scale-out from 2 to 3: cpu-scale-out holds" in caplog.text


def test_each_decision_is_logged_with_its_reason_and_what_repeats_is_no_news(backend, caplog):
    auto = eager(backend, cooldown=300)
    with caplog.at_level(logging.DEBUG, "perfcore.scaling"):
        for now in (0.0, 5000.0, 5001.0):
            auto.evaluate_scaling({"system": {"cpu": {"usage": 50}, "memory": {"percent": 1}}}, now)
    levels = [record.levelname for record in caplog.records if "no rule holds" in record.message]
    assert levels == ["INFO", "DEBUG", "DEBUG"]


def test_a_change_that_fails_is_logged_and_takes_its_cooldown(caplog):
    with LocalBackend(2, max_nodes=2) as backend:
        auto = AutoScaler(HorizontalScaler(backend), max_nodes=4)
        with caplog.at_level(logging.INFO, "perfcore.scaling"):
            assert auto.evaluate_scaling(BUSY, 0.0).action == "scale-out"
        assert "scale-out was not carried out: 3 nodes were asked for, there may be 2" in caplog.text
        assert "cooldown" in auto.evaluate_scaling(BUSY, 10.0).reason


def test_while_a_change_is_under_way_nobody_else_decides(backend):
    gate = threading.Event()
    tasks = [backend.submit(gate.wait, PATIENCE) for _ in range(2)]
    until(lambda: backend.stats().active == 2)
    auto = eager(backend)
    thread = threading.Thread(target=auto.evaluate_scaling, args=(IDLE, 1000.0))
    thread.start()
    until(lambda: backend.pool.max == 1)
    assert auto.evaluate_scaling(BUSY, 1001.0).reason == "a change is under way"
    gate.set()
    thread.join()
    assert all(task.result(PATIENCE) for task in tasks)
    assert auto.evaluate_scaling(BUSY, 1002.0).action == "scale-out"


async def test_from_a_coroutine(backend):
    assert (await eager(backend).aevaluate_scaling(BUSY, 0.0)).target == 3


def measured(cpu):
    return PerformanceMetrics(timestamp=time.time(), system=SystemMetrics(cpu=CPUMetrics(usage=cpu)))


def test_by_itself_it_follows_the_metrics_and_stops_when_told(backend):
    cpu = [95.0]
    with eager(backend, lambda: measured(cpu[0]), rate_out=(9, 0.01)) as auto:
        until(lambda: len(backend.nodes()) == 4)
    cpu[0] = None
    count = len(auto.decisions())
    time.sleep(0.1)
    assert len(auto.decisions()) == count and len(backend.nodes()) == 4


def test_a_source_that_fails_does_not_end_it(backend, caplog):
    answers = iter([RuntimeError("no metrics")])

    def source():
        error = next(answers, None)
        if error is not None:
            raise error
        return measured(95.0)

    with eager(backend, source):
        until(lambda: len(backend.nodes()) > 2)
    assert "no metrics" in caplog.text


def test_queues_of_the_backend_are_what_counts(backend):
    gate = threading.Event()
    tasks = [backend.submit(gate.wait, PATIENCE) for _ in range(150)]
    decision = eager(backend, lambda: measured(50.0)).evaluate_scaling(now=time.time())
    assert decision.rule == "queue-scale-out"
    gate.set()
    assert all(task.result(PATIENCE) for task in tasks)


# --- on a cluster -------------------------------------------------------------------------------------------

QUEUE = (
    ScalingRule("more", "queue > 6", "scale-out", priority=2),
    ScalingRule("fewer", "queue < 1 and application.workers.active < 2", "scale-in"),
)


def test_a_cluster_grows_with_its_queue_and_shrinks_after_and_no_task_runs_twice(tmp_path):
    path = tmp_path / "marks"
    with DaskBackend.local(1, timeout=20) as backend:
        scaler = HorizontalScaler(backend, max_nodes=2)
        rules = {"rules": QUEUE, "cooldown": 0.2, "window_in": 0.5, "rate_in": (9, 0.1), "interval": 0.1}
        with AutoScaler(scaler, **rules) as auto:
            tasks = [backend.submit(marks.mark, path, n, 0.1) for n in range(40)]
            until(lambda: len(backend.nodes()) == 2)
            assert [task.result(PATIENCE) for task in tasks] == [n * n for n in range(40)]
            until(lambda: len(backend.nodes()) == 1)
            actions = [decision.action for decision in auto.decisions() if decision.action != "hold"]
            assert actions == ["scale-out", "scale-in"]
        assert set(marks.begun(path).values()) == {1} and backend.stats().rerun == 0
        assert type(backend._cluster._adaptive).__name__ == "RuleAdaptive"


def test_what_a_cluster_measures_takes_the_place_of_this_machines_numbers():
    with DaskBackend.local(1, timeout=20) as backend:
        mine = measured(99.0)
        until(lambda: backend.measure(mine).system.cpu.usage not in (None, 99.0))
        seen = backend.measure(mine)
        assert seen.system.cpu.usage < 99
        assert 0 < seen.system.memory.percent < 100 and seen.application.workers.queued == 0
        assert seen.timestamp == mine.timestamp
    lost = backend.measure(mine)
    assert lost.system.cpu.usage is None and lost.application.workers.queued is None


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"interval": 0}, ValueError, "interval"),
        ({"min_nodes": 9, "max_nodes": 2}, ValueError, "min_nodes"),
        ({"cooldown": "long"}, TypeError, "cooldown"),
    ],
)
def test_options_that_make_no_sense_are_refused(backend, options, error, message):
    with pytest.raises(error, match=message):
        AutoScaler(HorizontalScaler(backend), **options)


def test_a_backend_is_no_scaler(backend):
    with pytest.raises(TypeError, match="Expected a HorizontalScaler, got `LocalBackend`"):
        AutoScaler(backend)
