"""What a manager exports are the instruments of the process, whoever records into them, and whenever."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
from urllib.request import urlopen

import pytest

from perfcore import PerformanceManager
from perfcore.memory import BufferPool
from perfcore.metrics import Counter, Timer, default_registry


def scraped(server):
    lines = urlopen(f"{server.url}metrics").read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_instruments_that_name_no_registry_are_what_a_manager_exports():
    served = Counter("manager_metrics.served")
    try:
        with PerformanceManager() as manager, manager.serve(port=0) as server:
            served.inc(3)
            assert scraped(server)["manager_metrics_served_total"] == "3"
    finally:
        default_registry().unregister("manager_metrics.served")


@pytest.mark.parametrize("ends", ["before", "after"])
def test_what_processes_of_a_worker_pool_count_is_in_what_the_manager_exports(tmp_path, ends):
    (tmp_path / "jobs.py").write_text(
        textwrap.dedent(
            """
            import os
            from perfcore.metrics import Counter, Histogram

            def work(n):
                Counter("jobs").inc(n)
                Histogram("sizes").observe(n)
                return os.getpid()
            """
        )
    )
    script = f"""
import os
from urllib.request import urlopen
import jobs
from perfcore import PerformanceManager
from perfcore.workers import WorkerPool
if __name__ == "__main__":
    jobs.work(1)
    with PerformanceManager() as manager, manager.serve(port=0) as server:
        pool = WorkerPool(2, 2, kind="process")
        assert os.getpid() not in {{pool.submit(jobs.work, 2).result(120) for _ in range(5)}}
        if {ends == "before"}:
            pool.close()
        for line in urlopen(server.url + "metrics").read().decode().splitlines():
            if line.startswith(("jobs_total ", "sizes_count ")):
                print(line)
        pool.close()
"""
    (tmp_path / "main.py").write_text(script)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    (tmp_path / "metrics").mkdir()
    environment = os.environ | {"PYTHONPATH": path, "PERFCORE_METRICS_DIR": str(tmp_path / "metrics")}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")], env=environment, capture_output=True, text=True
    )
    assert (done.stderr, done.stdout.split()) == ("", ["jobs_total", "11", "sizes_count", "6"])


def test_signal_handlers_and_callbacks_of_the_collector_use_a_managers_instruments_without_a_deadlock():
    """Each may come in the middle of any other, in the thread that holds whatever lock there is."""
    came = {"collector": 0, "signal": 0}
    timer = Timer("manager_metrics.time")
    memory = {"interval": 0.05, "share": 0.2, "detect_leaks": False, "discovery": 0}
    with PerformanceManager(monitoring={"interval": 0.05}, memory_optimization=memory) as manager:
        manager.profiler, manager.memory_optimizer, manager.buffers  # noqa: B018 - built before the storm
        pool = manager.create_object_pool(list, 10, list.clear)
        recorded, depth = [0], [0]

        def record():
            recorded[0] += 1
            with timer, pool.acquire(), manager.get_optimal_buffer(100):
                manager.monitor.parsing.record(0.01)
                manager.memory["key"] = recorded[0]
                manager.memory_optimizer.register(BufferPool(initial=0), "brief")
            manager.memory_optimizer.stats()
            manager.get_metrics()
            manager.status()

        def collecting(phase, info):
            if came["collector"] < 200:
                came["collector"] += 1
                record()

        def alarmed(*_):
            if depth[0] < 3:  # an alarm may come in an alarm, but not for ever
                came["signal"] += 1
                depth[0] += 1
                record()
                depth[0] -= 1

        before = signal.signal(signal.SIGALRM, alarmed)
        gc.callbacks.append(collecting)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        try:
            while min(came.values()) < 50:
                record()
                [[[]] for _ in range(300)]
                gc.collect(0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            gc.callbacks.remove(collecting)
        assert manager.monitor.parsing.times().count == timer.count == recorded[0]
        assert pool.stats().in_use == 0 and manager.buffers.stats().in_use == 0
    default_registry().unregister("manager_metrics.time")
