"""Every key of the guide's examples, in snake_case, is accepted and lands in its canonical place."""

import pytest
from guide_examples import ADVANCED, BASIC, CACHE_CONFIG, PARSER

from perfcore.config import load


def said(source=None, **options):
    """Return what decided a value other than a default, by setting."""
    settings = load(source, **options).settings
    return {
        path: setting.value
        for path, setting in settings.items()
        if setting.origin != "default" and not setting.origin.startswith("level")
    }


def test_the_manager_example():
    assert said(BASIC) == {
        "caching.enabled": True,
        "monitoring.enabled": True,
        "monitoring.enable_profiling": True,
        "optimization.level": "aggressive",
        "caching.layers.memory.strategy": "adaptive",
        "caching.layers.memory.max_size": 512 << 20,
        "caching.layers.disk.enabled": True,
        "monitoring.interval": 5.0,
        "monitoring.enable_metrics": True,
        "monitoring.enable_alerts": True,
        "monitoring.alerts.cpu.threshold": 80.0,
        "monitoring.alerts.memory.threshold": 85.0,
        "monitoring.alerts.latency.threshold": 1.0,
    }


def test_the_advanced_example():
    assert said(ADVANCED) == {
        "optimization.level": "aggressive",
        "optimization.enable_precompilation": True,
        "optimization.enable_code_splitting": True,
        "optimization.enable_tree_shaking": True,
        "caching.layers.memory.max_size": 128 << 20,
        "caching.layers.memory.strategy": "lfu",
        "caching.layers.disk.enabled": True,
        "caching.layers.disk.max_size": 1 << 30,
        "caching.layers.disk.compression": "on",
        "caching.layers.distributed.enabled": True,
        "caching.layers.distributed.nodes": ("cache-1", "cache-2"),
        "caching.policies.invalidation": "dependency",
        "caching.policies.warmup": "predictive",
        "monitoring.enabled": True,
        "monitoring.enable_profiling": True,
        "monitoring.sampling_rate": 0.1,
        "monitoring.enable_tracing": True,
        "monitoring.enable_alerts": True,
        "monitoring.alerts.cpu.threshold": 80.0,
        "monitoring.alerts.cpu.action": "scale_workers",
        "monitoring.alerts.memory.threshold": 85.0,
        "monitoring.alerts.memory.action": "trigger_gc",
        "monitoring.alerts.latency.threshold": 2.0,
        "monitoring.alerts.latency.action": "enable_fast_path",
        "workers.enabled": True,
        "workers.pool.min": 2,
        "workers.pool.max": 8,
        "workers.pool.scaling": "adaptive",
        "workers.queues.high.priority": 10,
        "workers.queues.high.max_size": 100,
        "workers.queues.normal.priority": 5,
        "workers.queues.normal.max_size": 500,
        "workers.queues.low.priority": 1,
        "workers.queues.low.max_size": 1000,
    }


def test_the_cache_config():
    assert said({"caching": CACHE_CONFIG}) == {
        "caching.layers.memory.max_size": 256 << 20,
        "caching.layers.memory.strategy": "lru",  # the layer's own, over policies.eviction_policy
        "caching.layers.memory.ttl": 3600.0,
        "caching.layers.disk.enabled": True,
        "caching.layers.disk.directory": "cache",
        "caching.layers.disk.max_size": 2 << 30,
        "caching.layers.disk.compression": "off",
        "caching.layers.distributed.enabled": True,
        "caching.layers.distributed.nodes": ("10.0.0.1:6379", "[::1]:6379"),
        "caching.layers.distributed.replication_factor": 2,
        "caching.policies.invalidation": "manual",
        "caching.policies.warmup": "eager",
    }


def test_the_parser_options():
    assert said({"parsing": PARSER}) == {
        f"parsing.{name}": 256 << 20 if name == "cache_size" else value for name, value in PARSER.items()
    }


def test_the_memory_options_of_the_guide_may_stand_beside_the_others_of_a_manager():
    assert said(enable_memory_optimization=True, gc_threshold=0.8) == {
        "memory_optimization.enabled": True,
        "memory_optimization.gc_threshold": 0.8,
    }
    implied = said(memory_optimization={"interval": 30, "buffers": {"max_bytes": "8MB"}})
    assert implied == {
        "memory_optimization.enabled": True,
        "memory_optimization.interval": 30.0,
        "memory_optimization.buffers.max_bytes": 8 << 20,
    }


@pytest.mark.parametrize("example", [BASIC, ADVANCED, {"caching": CACHE_CONFIG}, {"parsing": PARSER}])
def test_keywords_and_a_dict_mean_the_same(example):
    assert load(**example) == load(example)


def test_the_disk_is_compressed_as_the_layer_says_and_else_as_the_policy_says():
    caching = {"policies": {"compression": "off"}}
    assert said(caching=caching)["caching.layers.disk.compression"] == "off"
    caching["layers"] = {"disk": {"compression": True}}
    assert said(caching=caching)["caching.layers.disk.compression"] == "on"
