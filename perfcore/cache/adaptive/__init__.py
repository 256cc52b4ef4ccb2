"""Caches that change themselves where that pays, and say why. Names load on first use."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.cache.adaptive.analysis import AccessAnalysis, TierWorth
    from perfcore.cache.adaptive.budget import CacheBudget, Division
    from perfcore.cache.adaptive.curve import MissRatioCurve
    from perfcore.cache.adaptive.strategy import AdaptiveCacheStrategy, Step

__all__ = [
    "AccessAnalysis",
    "AdaptiveCacheStrategy",
    "CacheBudget",
    "Division",
    "MissRatioCurve",
    "Step",
    "TierWorth",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.cache.adaptive.analysis": ["AccessAnalysis", "TierWorth"],
        "perfcore.cache.adaptive.budget": ["CacheBudget", "Division"],
        "perfcore.cache.adaptive.curve": ["MissRatioCurve"],
        "perfcore.cache.adaptive.strategy": ["AdaptiveCacheStrategy", "Step"],
    },
)
