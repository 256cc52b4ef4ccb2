"""What a registry held at one moment: plain data, to be added, subtracted and exported."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from perfcore._native.histogram import HistogramSnapshot
from perfcore.metrics.family import OVERFLOW_LABEL, Family, Key

__all__ = ["FamilySnapshot", "RegistrySnapshot", "Value"]

Value = int | float | HistogramSnapshot
Samples = Mapping[Key, Value]


@dataclass(frozen=True)
class FamilySnapshot:
    """The samples of one family by the values of their labels; the key None is what came beyond the bound."""

    kind: str
    name: str
    description: str
    unit: str
    labels: tuple[str, ...]
    samples: Samples
    options: Mapping[str, Any] = field(default_factory=dict)

    def label_set(self, key: Key) -> dict[str, str]:
        """Return the labels of a sample as an exporter writes them."""
        return {OVERFLOW_LABEL: "true"} if key is None else dict(zip(self.labels, key, strict=True))


@dataclass(frozen=True)
class RegistrySnapshot:
    """Families by name, and when they were read (Unix nanoseconds).

    ``later - earlier`` is what happened in between: differences of counters and histograms, gauges as they
    are now. ``one + other`` adds up registries: of several processes, for instance.

    >>> from perfcore.metrics import Counter, Registry
    >>> registry = Registry()
    >>> served = Counter("served", registry=registry)
    >>> served.inc(5); before = registry.snapshot(); served.inc(2)
    >>> (registry.snapshot() - before)["served"].samples[()]
    2
    """

    families: Mapping[str, FamilySnapshot]
    time_ns: int = field(default_factory=time.time_ns)

    def __getitem__(self, name: str) -> FamilySnapshot:
        return self.families[name]

    def __sub__(self, earlier: RegistrySnapshot) -> RegistrySnapshot:
        families = {
            name: replace(family, samples=_subtracted(family, earlier.families.get(name)))
            for name, family in self.families.items()
        }
        return RegistrySnapshot(families, self.time_ns)

    def __add__(self, other: RegistrySnapshot) -> RegistrySnapshot:
        families = dict(self.families)
        for name, family in other.families.items():
            families[name] = _added(families[name], family) if name in families else family
        return RegistrySnapshot(families, max(self.time_ns, other.time_ns))

    def covered_by(self, other: RegistrySnapshot) -> RegistrySnapshot:
        """Return ``other``, and what only this one has: families, and series of one family."""
        families = {**self.families, **other.families}
        for name in self.families.keys() & other.families.keys():
            samples = {**self.families[name].samples, **other.families[name].samples}
            families[name] = replace(other.families[name], samples=samples)
        return RegistrySnapshot(families, max(self.time_ns, other.time_ns))


def _subtracted(family: FamilySnapshot, earlier: FamilySnapshot | None) -> Samples:
    if earlier is None or family.kind == "gauge":
        return family.samples
    return {
        key: value - earlier.samples[key] if key in earlier.samples else value  # type: ignore[operator]
        for key, value in family.samples.items()
    }


COMBINED: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda a, b: a + b,
    "max": max,
    "min": min,
    "latest": lambda a, b: b,
}


def _added(family: FamilySnapshot, other: FamilySnapshot) -> FamilySnapshot:
    if (family.kind, family.unit, family.labels) != (other.kind, other.unit, other.labels):
        raise ValueError(f"{family.name} is a {family.kind} of {family.labels} here and another there")
    combine = COMBINED[family.options.get("merge", "sum")]
    samples = dict(family.samples)
    for key, value in other.samples.items():
        samples[key] = combine(samples[key], value) if key in samples else value
    return replace(family, samples=samples)


def family_snapshot(family: Family) -> FamilySnapshot:
    """Read all series of a family."""
    samples = {key: _value(instrument) for key, instrument in family.series.items()}
    return FamilySnapshot(
        family.kind, family.name, family.description, family.unit, family.labels, samples, family.options
    )


def _value(instrument: Any) -> Value:
    read: Value = instrument.snapshot() if hasattr(instrument, "snapshot") else instrument.value
    return read
