"""The disk tier: a mapping on LMDB and zstd, shared by processes, crash-proof, bounded in bytes."""

from perfcore.cache.disk.cache import DiskCache
from perfcore.cache.disk.counters import DiskStats

__all__ = ["DiskCache", "DiskStats"]
