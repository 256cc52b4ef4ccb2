"""Caches: in memory, on disk and on servers. Names load on first use."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore._native.cache import Cache, CacheStats
    from perfcore.cache import codec
    from perfcore.cache.adaptive import AdaptiveCacheStrategy, CacheBudget
    from perfcore.cache.disk import DiskCache
    from perfcore.cache.functions.decorator import cached
    from perfcore.cache.functions.methods import cached_method
    from perfcore.cache.functions.typed import CachedFunction
    from perfcore.cache.manager import CacheManager
    from perfcore.cache.predictive import AccessContext, Prediction, PredictiveCaching
    from perfcore.cache.remote import RemoteCache
    from perfcore.types import CacheInfo

__all__ = [
    "AccessContext",
    "AdaptiveCacheStrategy",
    "Cache",
    "CacheBudget",
    "CacheInfo",
    "CacheManager",
    "CacheStats",
    "CachedFunction",
    "DiskCache",
    "Prediction",
    "PredictiveCaching",
    "RemoteCache",
    "cached",
    "cached_method",
    "codec",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.cache": ["codec"],
        "perfcore._native.cache": ["Cache", "CacheStats"],
        "perfcore.cache.adaptive": ["AdaptiveCacheStrategy", "CacheBudget"],
        "perfcore.cache.disk": ["DiskCache"],
        "perfcore.cache.functions.decorator": ["cached"],
        "perfcore.cache.functions.methods": ["cached_method"],
        "perfcore.cache.functions.typed": ["CachedFunction"],
        "perfcore.cache.manager": ["CacheManager"],
        "perfcore.cache.predictive": ["AccessContext", "Prediction", "PredictiveCaching"],
        "perfcore.cache.remote": ["RemoteCache"],
        "perfcore.types": ["CacheInfo"],
    },
)
