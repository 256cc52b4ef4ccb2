"""From keywords, a mapping or a file to one validated configuration, and where each value came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from perfcore._log import logger
from perfcore.config.environment import read_environment
from perfcore.config.fields import SETTINGS, from_msgspec, refusal
from perfcore.config.files import read_file
from perfcore.config.levels import LEVELS
from perfcore.config.schema import PerformanceConfig
from perfcore.config.spellings import MENTIONS, Statements, read
from perfcore.errors import ConfigError

__all__ = ["Loaded", "Setting", "load"]

log = logger("config")

#: name in the environment variable PERFCORE_DISABLE -> the setting that it forces, and to what
DISABLES: dict[str, tuple[str, object]] = {
    "cache": ("caching.enabled", False),
    "memory": ("caching.layers.memory.enabled", False),
    "disk": ("caching.layers.disk.enabled", False),
    "distributed": ("caching.layers.distributed.enabled", False),
    "prefetch": ("caching.policies.warmup", "lazy"),
    "parse_cache": ("parsing.enable_parse_cache", False),
    "memory_optimization": ("memory_optimization.enabled", False),
    "monitoring": ("monitoring.enabled", False),
    "alerts": ("monitoring.enable_alerts", False),
    "profiling": ("monitoring.enable_profiling", False),
    "tracing": ("monitoring.enable_tracing", False),
    "workers": ("workers.enabled", False),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of one setting, the place that decided it, and the places that it was preferred to."""

    value: object
    origin: str
    overridden: tuple[str, ...] = ()


class Loaded(NamedTuple):
    """A configuration, and for each of its settings, by dotted path, how it came about."""

    config: PerformanceConfig
    settings: dict[str, Setting]


def load(
    source: PerformanceConfig | Mapping[str, Any] | str | os.PathLike[str] | None = None, /, **options: Any
) -> Loaded:
    """Return what ``source`` and ``options`` mean, validated, with the origin of each setting.

    ``source`` is a mapping, the path of a ``.toml`` or ``.json`` file, or a :class:`PerformanceConfig` (which
    states every setting); ``options`` win over it. Among the spellings of one setting the more specific
    wins; environment variables (``PERFCORE_CACHING__MAX_MEMORY=64MB``) win over both, and
    ``PERFCORE_DISABLE`` (``cache,disk,…``) over everything. Raises :exc:`ConfigError`, naming the path and
    what was expected there.

    >>> loaded = load({"caching": {"layers": {"l1": {"size": "128MB"}}}}, optimization_level="aggressive")
    >>> loaded.config.caching.layers.memory.max_size
    134217728
    >>> loaded.settings["caching.layers.memory.max_size"].origin
    'caching.layers.l1.size'
    >>> loaded.settings["parsing.cache_size"]
    Setting(value=536870912, origin='level aggressive', overridden=())
    """
    stated: dict[str, Setting] = {}
    _take(stated, *_read_source(source))
    _take(stated, read(options))
    for said, variable in read_environment(os.environ):
        _take(stated, said, variable=variable)
    _fill_from_level(stated)
    _switch_off(stated)
    settings = {path: stated.get(path, Setting(item.default, "default")) for path, item in SETTINGS.items()}
    return Loaded(_build(settings), settings)


def _read_source(source: object) -> tuple[Statements, str]:
    """Return what ``source`` says, and what to add to its spellings to tell where they stand."""
    if source is None:
        return Statements(), ""
    if isinstance(source, Mapping | PerformanceConfig):
        return read(source), ""
    if not isinstance(source, str | os.PathLike):
        raise refusal(f"Expected `PerformanceConfig | dict | path`, got `{type(source).__name__}`", "")
    path = Path(source)
    try:
        return read(read_file(path)), f" in {path.name}"
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error.__cause__


def _take(stated: dict[str, Setting], said: Statements, place: str = "", variable: str | None = None) -> None:
    """Add what one source says to ``stated``; what was there before loses."""
    for path, statements in said.settings.items():
        spellings = [variable or statement.spelling + place for statement in statements]
        _state(stated, path, statements[0].value, *spellings)
    for section, spelling in said.sections.items():
        if section in MENTIONS:
            stated.setdefault(MENTIONS[section], Setting(True, f"implied by {variable or spelling + place}"))


def _state(stated: dict[str, Setting], path: str, value: object, origin: str, *others: str) -> None:
    former = stated.get(path)
    overridden = (former.origin, *former.overridden) if former else ()
    stated[path] = Setting(value, origin, (*others, *overridden))


def _fill_from_level(stated: dict[str, Setting]) -> None:
    chosen = stated.get("optimization.level")
    level = chosen.value if chosen else SETTINGS["optimization.level"].default
    for path, value in LEVELS[str(level)].items():
        stated.setdefault(path, Setting(value, f"level {level}"))


def _switch_off(stated: dict[str, Setting]) -> None:
    for name in os.environ.get("PERFCORE_DISABLE", "").lower().replace(" ", "").split(","):
        if name in DISABLES:
            _state(stated, *DISABLES[name], "PERFCORE_DISABLE")
        elif name:
            _warn_of_unknown(name)


@cache  # once for each name
def _warn_of_unknown(name: str) -> None:
    log.warning("PERFCORE_DISABLE names %r, which is none of %s", name, ", ".join(DISABLES))


def _build(settings: dict[str, Setting]) -> PerformanceConfig:
    tree: dict[str, Any] = {}
    for path, setting in settings.items():
        *sections, name = path.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = setting.value
    try:
        return msgspec.convert(tree, PerformanceConfig)
    except msgspec.ValidationError as error:  # what concerns several settings; each one was checked when read
        raise from_msgspec(error, "") from None
