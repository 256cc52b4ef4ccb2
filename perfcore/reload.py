"""Changing the configuration of a manager that runs: what can be, at once; the rest at the next start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from perfcore._log import logger
from perfcore.config.loading import Loaded, Setting
from perfcore.config.schema import PerformanceConfig

__all__ = ["Reloaded", "adjust"]

log = logger("reload")


class Reloaded(NamedTuple):
    """The settings that changed: those ``applied`` already, and those that apply at the next start."""

    applied: tuple[str, ...]
    at_next_start: tuple[str, ...]


class _Adjustment(NamedTuple):
    """Settings of a running part, and how it takes new values of them."""

    part: str
    settings: tuple[str, ...]
    apply: Callable[[Any, PerformanceConfig], object]

    def concerns(self, path: str) -> bool:
        return any(path == setting or path.startswith(f"{setting}.") for setting in self.settings)


def _replace_rules(alerts: Any, config: PerformanceConfig) -> None:
    from perfcore.parts import configured_rules

    fresh = configured_rules(config)
    own = [rule for rule in alerts.rules() if not rule.name.startswith("threshold ")]
    alerts.replace_rules([*own, *fresh])


def _set_policy(cache: Any, config: PerformanceConfig) -> None:
    cache.policy = config.caching.layers.memory.strategy


def _set_rate(profiler: Any, config: PerformanceConfig) -> None:
    profiler.sampling_rate = config.monitoring.sampling_rate


_ADJUSTMENTS = (
    _Adjustment(
        "memory",
        ("caching.layers.memory.max_size",),
        lambda cache, config: cache.resize(config.caching.layers.memory.max_size),
    ),
    _Adjustment("memory", ("caching.layers.memory.strategy",), _set_policy),
    _Adjustment(
        "disk",
        ("caching.layers.disk.max_size",),
        lambda disk, config: disk.resize(config.caching.layers.disk.max_size),
    ),
    _Adjustment("profiler", ("monitoring.sampling_rate",), _set_rate),
    _Adjustment("alerts", ("monitoring.alerts",), _replace_rules),
    _Adjustment(
        "workers",
        ("workers.pool.min", "workers.pool.max"),
        lambda pool, config: pool.resize(config.workers.pool.min, config.workers.pool.max),
    ),
)

#: which parts look at a setting when they are built; a part that is not built yet will see the new value
_READERS = {
    "caching.layers.memory": ("memory",),
    "caching.layers.disk": ("disk",),
    "caching.layers.distributed": ("distributed",),
    "caching": ("memory", "disk", "distributed", "cache"),
    "parsing": ("parser",),
    "memory_optimization": ("memory_optimizer",),
    "memory_optimization.buffers": ("buffers",),
    "monitoring": ("monitor", "alerts", "profiler"),
    "workers": ("workers",),
}


def adjust(built: Mapping[str, Any], running: Mapping[str, bool], old: Loaded, new: Loaded) -> Reloaded:
    """Have the parts ``built`` take what differs between two configurations, and say what came of it.

    ``running`` says of each of them whether it is the real thing. When one cannot take its value, those that
    have are given their old ones back, and the error is raised.
    """
    changed = sorted(path for path in new.settings if _value(new, path) != _value(old, path))
    done: list[_Adjustment] = []
    applied: list[str] = []
    try:
        for adjustment in _ADJUSTMENTS:
            paths = [path for path in changed if adjustment.concerns(path)]
            if paths and running.get(adjustment.part):
                done.append(adjustment)
                adjustment.apply(built[adjustment.part], new.config)
                applied += paths
    except BaseException:
        for adjustment in done:
            adjustment.apply(built[adjustment.part], old.config)
        raise
    applied += [path for path in changed if path not in applied and not _is_read(path, built)]
    later = tuple(path for path in changed if path not in applied)
    if later:
        log.warning("these settings apply at the next start: %s", ", ".join(later))
    return Reloaded(tuple(sorted(applied)), later)


def _value(loaded: Loaded, path: str) -> object:
    setting: Setting = loaded.settings[path]
    return setting.value


def _is_read(path: str, built: Mapping[str, Any]) -> bool:
    """Whether a part that stands has been built from this setting."""
    section = max((known for known in _READERS if path.startswith(f"{known}.")), key=len, default=None)
    return section is None or any(part in built for part in _READERS[section])
