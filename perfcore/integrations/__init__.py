"""perfcore's numbers in other projects' tools. Names load on first use, and need the tool's extra."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.integrations.otel.exporter import OpenTelemetryExporter
    from perfcore.integrations.otel.tracing import SpanTracer
    from perfcore.integrations.prometheus import PrometheusCollector

__all__ = ["OpenTelemetryExporter", "PrometheusCollector", "SpanTracer"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.integrations.otel.exporter": ["OpenTelemetryExporter"],
        "perfcore.integrations.otel.tracing": ["SpanTracer"],
        "perfcore.integrations.prometheus": ["PrometheusCollector"],
    },
)
