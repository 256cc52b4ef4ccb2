"""perfcore's numbers in other projects' tools. Names load on first use, and need the tool's extra."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.integrations.prometheus import PrometheusCollector

__all__ = ["PrometheusCollector"]

__getattr__, __dir__ = lazy(__name__, {"perfcore.integrations.prometheus": ["PrometheusCollector"]})
