"""What the optimization level decides where nothing more specific is said."""

from __future__ import annotations

from perfcore.config.schema import MB

__all__ = ["LEVELS"]

#: level -> setting -> value; the settings of "balanced" are the schema's own defaults
LEVELS: dict[str, dict[str, object]] = {
    "conservative": {
        "caching.layers.memory.max_size": 64 * MB,
        "parsing.cache_size": 64 * MB,
        "parsing.max_concurrency": 1,
    },
    "balanced": {},
    "aggressive": {
        "caching.layers.memory.max_size": 512 * MB,
        "parsing.cache_size": 512 * MB,
    },
}
