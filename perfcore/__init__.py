"""The performance layer of a Python service: caches, pools and metrics on a small C core.

Importing this package starts no thread, opens no file and loads no backend; every public name below is
loaded on first use.
"""

from perfcore._lazy import lazy
from perfcore._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.cache import Cache, DiskCache, cached, cached_method
    from perfcore.compat.async_lru import alru_cache
    from perfcore.compat.functools import lru_cache
    from perfcore.config import PerformanceConfig
    from perfcore.errors import CodecError, ConfigError, MissingExtraError, PerfcoreError
    from perfcore.manager import PerformanceManager
    from perfcore.optimizing import optimize_for_performance
    from perfcore.simulation import SimulationResult, simulate

__all__ = [
    "Cache",
    "CodecError",
    "ConfigError",
    "DiskCache",
    "MissingExtraError",
    "PerfcoreError",
    "PerformanceConfig",
    "PerformanceManager",
    "SimulationResult",
    "__version__",
    "alru_cache",
    "cached",
    "cached_method",
    "lru_cache",
    "optimize_for_performance",
    "simulate",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.cache": ["Cache", "DiskCache", "cached", "cached_method"],
        "perfcore.compat.async_lru": ["alru_cache"],
        "perfcore.compat.functools": ["lru_cache"],
        "perfcore.config": ["PerformanceConfig"],
        "perfcore.errors": ["CodecError", "ConfigError", "MissingExtraError", "PerfcoreError"],
        "perfcore.manager": ["PerformanceManager"],
        "perfcore.optimizing": ["optimize_for_performance"],
        "perfcore.simulation": ["SimulationResult", "simulate"],
    },
)
