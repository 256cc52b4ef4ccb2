"""Metrics that cost nanoseconds: instruments, rings and registries. Names load on first use."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore._native.events import EventQueue
    from perfcore._native.ring import SampleRing
    from perfcore.metrics.anomaly import Anomaly, AnomalyDetector
    from perfcore.metrics.exposition import prometheus_text
    from perfcore.metrics.family import OVERFLOW_LABEL, Family
    from perfcore.metrics.jsonform import json_snapshot
    from perfcore.metrics.layouts import Exponential, NativeHistogram, classic, exponential, native
    from perfcore.metrics.protobuf import prometheus_protobuf
    from perfcore.metrics.registry import (
        Counter,
        Gauge,
        Histogram,
        HistogramSnapshot,
        Registry,
        Timer,
        default_registry,
    )
    from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot
    from perfcore.metrics.trends import Trend, trend

__all__ = [
    "OVERFLOW_LABEL",
    "Anomaly",
    "AnomalyDetector",
    "Counter",
    "EventQueue",
    "Exponential",
    "Family",
    "FamilySnapshot",
    "Gauge",
    "Histogram",
    "HistogramSnapshot",
    "NativeHistogram",
    "Registry",
    "RegistrySnapshot",
    "SampleRing",
    "Timer",
    "Trend",
    "classic",
    "default_registry",
    "exponential",
    "json_snapshot",
    "native",
    "prometheus_protobuf",
    "prometheus_text",
    "trend",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore._native.events": ["EventQueue"],
        "perfcore._native.ring": ["SampleRing"],
        "perfcore.metrics.anomaly": ["Anomaly", "AnomalyDetector"],
        "perfcore.metrics.exposition": ["prometheus_text"],
        "perfcore.metrics.jsonform": ["json_snapshot"],
        "perfcore.metrics.family": ["OVERFLOW_LABEL", "Family"],
        "perfcore.metrics.layouts": ["Exponential", "NativeHistogram", "classic", "exponential", "native"],
        "perfcore.metrics.protobuf": ["prometheus_protobuf"],
        "perfcore.metrics.registry": [
            "Counter",
            "Gauge",
            "Histogram",
            "HistogramSnapshot",
            "Registry",
            "Timer",
            "default_registry",
        ],
        "perfcore.metrics.snapshot": ["FamilySnapshot", "RegistrySnapshot"],
        "perfcore.metrics.trends": ["Trend", "trend"],
    },
)
