"""perfcore between Starlette or FastAPI and its clients (extra ``starlette``), as plain ASGI."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.integrations.starlette.caching import ResponseCache
    from perfcore.integrations.starlette.measuring import RequestMetrics, metrics_endpoint

__all__ = ["RequestMetrics", "ResponseCache", "metrics_endpoint"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.integrations.starlette.caching": ["ResponseCache"],
        "perfcore.integrations.starlette.measuring": ["RequestMetrics", "metrics_endpoint"],
    },
)
