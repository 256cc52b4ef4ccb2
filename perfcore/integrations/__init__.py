"""perfcore's numbers in other projects' tools. Names load on first use; libraries need their extra."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.integrations.grafana import grafana_dashboard
    from perfcore.integrations.otel.exporter import OpenTelemetryExporter
    from perfcore.integrations.otel.tracing import SpanTracer
    from perfcore.integrations.prometheus import PrometheusCollector
    from perfcore.integrations.rule_files import prometheus_rules

__all__ = [
    "OpenTelemetryExporter",
    "PrometheusCollector",
    "SpanTracer",
    "grafana_dashboard",
    "prometheus_rules",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.integrations.grafana": ["grafana_dashboard"],
        "perfcore.integrations.otel.exporter": ["OpenTelemetryExporter"],
        "perfcore.integrations.otel.tracing": ["SpanTracer"],
        "perfcore.integrations.prometheus": ["PrometheusCollector"],
        "perfcore.integrations.rule_files": ["prometheus_rules"],
    },
)
