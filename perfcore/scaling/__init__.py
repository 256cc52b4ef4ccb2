"""From one process to many machines: backends, a scaler of their nodes, an auto-scaler with reasons."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.scaling.autoscale import AutoScaler
    from perfcore.scaling.backend import Backend, BackendStats, ClusterNode
    from perfcore.scaling.balancer import LoadBalancer
    from perfcore.scaling.dask import DaskBackend
    from perfcore.scaling.decide import Decision, Policy, Rate
    from perfcore.scaling.errors import (
        CapacityError,
        DrainError,
        NodesLostError,
        ScalingError,
        SchedulerLostError,
        VersionMismatchError,
    )
    from perfcore.scaling.local import LocalBackend
    from perfcore.scaling.rules import DEFAULT_RULES, ScalingRule
    from perfcore.scaling.scaler import HorizontalScaler, ScalingReport

__all__ = [
    "DEFAULT_RULES",
    "AutoScaler",
    "Backend",
    "BackendStats",
    "CapacityError",
    "ClusterNode",
    "DaskBackend",
    "Decision",
    "DrainError",
    "HorizontalScaler",
    "LoadBalancer",
    "LocalBackend",
    "NodesLostError",
    "Policy",
    "Rate",
    "ScalingError",
    "ScalingReport",
    "ScalingRule",
    "SchedulerLostError",
    "VersionMismatchError",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.scaling.autoscale": ["AutoScaler"],
        "perfcore.scaling.backend": ["Backend", "BackendStats", "ClusterNode"],
        "perfcore.scaling.balancer": ["LoadBalancer"],
        "perfcore.scaling.dask": ["DaskBackend"],
        "perfcore.scaling.decide": ["Decision", "Policy", "Rate"],
        "perfcore.scaling.errors": [
            "CapacityError",
            "DrainError",
            "NodesLostError",
            "ScalingError",
            "SchedulerLostError",
            "VersionMismatchError",
        ],
        "perfcore.scaling.local": ["LocalBackend"],
        "perfcore.scaling.rules": ["DEFAULT_RULES", "ScalingRule"],
        "perfcore.scaling.scaler": ["HorizontalScaler", "ScalingReport"],
    },
)
