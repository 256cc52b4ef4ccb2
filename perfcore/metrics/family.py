"""A family: one name, its labels, and an instrument for each set of their values, up to a bound.

No lock anywhere: a family may be asked for a child in a signal handler or a callback of the garbage collector
that interrupts the same question. ``dict.setdefault`` decides who was first, and tickets keep the bound
exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, TypeVar

from perfcore._native.histogram import Histogram, words_of
from perfcore._native.metrics import Counter, Gauge, Instrument, Words, shards_here
from perfcore._native.timer import Timer
from perfcore._repr import safe_repr

__all__ = ["OVERFLOW_LABEL", "Family", "Key"]

#: the label of the series that stands for all label sets beyond the bound, as OpenTelemetry names it
OVERFLOW_LABEL = "otel.metric.overflow"

#: the values of the labels; None is the series of everything beyond the bound
Key = tuple[str, ...] | None
#: gives the words of a series: how many, of which family, for which values
Storage = Callable[[int, "Family", Key], Words]

I = TypeVar("I", bound=Instrument)  # noqa: E741

CLASSES: dict[str, type[Instrument]] = {
    "counter": Counter,
    "gauge": Gauge,
    "histogram": Histogram,
    "timer": Timer,
}
STRIDE = 16  # words of a counter's or gauge's shard: two cache lines
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,254}")
LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,254}")


class Family:
    """All series of one name. Made by the constructors of the instruments, through a registry."""

    def __init__(
        self,
        kind: str,
        name: str,
        description: str,
        unit: str,
        labels: tuple[str, ...],
        options: Mapping[str, Any],
        storage: Storage | None = None,
        max_series: int = 2000,
    ) -> None:
        self.kind, self.name, self.description, self.unit = kind, name, description, unit
        self.labels, self.options, self.max_series = labels, dict(options), max_series
        self.overflowed = 0
        self.shards = shards_here() if storage is None else 1
        self._storage = storage
        self._series: dict[Key, Instrument] = {}
        self._tickets = count()

    @safe_repr
    def __repr__(self) -> str:
        return f"<Family {self.name}: {self.kind}, {len(self._series)} series>"

    @property
    def series(self) -> dict[Key, Instrument]:
        """The instruments so far, by the values of their labels."""
        return dict(self._series)

    def attach(self, instrument: Instrument) -> None:
        """Make a new instrument a handle: on the one series, or as the parent of labelled ones."""
        self._prepare(instrument)
        if self.labels:
            instrument._attach(None, self, (), self.shards)
        else:
            instrument._attach_to(self._series.setdefault((), self._make(())))

    def child(self, parent: I, values: tuple[object, ...], named: Mapping[str, object]) -> I:
        """Return the instrument of a set of label values; see :meth:`Instrument.labels`."""
        key = self._key(values, named)
        found = self._series.get(key)
        if found is None:
            found = self._admit(key)
        return found  # type: ignore[return-value]  # a family has instruments of one class

    def _key(self, values: tuple[object, ...], named: Mapping[str, object]) -> tuple[str, ...]:
        if named:
            if values or named.keys() != set(self.labels):
                raise ValueError(f"{self.name} has the labels {self.labels}, got {(*values, *named)}")
            values = tuple(named[label] for label in self.labels)
        if len(values) != len(self.labels) or not values:
            raise ValueError(f"{self.name} has the labels {self.labels}, got {len(values)} values")
        return tuple(map(str, values))

    def _admit(self, key: tuple[str, ...]) -> Instrument:
        if (
            len(self._series) - (None in self._series) < self.max_series
            and next(self._tickets) < self.max_series
        ):
            return self._series.setdefault(key, self._make(key))
        found = self._series.get(key)  # somebody else may have got the last place for the same values
        if found is not None:
            return found
        self.overflowed += 1
        return self._series.get(None) or self._series.setdefault(None, self._make(None))

    def _make(self, key: Key) -> Instrument:
        cls = CLASSES[self.kind]
        instrument = cls.__new__(cls)
        self._prepare(instrument)
        size = self.words
        words = Words(size * self.shards) if self._storage is None else self._storage(size, self, key)
        instrument._attach(words, self, key, self.shards)
        return instrument

    @property
    def words(self) -> int:
        """How many words one shard of a series takes."""
        return words_of(*self.options["range"]) if "range" in self.options else STRIDE

    def _prepare(self, instrument: Instrument) -> None:
        if isinstance(instrument, Histogram):
            instrument._shape(*self.options["range"])

    def check(self, other: Family) -> None:
        """Raise ValueError unless ``other`` asks for just this family; descriptions may differ."""
        mine, theirs = self._identity(), other._identity()
        if mine != theirs:
            raise ValueError(f"{self.name} is registered as {mine}, and asked for as {theirs}")

    def _identity(self) -> tuple[object, ...]:
        return self.kind, self.unit, self.labels, tuple(sorted(self.options.items()))


def checked_labels(labels: object) -> tuple[str, ...]:
    """Return label names as a tuple, or raise TypeError or ValueError."""
    if isinstance(labels, str) or not isinstance(labels, list | tuple):
        raise TypeError(f"labels must be a list or tuple of names, got {labels!r}")
    for label in labels:
        if not isinstance(label, str) or not LABEL.fullmatch(label) or label == OVERFLOW_LABEL:
            raise ValueError(f"{label!r} is no name of a label: expected {LABEL.pattern}")
    if len(set(labels)) != len(labels):
        raise ValueError(f"labels must be different, got {labels}")
    return tuple(labels)


def checked_name(name: object) -> str:
    """Return the name of a metric, or raise TypeError or ValueError."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a metric: expected {NAME.pattern}")
    return name
