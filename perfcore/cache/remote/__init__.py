"""The remote tier: one API over a Valkey or Redis server or cluster, that survives the death of either."""

from perfcore.cache.remote.budget import within
from perfcore.cache.remote.cache import RemoteCache
from perfcore.cache.remote.counters import NodeStats, RemoteStats

__all__ = ["NodeStats", "RemoteCache", "RemoteStats", "within"]
