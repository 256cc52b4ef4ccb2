"""The configuration examples of the guide, in snake_case and seconds."""

BASIC = {
    "enable_caching": True,
    "enable_monitoring": True,
    "enable_profiling": True,
    "optimization_level": "aggressive",
    "caching": {"strategy": "adaptive", "max_memory": "512MB", "persist_to_disk": True},
    "monitoring": {
        "interval": 5,
        "enable_metrics": True,
        "enable_alerts": True,
        "thresholds": {"cpu": 80, "memory": 85, "response_time": 1},
    },
}

ADVANCED = {
    "optimization": {
        "level": "aggressive",
        "enable_precompilation": True,
        "enable_code_splitting": True,
        "enable_tree_shaking": True,
    },
    "caching": {
        "strategy": "adaptive",
        "layers": {
            "l1": {"type": "memory", "size": "128MB", "strategy": "lfu"},
            "l2": {"type": "disk", "size": "1GB", "compression": True},
            "l3": {"type": "distributed", "nodes": ["cache-1", "cache-2"]},
        },
        "policies": {
            "invalidation": "dependency-based",
            "preloading": "predictive",
            "compression": "adaptive",
        },
    },
    "monitoring": {
        "enable_profiling": True,
        "sampling_rate": 0.1,
        "enable_tracing": True,
        "alerts": {
            "cpu": {"threshold": 80, "action": "scale_workers"},
            "memory": {"threshold": 85, "action": "trigger_gc"},
            "latency": {"threshold": 2, "action": "enable_fast_path"},
        },
    },
    "workers": {
        "pool": {"min": 2, "max": 8, "scaling": "adaptive"},
        "queues": {
            "high": {"priority": 10, "max_size": 100},
            "normal": {"priority": 5, "max_size": 500},
            "low": {"priority": 1, "max_size": 1000},
        },
    },
}

CACHE_CONFIG = {
    "layers": {
        "memory": {"max_size": "256MB", "strategy": "lru", "ttl": 3600},
        "disk": {"enabled": True, "directory": "cache", "max_size": "2GB", "compression": False},
        "distributed": {"enabled": True, "nodes": ["10.0.0.1:6379", "[::1]:6379"], "replication_factor": 2},
    },
    "policies": {
        "invalidation_strategy": "manual",
        "warmup_strategy": "eager",
        "eviction_policy": "random",
    },
}

PARSER = {
    "enable_parse_cache": True,
    "cache_size": "256MB",
    "cache_ttl": 3600,
    "enable_batching": True,
    "batch_size": 50,
    "max_concurrency": 4,
    "enable_memory_optimization": True,
    "gc_threshold": 0.8,
    "enable_stream_processing": True,
    "buffer_size": 64 * 1024,
}
