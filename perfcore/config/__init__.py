"""One frozen, validated :class:`PerformanceConfig`, however it was spelled. Names load on first use."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.config.loading import Loaded, Setting, load
    from perfcore.config.schema import CacheConfig, PerformanceConfig

__all__ = ["CacheConfig", "Loaded", "PerformanceConfig", "Setting", "load"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.config.loading": ["Loaded", "Setting", "load"],
        "perfcore.config.schema": ["CacheConfig", "PerformanceConfig"],
    },
)
