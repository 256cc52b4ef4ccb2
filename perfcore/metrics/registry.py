"""Registries: the families of a process by name, and the constructors of instruments."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perfcore._native.histogram import Histogram, HistogramSnapshot
from perfcore._native.metrics import Counter, Gauge, Instrument, install
from perfcore._native.timer import Timer
from perfcore._repr import safe_repr
from perfcore.metrics.decorate import timed
from perfcore.metrics.family import Family, checked_labels, checked_name
from perfcore.metrics.snapshot import RegistrySnapshot, family_snapshot

__all__ = [
    "Counter",
    "Gauge",
    "Histogram",
    "HistogramSnapshot",
    "Registry",
    "Timer",
    "default_registry",
]

#: a directory here makes the process-wide registry a shard of that directory
DIRECTORY = "PERFCORE_METRICS_DIR"


class Registry:
    """Families of metrics by name; what an exporter reads.

    ``max_series`` bounds the label sets of each family; those beyond share one series. With a ``directory``
    the numbers live in a file of this process there, and :func:`perfcore.metrics.multiprocess.collect` adds
    up those of all processes; ``file_size`` bounds the file, which takes only what is used of it.

    >>> registry = Registry(max_series=2)
    >>> requests = Counter("requests", labels=["path"], registry=registry)
    >>> for i in range(1000): requests.labels(f"/{i}").inc()
    >>> registry.snapshot()["requests"].samples[None], requests.family.overflowed
    (998, 998)
    """

    def __init__(
        self,
        *,
        max_series: int = 2000,
        directory: str | os.PathLike[str] | None = None,
        file_size: int = 64 * 2**20,
    ) -> None:
        if max_series < 1:
            raise ValueError(f"max_series must be positive, got {max_series}")
        self.max_series = max_series
        self._families: dict[str, Family] = {}
        self._directory, self._shard = directory, None
        if directory is not None:
            from perfcore.metrics.shard import Shard

            self._shard = Shard(Path(directory), file_size)

    @safe_repr
    def __repr__(self) -> str:
        return f"<Registry: {len(self._families)} families{', shared by processes' if self._shard else ''}>"

    def family(
        self, kind: str, name: str, description: str, unit: str, labels: object, options: Mapping[str, Any]
    ) -> Family:
        """Return the family of a name, made at the first call; ValueError where it is another one already."""
        storage = self._shard.words if self._shard is not None else None
        wanted = Family(
            kind,
            checked_name(name),
            str(description),
            str(unit),
            checked_labels(labels),
            options,
            storage,
            self.max_series,
        )
        found = self._families.setdefault(name, wanted)
        found.check(wanted)
        return found

    def __iter__(self) -> Iterator[Family]:
        return iter(list(self._families.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._families

    def __getitem__(self, name: str) -> Family:
        return self._families[name]

    def __len__(self) -> int:
        return len(self._families)

    def snapshot(self) -> RegistrySnapshot:
        """Return what all series hold now; one that was made in the meantime may be missing."""
        return RegistrySnapshot({family.name: family_snapshot(family) for family in self})

    def total(self) -> RegistrySnapshot:
        """Return what all processes of its ``directory`` have counted, dead ones included, as
        :func:`.collect` does; without one it is :meth:`snapshot`.

        >>> registry = Registry()
        >>> Counter("jobs", registry=registry).inc(2)
        >>> registry.total()["jobs"].samples
        {(): 2}
        """
        own = self.snapshot()
        if self._directory is None:
            return own
        from perfcore.metrics.multiprocess import collect

        return own.covered_by(collect(self._directory))

    def unregister(self, name: str) -> None:
        """Forget a family; handles go on recording into it unseen. KeyError when there is none."""
        del self._families[name]


_DEFAULT: dict[str, Registry] = {}


def default_registry() -> Registry:
    """Return the registry of this process, where instruments are registered that name no other.

    With ``PERFCORE_METRICS_DIR`` in the environment it is a shard of that directory.
    """
    found = _DEFAULT.get("registry")
    if found is None:
        found = _DEFAULT.setdefault("registry", Registry(directory=os.environ.get(DIRECTORY) or None))
    return found


class _Hooks:
    """What the native instruments ask this floor for."""

    @staticmethod
    def bind(
        instrument: Instrument,
        kind: str,
        name: str,
        description: str,
        unit: str,
        labels: object,
        registry: Registry | None,
        options: Mapping[str, Any],
    ) -> None:
        home = registry if registry is not None else default_registry()
        home.family(kind, name, description, unit, labels, options).attach(instrument)

    wrap = staticmethod(timed)


install(_Hooks)
