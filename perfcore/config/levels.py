"""What the optimization level decides where nothing more specific is said."""

from __future__ import annotations

from perfcore.config.schema import MB

__all__ = ["LEVELS"]

#: level -> setting -> value; the settings of "balanced" are the schema's own defaults. What costs only where
#: it is used (the room of a cache) grows with the level; work ahead of use needs "aggressive".
LEVELS: dict[str, dict[str, object]] = {
    "conservative": {
        "caching.layers.memory.max_size": 64 * MB,
        "monitoring.interval": 15.0,
        "monitoring.sampling_rate": 0.01,
        "parsing.cache_size": 64 * MB,
        "parsing.enable_memory_optimization": False,
        "parsing.max_concurrency": 1,
        "workers.pool.min": 1,
        "workers.pool.max": 2,
    },
    "balanced": {},
    "aggressive": {
        "caching.layers.memory.max_size": 512 * MB,
        "caching.policies.warmup": "eager",
        "optimization.enable_precompilation": True,
        "parsing.cache_size": 512 * MB,
        "parsing.max_concurrency": None,
    },
}
