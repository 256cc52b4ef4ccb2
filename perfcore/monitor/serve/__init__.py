"""A small HTTP server inside the process: metrics for a scraper, health for a balancer, a page for people."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.monitor.serve.server import MetricsServer, ServerStats
    from perfcore.monitor.serve.sources import PartState, Sources

__all__ = ["MetricsServer", "PartState", "ServerStats", "Sources"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.monitor.serve.server": ["MetricsServer", "ServerStats"],
        "perfcore.monitor.serve.sources": ["PartState", "Sources"],
    },
)
