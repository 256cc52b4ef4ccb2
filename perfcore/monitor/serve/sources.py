"""What a server looks at: callables, so that parts may come, go and fail while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from perfcore.metrics.registry import Registry, default_registry

if TYPE_CHECKING:
    from perfcore.monitor.alerts import PerformanceAlerting
    from perfcore.monitor.collector import MetricsCollector

__all__ = ["PartState", "Sources"]


class PartState(NamedTuple):
    """How a part does: ``running``, ``idle``, ``off``, ``failed`` or ``unavailable``, and why."""

    state: str
    detail: str = ""


def _none() -> Any:
    return None


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What is looked at; whatever is left out is not there.

    ``caches`` are by name, the tiers first: each has ``stats()``, and ``policy_state()`` where a policy
    decides. ``health`` says for each tier or part whether it serves, and why not. ``workers``, and ``pools``
    of buffers and objects, have ``stats()``, by name. ``changes`` are what was done without anybody's doing:
    a Unix time, what, and why. What raises is a gap, and a problem in ``/healthz``.
    """

    parts: Callable[[], Mapping[str, PartState]] = dict
    caches: Callable[[], Mapping[str, Any]] = dict
    health: Callable[[], Mapping[str, tuple[bool, str]]] = dict
    workers: Callable[[], Mapping[str, Any]] = dict
    pools: Callable[[], Mapping[str, Any]] = dict
    changes: Callable[[], Iterable[tuple[float, str, str]]] = tuple
    monitor: Callable[[], MetricsCollector | None] = _none
    alerts: Callable[[], PerformanceAlerting | None] = _none
    registry: Callable[[], Registry] = default_registry
