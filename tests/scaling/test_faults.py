"""What becomes of tasks when the scheduler dies, falls silent, never was there, or runs other versions."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import cloudpickle
import cluster_marks as marks
import pytest

from perfcore.scaling import (
    CapacityError,
    DaskBackend,
    HorizontalScaler,
    LocalBackend,
    SchedulerLostError,
    VersionMismatchError,
    versions,
)

PATIENCE = 60
#: seconds in which a lost scheduler is to be an error
TIMEOUT = 3

cloudpickle.register_pickle_by_value(marks)


@contextlib.contextmanager
def running(*module_and_arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, module_and_arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def apart(tmp_path):
    """The process of a scheduler that has one worker, both started as people start them, and its address."""
    file = tmp_path / "scheduler.json"
    port = ("--host", "127.0.0.1", "--port", 0, "--dashboard-address", "127.0.0.1:0")
    with running("distributed.cli.dask_scheduler", *port, "--scheduler-file", file) as scheduler:
        while not file.exists() or not file.read_text():
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        with running("distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard"):
            yield scheduler, address


def kill(process):
    process.kill()
    process.wait()


def stop(process):
    os.kill(process.pid, signal.SIGSTOP)


def busy(backend, path, count=6):
    tasks = [backend.submit(marks.mark, path, n, 0.3) for n in range(count)]
    while not marks.begun(path):
        time.sleep(0.02)
    return tasks


@pytest.mark.parametrize("end", [kill, stop])
def test_a_lost_scheduler_is_a_clear_error_within_the_timeout(apart, tmp_path, end):
    scheduler, address = apart
    with DaskBackend(address, timeout=TIMEOUT) as backend:
        tasks = busy(backend, tmp_path / "marks")
        end(scheduler)
        started = time.monotonic()
        errors = [error for task in tasks if (error := task.exception(PATIENCE)) is not None]
        assert time.monotonic() - started < TIMEOUT + 1
        assert len(errors) >= 4 and {type(error) for error in errors} == {SchedulerLostError}
        assert f"the scheduler at {address} was lost" in str(errors[0])
        with pytest.raises(SchedulerLostError, match="cannot be used"):
            backend.submit(int)
        with pytest.raises(SchedulerLostError):
            HorizontalScaler(backend)
            backend.nodes()


@pytest.mark.parametrize("end", [kill, stop])
def test_tasks_of_a_lost_scheduler_are_done_here_if_told_to(apart, tmp_path, end):
    scheduler, address = apart
    with DaskBackend(address, timeout=TIMEOUT, fallback=True) as backend:
        path = tmp_path / "marks"
        tasks = busy(backend, path)
        end(scheduler)
        assert [task.result(PATIENCE) for task in tasks] == [n * n for n in range(6)]
        assert backend.submit(os.getpid).result(PATIENCE) == os.getpid()
        stats = backend.stats()
        assert 5 <= stats.local <= 7
        # only those that the cluster had begun were begun twice
        assert sum(marks.begun(path).values()) <= 6 + 2


def test_a_scheduler_that_was_silent_for_a_while_is_used_again(apart, tmp_path):
    scheduler, address = apart
    with DaskBackend(address, timeout=TIMEOUT) as backend:
        tasks = busy(backend, tmp_path / "marks")
        stop(scheduler)
        assert isinstance(tasks[-1].exception(PATIENCE), SchedulerLostError)
        os.kill(scheduler.pid, signal.SIGCONT)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                assert backend.submit(pow, 2, 5).result(PATIENCE) == 32
                break
            except SchedulerLostError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


def test_a_scheduler_that_never_was_there_is_a_clear_error():
    with pytest.raises(SchedulerLostError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9 within 1 s"):
        DaskBackend("tcp://127.0.0.1:9", timeout=1)


def test_or_everything_is_done_here():
    with LocalBackend(2) as other, DaskBackend("tcp://127.0.0.1:9", timeout=1, fallback=other) as backend:
        assert backend.submit(pow, 2, 3).result(PATIENCE) == 8
        assert backend.slots == 2 and backend.stats().local == 1
    assert other.stats().completed == 1


# --- a cluster that cannot give what is asked for -----------------------------------------------------------


def test_nodes_that_do_not_come_are_called_off_and_those_that_came_stay():
    import distributed
    from distributed.deploy.spec import NoOpAwaitable, ProcessInterface

    class Pending(ProcessInterface):
        """A node that a resource manager has queued and does not start, as Kubernetes' pending pods."""

        def __init__(self, scheduler, name=None, **_):
            super().__init__(scheduler=scheduler, name=name)

    given = {n: {"cls": distributed.Nanny, "options": {"nthreads": 1}} for n in range(1)}
    with distributed.SpecCluster(
        workers=given,
        worker={"cls": Pending, "options": {}},
        scheduler={
            "cls": distributed.Scheduler,
            "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"},
        },
    ) as cluster:
        assert NoOpAwaitable
        with DaskBackend(cluster, timeout=10) as backend:
            scaler = HorizontalScaler(backend, timeout=0.5)
            with pytest.raises(CapacityError, match=r"3 nodes were asked for, there are 1 after 0\.5 s"):
                scaler.scale_out(3)
            assert len(backend.nodes()) == 1 and len(cluster.worker_spec) == 1
            assert backend.submit(pow, 2, 4).result(PATIENCE) == 16


# --- versions -----------------------------------------------------------------------------------------------

OURS = {"python": "3.11.7.final.0", "distributed": "2026.8.0", "perfcore": "1.0"}


def report(scheduler=None, worker=None):
    return {
        "client": {"packages": OURS},
        "scheduler": {"packages": {**OURS, **(scheduler or {})}},
        "workers": {"tcp://a:1": {"packages": {**OURS, **(worker or {})}}},
    }


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            report({"distributed": "2025.1.0"}),
            "the scheduler runs distributed 2025.1.0, this process 2026.8.0",
        ),
        (
            report(worker={"python": "3.12.1.final.0"}),
            "the worker tcp://a:1 runs Python 3.12, this process 3.11",
        ),
        (report(worker={"perfcore": None}), r"runs perfcore \(not installed\), this process 1.0"),
        (report(worker={"perfcore": "0.9"}), "runs perfcore 0.9, this process 1.0"),
    ],
)
def test_a_cluster_of_other_versions_is_refused_with_both_named(told, message):
    with pytest.raises(VersionMismatchError, match=message):
        versions.check(told)


def test_what_does_not_matter_is_no_reason_to_refuse():
    versions.check(report({"perfcore": None, "python": "3.11.2.final.0"}))


def test_it_is_checked_when_a_backend_connects(monkeypatch):
    import distributed

    with DaskBackend.local(1, timeout=10) as real:
        monkeypatch.setattr(
            distributed.Client, "get_versions", lambda self, packages: report({"distributed": "2025.1.0"})
        )
        with pytest.raises(VersionMismatchError, match=r"2025\.1\.0, this process 2026\.8\.0"):
            DaskBackend(real.where, timeout=10)


def test_an_untested_distributed_is_logged(caplog):
    versions.note_untested("2026.8.0")
    assert not caplog.records
    versions.note_untested("2027.1.0")
    assert "outside of what was tested" in caplog.text


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"where": "cluster:8786"}, ValueError, "Expected an address like tcp://host:8786"),
        ({"where": 5}, TypeError, "Expected an address or a cluster of Dask, got `int`"),
        ({"where": "tcp://h:1", "timeout": 0}, ValueError, "Expected seconds > 0"),
        ({"where": "tcp://h:1", "timeout": "1"}, TypeError, "Expected seconds, got `str`"),
        ({"where": "tcp://h:1", "max_result": "many"}, ValueError, "many"),
        ({"where": "tcp://h:1", "max_nodes": 0}, ValueError, "max_nodes"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        DaskBackend(options.pop("where"), **options)


@pytest.mark.parametrize("count", [0, -1])
def test_a_cluster_has_at_least_one_node(count):
    with pytest.raises(ValueError, match="n_workers"):
        DaskBackend.local(count)
