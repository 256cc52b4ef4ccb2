"""A manager that is told to look after memory does: from its start to its end, and it says what it does."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from urllib.request import urlopen

import pytest

from perfcore import ConfigError, PerformanceManager
from perfcore.cache import Cache
from perfcore.cli import main
from perfcore.monitor.exported import performance_snapshot
from perfcore.types import BufferStats, ObjectStats

PATIENCE = 30
OFTEN = {"interval": 0.02, "share": 1, "discovery": 0}
#: a share of the limit that every process uses: memory is short from the beginning
SHORT = {**OFTEN, "gc_threshold": 1e-9, "interval": 3600}
SIZE = 8 << 20


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)
    return found


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name == "perfcore-memory"]


@pytest.fixture(autouse=True)
def _as_it_was():
    gc.unfreeze()  # CPython 3.12 starts with some of its own
    before = gc.get_threshold(), len(gc.callbacks)
    yield
    assert (gc.get_threshold(), len(gc.callbacks), gc.get_freeze_count()) == (*before, 0)
    assert not threads()


# --- when it runs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"enable_memory_optimization": True, "gc_threshold": 0.9},
        {"optimization": {"enable_memory_optimization": True, "gc_threshold": 0.9}},
        {"memory_optimization": {"gc_threshold": 0.9}},
        {"memory_optimization": {"enabled": True, "gc_threshold": 0.9}},
    ],
)
def test_however_the_guides_options_are_spelled_it_runs_from_the_start(options):
    with PerformanceManager(options) as manager:
        assert manager.status().parts["memory_optimizer"].state == "running"
        assert manager.memory_optimizer.running and threads() == ["perfcore-memory"]
        assert manager.config.memory_optimization.gc_threshold == 0.9


def test_it_works_by_itself_and_is_started_and_stopped_with_the_manager():
    manager = PerformanceManager(memory_optimization=OFTEN)
    assert not threads()
    for _ in range(2):
        with manager:
            stats = wait_for(lambda: manager.status().parts["memory_optimizer"].stats)
            wait_for(lambda: manager.memory_optimizer.stats().rounds >= 2)
            assert stats.gc == "watching" and stats.pressure.share > 0
            assert manager.memory_optimizer.last.seconds > 0
        assert not threads()


def test_without_being_told_it_does_nothing_until_it_is_asked():
    with PerformanceManager() as manager:
        assert manager.status().parts["memory_optimizer"].state == "idle"
        report = manager.optimize_memory()
        assert report.gc.action == "watching" and report.seconds > 0
        assert asyncio.run(manager.aoptimize_memory()).before.limit > 0
        assert manager.status().parts["memory_optimizer"].stats.rounds == 2
        assert not manager.memory_optimizer.running and not threads()


def test_a_deploy_is_not_needed_to_switch_it_off(monkeypatch):
    monkeypatch.setenv("PERFCORE_DISABLE", "memory_optimization")
    with PerformanceManager(enable_memory_optimization=True) as manager:
        assert not threads()
        assert manager.explain()["memory_optimization.enabled"].origin == "PERFCORE_DISABLE"


def test_what_is_not_used_is_not_loaded():
    script = """
import sys
from perfcore import PerformanceManager
with PerformanceManager() as manager:
    manager.memory['a'] = 1; manager.status()
    print(sorted(name for name in sys.modules if name.startswith(('perfcore.memory', 'perfcore._native.ob'))))
    manager.return_buffer(manager.get_optimal_buffer(10))
    print(sorted(name for name in sys.modules if name.startswith(('perfcore.memory', 'perfcore._native.ob'))))
with PerformanceManager(enable_memory_optimization=True) as manager:
    print('perfcore.memory.optimizer' in sys.modules, 'objgraph' in sys.modules, 'numpy' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]", "True False False"]


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"memory_optimization": {"gc_treshold": 0.8}}, "gc_threshold"),
        ({"memory_optimization": {"gc_threshold": 0}}, "memory_optimization.gc_threshold"),
        ({"memory_optimization": {"gc_threshold": 80}}, "memory_optimization.gc_threshold"),
        ({"gc_threshold": "0.8"}, "$.gc_threshold"),
        ({"memory_optimization": {"interval": 0}}, "memory_optimization.interval"),
        ({"memory_optimization": {"frequency": float("nan")}}, "memory_optimization.frequency"),
        ({"memory_optimization": {"stalled": 101}}, "memory_optimization.stalled"),
        ({"memory_optimization": {"discovery": 1}}, "memory_optimization.discovery"),
        (
            {"memory_optimization": {"buffers": {"max_bytes": "much"}}},
            "memory_optimization.buffers.max_bytes",
        ),
        ({"memory_optimization": {"buffers": {"initial": 21}}}, "memory_optimization.buffers"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(options, path):
    with pytest.raises(ConfigError) as refused:
        PerformanceManager(options)
    assert path in str(refused.value)


# --- pools --------------------------------------------------------------------------------------------------


def test_buffers_and_object_pools_are_had_by_the_guides_names_and_seen_in_the_status():
    with PerformanceManager(memory_optimization={**OFTEN, "buffers": {"initial": 1}}) as manager:
        buffer = manager.get_optimal_buffer("5KB")
        assert (len(buffer), buffer.capacity) == (5120, 16384)
        assert manager.status().parts["buffers"].stats.in_use == 1
        manager.return_buffer(buffer)
        with pytest.raises(BufferError):
            manager.return_buffer(buffer)
        pool = manager.create_object_pool(dict, 30, dict.clear, name="rows")
        with pool.acquire() as row:
            row["k"] = 1
        assert (pool.min, pool.max) == (3, 30)
        pools = manager.status().parts["memory_optimizer"].stats.pools
        assert {name: type(stats) for name, stats in pools.items()} == {
            "buffers": BufferStats,
            "rows": ObjectStats,
        }
        assert pools["rows"].released == 1


def test_the_optimizer_of_input_lends_the_same_buffers():
    with PerformanceManager() as manager:
        optimizer = manager.io_optimizer
        assert optimizer.pool is manager.buffers
        optimizer.return_buffer(optimizer.get_optimal_buffer(100))
        assert manager.status().parts["buffers"].stats.released == 1


def test_what_nobody_asks_for_any_more_is_given_back():
    with PerformanceManager(memory_optimization=OFTEN) as manager:
        manager.return_buffer(manager.get_optimal_buffer(1 << 20))
        wait_for(lambda: manager.buffers.stats().idle_bytes == 0)
        assert manager.buffers.stats().trimmed > 0


def test_pools_are_seen_by_whoever_asks_over_http_and_in_the_metrics(monkeypatch, capsys):
    monitoring = {"interval": 0.05}
    with PerformanceManager(memory_optimization=SHORT, monitoring=monitoring) as manager:
        pool = manager.create_object_pool(dict, 10, dict.clear, name="rows")
        buffer, lease = manager.get_optimal_buffer(3000), pool.acquire()
        wait_for(lambda: manager.get_metrics().custom["pools"].get("objects_in_use") == 1)
        assert manager.get_metrics().custom["pools"]["buffers_in_use"] == 3000
        assert performance_snapshot(manager.get_metrics())["custom.pools.buffers_in_use"].samples
        with manager.serve(port=0, interval=0.05) as server:
            live = wait_for(
                lambda: seen(server, "live.json", lambda live: live.get("pools") and live["decisions"])
            )
            assert {one["name"]: one["in_use"] for one in live["pools"]} == {"rows": 1, "buffers": 3000}
            assert any("memory given back" in one["what"] for one in live["decisions"])
            text = urlopen(f"{server.url}metrics").read().decode()
            assert 'perfcore_objects_in_use{pool="rows"} 1' in text
            assert 'perfcore_buffers_in_use_bytes{pool="buffers"} 3000' in text
            assert 'perfcore_pool_acquired_total{pool="rows",source="reused"} 1' in text
            monkeypatch.setattr(sys, "argv", ["perfcore", "top", server.url])
            with pytest.raises(SystemExit):
                main()
            assert "Pools" in (shown := capsys.readouterr().out) and "rows" in shown
        manager.return_buffer(buffer)
        lease.release()


def seen(server, path, wanted):
    found = json.loads(urlopen(f"{server.url}{path}").read())
    return found if wanted(found) else None


# --- memory is short ----------------------------------------------------------------------------------------


def test_when_memory_is_short_the_tier_and_the_pools_shrink_and_are_whole_again_at_the_end():
    manager = PerformanceManager(memory_optimization=SHORT, caching={"max_memory": SIZE})
    with manager:
        tier, pool = manager.memory, manager.buffers
        wait_for(lambda: tier.capacity == SIZE // 2 and pool.stats().idle_bytes == 0)
        relief = wait_for(lambda: manager.memory_optimizer.stats().relief)
        assert relief.caches_shrunk == 1 and relief.buffer_bytes > 0 and relief.collected >= 0
        (decision, *_) = manager.memory_optimizer.decisions()
        assert "1 caches halved" in decision.what and "of the limit in use" in decision.why
    assert tier.capacity == SIZE


def test_a_size_that_somebody_set_meanwhile_is_not_overruled():
    with PerformanceManager(memory_optimization=SHORT, caching={"max_memory": SIZE}) as manager:
        tier = manager.memory
        wait_for(lambda: tier.capacity == SIZE // 2)
        manager.reload(memory_optimization=SHORT, caching={"max_memory": SIZE // 8})
        assert tier.capacity == SIZE // 8
    assert tier.capacity == SIZE // 8


def test_a_cache_of_the_applications_own_shrinks_too_and_is_not_kept_alive():
    with PerformanceManager(memory_optimization=SHORT) as manager:
        cache = Cache(100)
        assert manager.memory_optimizer.register(cache, "mine") == "mine"
        while cache.capacity > 50:
            time.sleep(0.01)
        gone = weakref.ref(cache)
        del cache
        gc.collect()
        assert gone() is None and manager.optimize_memory().relief.caches_shrunk == 0


def test_while_memory_is_short_no_cache_is_given_more_room():
    with PerformanceManager(memory_optimization=SHORT, optimization_level="aggressive") as manager:
        strategy = manager.strategy
        wait_for(strategy.hold)


def test_the_alert_action_gives_memory_back():
    alerts = {"memory": {"threshold": 0, "action": "trigger_gc"}}
    monitoring = {"interval": 0.05, "alerts": alerts}
    with PerformanceManager(memory_optimization=OFTEN | {"interval": 3600}, monitoring=monitoring) as manager:
        assert manager.buffers.stats().idle_bytes > 0
        wait_for(lambda: manager.buffers.stats().idle_bytes == 0)
        records = wait_for(lambda: [one for one in manager.alerts.actions.records() if one.outcome == "done"])
        assert records[0].action == "trigger_gc"


# --- the collector, and leaks -------------------------------------------------------------------------------


class Node:
    def __init__(self):
        self.me = self


def test_what_was_tuned_is_undone_at_the_end():
    found = gc.get_threshold()
    gc.set_threshold(10, 1, 1)
    try:
        watched = {"interval": 0.2, "share": 1, "detect_leaks": False, "discovery": 0}
        with PerformanceManager(memory_optimization=watched) as manager:

            def tuned():
                for _ in range(50_000):
                    Node()
                return [one for one in manager.memory_optimizer.decisions() if "collector tuned" in one.what]

            (decision,) = wait_for(tuned)
            assert "% of the time" in decision.why
        assert gc.get_threshold() == (10, 1, 1)
    finally:
        gc.set_threshold(*found)


def test_leaks_are_found_by_themselves_and_said():
    held = []

    class Session:
        pass

    with PerformanceManager(memory_optimization=OFTEN) as manager:

        def suspected():
            held.extend(Session() for _ in range(200))
            return [name for name in manager.memory_optimizer.stats().suspects if "Session" in name]

        wait_for(suspected)
        assert any("leak suspected" in one.what for one in manager.memory_optimizer.decisions())
        assert manager.memory_optimizer.detect_memory_leaks() is not None


def test_what_the_configuration_leaves_out_is_not_done():
    quiet = {**OFTEN, "tune_gc": False, "detect_leaks": False}
    before = len(gc.callbacks)
    with PerformanceManager(memory_optimization=quiet) as manager:
        report = manager.optimize_memory()
        assert report.gc.action == "off" and report.leaks == [] and len(gc.callbacks) == before


# --- forks --------------------------------------------------------------------------------------------------


def test_a_forked_child_goes_on_by_itself():
    with PerformanceManager(memory_optimization=OFTEN) as manager:
        wait_for(lambda: manager.memory_optimizer.stats().rounds)
        child = os.fork()
        if child == 0:
            try:
                before = manager.memory_optimizer.stats().rounds
                wait_for(lambda: manager.memory_optimizer.stats().rounds > before)
                manager.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
