"""The ways to spell a setting, and which one wins.

A configuration is read in one walk: each key is known (a setting, another spelling of one, or a section) or
refused, each value is converted at once, and each canonical setting collects what was said about it. The
spelling nearest to the setting wins; two of one rank that disagree are an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise

from perfcore.config.fields import SETTINGS, refusal
from perfcore.config.schema import Section
from perfcore.errors import ConfigError

__all__ = ["KNOWN", "MENTIONS", "NAMES", "Statement", "Statements", "read"]

#: setting -> its other spellings: first those as good as the setting's own path, then less specific ones
SPELLINGS: dict[str, list[list[str]]] = {
    "optimization.level": [["optimization_level"]],
    "caching.enabled": [[], ["enable_caching"]],
    "caching.layers.memory.max_size": [["caching.layers.memory.size"], ["caching.max_memory"]],
    "caching.layers.memory.strategy": [
        [],
        ["caching.policies.eviction", "caching.policies.eviction_policy"],
        ["caching.strategy"],
    ],
    "caching.layers.disk.enabled": [[], ["caching.persist_to_disk"]],
    "caching.layers.disk.max_size": [["caching.layers.disk.size"]],
    "caching.layers.disk.compression": [[], ["caching.policies.compression"]],
    "caching.policies.invalidation": [["caching.policies.invalidation_strategy"]],
    "caching.policies.warmup": [["caching.policies.warmup_strategy", "caching.policies.preloading"]],
    "memory_optimization.enabled": [
        ["optimization.enable_memory_optimization"],
        ["enable_memory_optimization"],
    ],
    "memory_optimization.gc_threshold": [["optimization.gc_threshold"], ["gc_threshold"]],
    "monitoring.enabled": [[], ["enable_monitoring"]],
    "monitoring.enable_profiling": [[], ["enable_profiling"]],
    "monitoring.alerts.cpu.threshold": [[], ["monitoring.thresholds.cpu"]],
    "monitoring.alerts.memory.threshold": [[], ["monitoring.thresholds.memory"]],
    "monitoring.alerts.latency.threshold": [[], ["monitoring.thresholds.response_time"]],
}

LAYERS = "caching.layers"
TIERS = ("memory", "disk", "distributed")
#: the guide's other names of the layers, and the tier that each is when its ``type`` does not say
LEVELS = {"l1": "memory", "l2": "disk", "l3": "distributed"}


#: a section that is mentioned is switched on, unless something says otherwise
MENTIONS = {
    "caching.layers.disk": "caching.layers.disk.enabled",
    "caching.layers.distributed": "caching.layers.distributed.enabled",
    "memory_optimization": "memory_optimization.enabled",
    "monitoring": "monitoring.enabled",
    "monitoring.alerts": "monitoring.enable_alerts",
    "monitoring.thresholds": "monitoring.enable_alerts",
    "workers": "workers.enabled",
    "scaling": "scaling.enabled",
    "scaling.auto": "scaling.auto.enabled",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What one place of a configuration says about a setting."""

    value: object
    spelling: str
    rank: int


@dataclass(slots=True)
class Statements:
    """What a whole configuration says: values by setting, best first, and the sections that it mentions."""

    settings: dict[str, list[Statement]] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)


def read(config: Mapping[str, object] | Section) -> Statements:
    """Return what ``config`` says; :exc:`ConfigError` names the first key or value that cannot stand.

    >>> said = read({"caching": {"strategy": "lru", "policies": {"eviction": "lfu"}}})
    >>> [(one.value, one.spelling) for one in said.settings["caching.layers.memory.strategy"]]
    [('lfu', 'caching.policies.eviction'), ('lru', 'caching.strategy')]
    """
    said = Statements()
    _read_section(config, "", "", said)
    for statements in said.settings.values():
        statements.sort(key=lambda statement: statement.rank)
        _refuse_contradiction(statements)
    return said


def _read_section(section: object, path: str, spelling: str, said: Statements) -> None:
    """Read ``section``, which stands at ``spelling`` and means what stands at ``path`` in the schema."""
    said.sections.setdefault(path, spelling)
    items = _items(section, spelling)
    tiers = _tiers(items, spelling) if path == LAYERS else {}
    for key, value in items.items():
        inner, written = _join(path, tiers.get(key, key)), _join(spelling, key)
        if key not in NAMES[path]:
            raise _unknown(key, path, spelling)
        if inner in KNOWN:
            setting, rank = KNOWN[inner]
            statement = Statement(SETTINGS[setting].read(value, written), written, rank)
            said.settings.setdefault(setting, []).append(statement)
        elif key in tiers:
            options = _items(value, written)
            _read_section({name: options[name] for name in options if name != "type"}, inner, written, said)
        elif value is not None:  # None: an optional section of the guide, left out
            _read_section(value, inner, written, said)


def _items(section: object, spelling: str) -> Mapping[str, object]:
    if isinstance(section, Section):
        return {name: getattr(section, name) for name in section.__struct_fields__}
    if not isinstance(section, Mapping):
        raise refusal(f"Expected `dict`, got `{type(section).__name__}`", spelling)
    for key in section:
        if not isinstance(key, str):
            raise refusal(f"Expected keys of type `str`, got `{type(key).__name__}`", spelling)
    return section


def _tiers(layers: Mapping[str, object], spelling: str) -> dict[str, str]:
    """Return which tier each of ``l1``, ``l2`` and ``l3`` is; one nearer than the one before is refused."""
    tiers: dict[str, str] = {}
    for level in sorted(LEVELS.keys() & layers.keys()):
        written = _join(spelling, level)
        tier = _items(layers[level], written).get("type", LEVELS[level])
        if not isinstance(tier, str) or tier not in TIERS:
            raise refusal(f"Expected `{' | '.join(TIERS)}`, got {tier!r:.40}", _join(written, "type"))
        beyond = [TIERS.index(nearer) for nearer in tiers.values()]
        if TIERS.index(tier) <= max(beyond, default=-1):
            raise refusal(
                f"Expected layers in the order {', '.join(TIERS)}, each once", _join(written, "type")
            )
        tiers[level] = tier
    return tiers


def _unknown(key: str, path: str, spelling: str) -> ConfigError:
    names = sorted(NAMES[path])
    near = get_close_matches(key, names, n=2)
    hint = f"did you mean {_listed(near, ' or ')}?" if near else f"expected one of {_listed(names, ', ')}"
    return refusal(f"Object contains unknown field `{key:.80}`, {hint}", spelling)


def _listed(names: list[str], separator: str) -> str:
    return separator.join(f"`{name}`" for name in names)


def _refuse_contradiction(statements: list[Statement]) -> None:
    for one, other in pairwise(statements):
        if one.rank == other.rank and one.value != other.value:
            raise ConfigError(
                f"`$.{one.spelling}` and `$.{other.spelling}` contradict each other: "
                f"{one.value!r} and {other.value!r}"
            )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _known() -> dict[str, tuple[str, int]]:
    """Return setting and rank by spelling: 0 for the setting's own path and what equals it."""
    known = {setting: (setting, 0) for setting in SETTINGS}
    for setting, ranks in SPELLINGS.items():
        known |= {spelling: (setting, rank) for rank, spellings in enumerate(ranks) for spelling in spellings}
    return known


def _names(paths: Iterable[str]) -> dict[str, set[str]]:
    """Return the names that may stand in each section."""
    names: dict[str, set[str]] = {}
    for path in paths:
        parts = path.split(".")
        for depth, name in enumerate(parts):
            names.setdefault(".".join(parts[:depth]), set()).add(name)
    return names


#: spelling -> the setting that it spells, and its rank
KNOWN = _known()
#: section, however it is spelled -> what may stand in it
NAMES = _names([*KNOWN, *(f"{LAYERS}.{level}" for level in LEVELS)])
