"""From one process to many machines: backends, a scaler of their nodes, an auto-scaler with reasons."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.scaling.backend import Backend, BackendStats, ClusterNode
    from perfcore.scaling.balancer import LoadBalancer
    from perfcore.scaling.dask import DaskBackend
    from perfcore.scaling.errors import (
        CapacityError,
        DrainError,
        NodesLostError,
        ScalingError,
        SchedulerLostError,
        VersionMismatchError,
    )
    from perfcore.scaling.local import LocalBackend
    from perfcore.scaling.scaler import HorizontalScaler, ScalingReport

__all__ = [
    "Backend",
    "BackendStats",
    "CapacityError",
    "ClusterNode",
    "DaskBackend",
    "DrainError",
    "HorizontalScaler",
    "LoadBalancer",
    "LocalBackend",
    "NodesLostError",
    "ScalingError",
    "ScalingReport",
    "SchedulerLostError",
    "VersionMismatchError",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.scaling.backend": ["Backend", "BackendStats", "ClusterNode"],
        "perfcore.scaling.balancer": ["LoadBalancer"],
        "perfcore.scaling.dask": ["DaskBackend"],
        "perfcore.scaling.errors": [
            "CapacityError",
            "DrainError",
            "NodesLostError",
            "ScalingError",
            "SchedulerLostError",
            "VersionMismatchError",
        ],
        "perfcore.scaling.local": ["LocalBackend"],
        "perfcore.scaling.scaler": ["HorizontalScaler", "ScalingReport"],
    },
)
