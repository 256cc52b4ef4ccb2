"""cachetools' names over perfcore: classes and decorators with their constructor shapes and their manners.

>>> cache = LRUCache(maxsize=2)
>>> cache.update(a=1, b=2); _ = cache["a"]; cache["c"] = 3
>>> sorted(cache)
['a', 'c']
"""

from perfcore.compat.cachetools import func, keys
from perfcore.compat.cachetools.caches import Cache, FIFOCache, LRUCache, RRCache
from perfcore.compat.cachetools.decorator import cached
from perfcore.compat.cachetools.frequency import LFUCache
from perfcore.compat.cachetools.method import cachedmethod
from perfcore.compat.cachetools.timed import TLRUCache, TTLCache

__all__ = [
    "Cache",
    "FIFOCache",
    "LFUCache",
    "LRUCache",
    "RRCache",
    "TLRUCache",
    "TTLCache",
    "cached",
    "cachedmethod",
    "func",
    "keys",
]
