"""perfcore's numbers and profiles as OpenTelemetry's metrics and spans (extra ``otel``)."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.integrations.otel.exporter import OpenTelemetryExporter
    from perfcore.integrations.otel.observing import observe
    from perfcore.integrations.otel.points import scope_metrics
    from perfcore.integrations.otel.tracing import SpanTracer

__all__ = ["OpenTelemetryExporter", "SpanTracer", "observe", "scope_metrics"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.integrations.otel.exporter": ["OpenTelemetryExporter"],
        "perfcore.integrations.otel.observing": ["observe"],
        "perfcore.integrations.otel.points": ["scope_metrics"],
        "perfcore.integrations.otel.tracing": ["SpanTracer"],
    },
)
