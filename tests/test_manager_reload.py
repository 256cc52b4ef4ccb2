"""A manager takes another configuration while it runs, wholly or not at all."""

import logging

import pytest

from perfcore import ConfigError, PerformanceManager
from perfcore.monitor.rules import ThresholdRule

WATCHED = {"enabled": True, "enable_alerts": True, "interval": 60}


def test_what_runs_takes_its_new_sizes_without_losing_what_it_holds(tmp_path):
    layers = {"memory": {"max_size": "8MB"}, "disk": {"directory": str(tmp_path), "max_size": "64MB"}}
    with PerformanceManager(caching={"layers": layers}) as manager:
        manager.cache.set("a", 1)
        layers["memory"] |= {"max_size": "4MB", "strategy": "lfu"}
        layers["disk"] |= {"max_size": "128MB"}
        outcome = manager.reload(caching={"layers": layers})
        assert outcome.at_next_start == ()
        assert [path.removeprefix("caching.layers.") for path in outcome.applied] == [
            "disk.max_size",
            "memory.max_size",
            "memory.strategy",
        ]
        assert (manager.memory.capacity, manager.memory.policy) == (4 << 20, "lfu")
        assert f"maxbytes={128 << 20}" in repr(manager.disk)
        assert manager.cache.get("a") == 1
        assert manager.config.caching.layers.memory.strategy == "lfu"


def test_what_is_not_built_yet_is_built_from_the_new_configuration():
    with PerformanceManager() as manager:
        assert manager.reload(caching={"layers": {"memory": {"ttl": 5}}}).at_next_start == ()
        manager.memory["a"] = 1
        assert 4 < manager.memory.expires_in("a") <= 5


def test_what_cannot_be_changed_while_it_runs_waits_for_a_start_and_says_so(caplog):
    with PerformanceManager() as manager:
        manager.memory["a"] = 1
        with caplog.at_level(logging.WARNING, "perfcore"):
            outcome = manager.reload(caching={"layers": {"memory": {"ttl": 5}}})
        assert outcome == ((), ("caching.layers.memory.ttl",))
        assert "caching.layers.memory.ttl" in caplog.text
        assert manager.memory.expires_in("a") is None
        manager.close()
        manager.start()
        manager.memory["a"] = 1
        assert manager.memory.expires_in("a") is not None


def test_an_invalid_configuration_changes_nothing():
    with PerformanceManager(caching={"max_memory": "8MB"}) as manager:
        before = manager.memory.capacity, manager.config, manager.explain()
        with pytest.raises(ConfigError, match=r"caching\.strategy"):
            manager.reload(caching={"max_memory": "4MB", "strategy": "fifo"})
        assert (manager.memory.capacity, manager.config, manager.explain()) == before


def test_when_one_part_cannot_take_its_value_the_others_get_their_old_ones_back(monkeypatch):
    with PerformanceManager(caching={"max_memory": "8MB"}, workers={"pool": {"min": 1, "max": 2}}) as manager:
        _ = manager.memory, manager.workers

        def resize(least, most, former=manager.workers.resize):
            if most == 4:
                raise RuntimeError("no more threads")
            former(least, most)

        monkeypatch.setattr(manager.workers, "resize", resize)
        with pytest.raises(RuntimeError, match="no more threads"):
            manager.reload(caching={"max_memory": "4MB"}, workers={"pool": {"min": 1, "max": 4}})
        assert manager.memory.capacity == 8 << 20
        assert manager.config.workers.pool.max == 2


def test_thresholds_are_replaced_and_the_rules_of_the_application_stay():
    with PerformanceManager(monitoring={**WATCHED, "thresholds": {"cpu": 80}}) as manager:
        manager.alerts.add_rule(ThresholdRule(name="mine", metric="custom.mine", threshold=1))
        outcome = manager.reload(monitoring={**WATCHED, "thresholds": {"cpu": 90, "memory": 70}})
        assert outcome.applied == ("monitoring.alerts.cpu.threshold", "monitoring.alerts.memory.threshold")
        rules = {rule.name: rule.threshold for rule in manager.alerts.rules()}
        assert rules == {"mine": 1, "threshold cpu": 90, "threshold memory": 70}


def test_the_share_of_sampled_calls_changes_for_functions_that_are_profiled_already():
    with PerformanceManager(enable_profiling=True, monitoring={"sampling_rate": 0}) as manager:
        profiled = manager.profiler.profiled(lambda: 1)
        profiled()
        manager.reload(enable_profiling=True, monitoring={"sampling_rate": 1})
        profiled()
        assert manager.profiler.stats().samples == 1


def test_reloading_the_same_changes_nothing(tmp_path):
    path = tmp_path / "service.toml"
    path.write_text("[caching]\nmax_memory = '8MB'\n")
    with PerformanceManager(path) as manager:
        _ = manager.memory
        assert manager.reload(path) == ((), ())
        path.write_text("[caching]\nmax_memory = '4MB'\n")
        assert manager.reload(path).applied == ("caching.layers.memory.max_size",)
