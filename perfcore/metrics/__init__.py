"""What a service measures of itself: trends and anomalies of series."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.metrics.anomaly import Anomaly, AnomalyDetector
    from perfcore.metrics.trend import Trend, trend

__all__ = ["Anomaly", "AnomalyDetector", "Trend", "trend"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.metrics.anomaly": ["Anomaly", "AnomalyDetector"],
        "perfcore.metrics.trend": ["Trend", "trend"],
    },
)
