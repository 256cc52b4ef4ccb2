"""Caches: in memory and on disk. Names load on first use."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore._native.cache import Cache, CacheStats
    from perfcore.cache import codec
    from perfcore.cache.disk import DiskCache

__all__ = ["Cache", "CacheStats", "DiskCache", "codec"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.cache": ["codec"],
        "perfcore._native.cache": ["Cache", "CacheStats"],
        "perfcore.cache.disk": ["DiskCache"],
    },
)
