"""Prediction: what will be asked for soon, loaded before it is. Names load on first use."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.cache.predictive.caching import PredictiveCaching
    from perfcore.cache.predictive.context import AccessContext
    from perfcore.cache.predictive.records import Limits, Prediction, PredictionStats, SourceStats

__all__ = ["AccessContext", "Limits", "Prediction", "PredictionStats", "PredictiveCaching", "SourceStats"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.cache.predictive.caching": ["PredictiveCaching"],
        "perfcore.cache.predictive.context": ["AccessContext"],
        "perfcore.cache.predictive.records": ["Limits", "Prediction", "PredictionStats", "SourceStats"],
    },
)
