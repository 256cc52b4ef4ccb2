"""Watching a service: alerts, and what they do about it."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.monitor.actions import Actions
    from perfcore.monitor.alerts import PerformanceAlerting
    from perfcore.monitor.handlers import Alert, file_handler, log_handler, webhook_handler
    from perfcore.monitor.rules import (
        AbsenceRule,
        AnomalyRule,
        CompositeRule,
        ThresholdRule,
        TrendRule,
        load_rules,
    )

__all__ = [
    "AbsenceRule",
    "Actions",
    "Alert",
    "AnomalyRule",
    "CompositeRule",
    "PerformanceAlerting",
    "ThresholdRule",
    "TrendRule",
    "file_handler",
    "load_rules",
    "log_handler",
    "webhook_handler",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.monitor.actions": ["Actions"],
        "perfcore.monitor.alerts": ["PerformanceAlerting"],
        "perfcore.monitor.handlers": ["Alert", "file_handler", "log_handler", "webhook_handler"],
        "perfcore.monitor.rules": [
            "AbsenceRule",
            "AnomalyRule",
            "CompositeRule",
            "ThresholdRule",
            "TrendRule",
            "load_rules",
        ],
    },
)
