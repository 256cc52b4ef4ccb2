"""The past of what one collector measures: a ring of samples, and what stood out in it."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from perfcore._native.ring import SampleRing
from perfcore.metrics.anomaly import AnomalyDetector
from perfcore.monitor.collectors import Values

__all__ = ["Finding", "History", "Series", "clock_ns", "wall_offset"]

_SMALLEST, _LARGEST = 64, 1 << 18
#: Series beyond these have no detector, which takes 7 KB and 10 µs a sample.
_DETECTED = 64
_FINDINGS = 1000
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Series(NamedTuple):
    """The samples of one metric: Unix seconds and values, NaN where nothing could be measured."""

    times: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]


class Finding(NamedTuple):
    """A value out of the ordinary: when (Unix seconds), what was there, and what was to be expected."""

    at: float
    value: float
    expected: float
    score: float


def clock_ns() -> int:
    """Return nanoseconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime_ns(_CLOCK)


def wall_offset() -> int:
    """Return what makes a time of :func:`clock_ns` a Unix time by the wall clock of now, in nanoseconds.

    History is kept by the other clock, so that a step of the wall clock moves all of it and disorders none.
    """
    return time.time_ns() - clock_ns()


class History:
    """Samples of the last ``span`` seconds at one look every ``interval`` seconds.

    A field is a series from its first sample on; there are at most ``most`` of them, and ``refused`` counts
    samples of others. Memory is fixed once the first look has told how many fields there are.
    """

    def __init__(self, interval: float, span: float, most: int = 10_000, detect: bool = True) -> None:
        self._looks = max(1.0, span / interval)
        self._most, self._detect = most, detect
        self._series: dict[str, int] = {}
        self._detectors: dict[str, AnomalyDetector] = {}
        self._findings: dict[str, deque[Finding]] = {}
        self._ring: SampleRing | None = None
        self.refused = 0

    @property
    def fields(self) -> list[str]:
        """The names of all series."""
        return list(self._series)

    def add(self, at_ns: int, values: Values) -> None:
        """Keep what was measured at ``at_ns``."""
        if self._ring is None:
            if not values:
                return
            self._ring = SampleRing(_capacity(min(len(values), self._most) * self._looks))
        for field, value in values.items():
            number = self._number(field)
            if number is None:
                self.refused += 1
                continue
            self._ring.put_at(at_ns, number, float("nan") if value is None else value)
            if value is not None and field in self._detectors:
                self._judge(field, at_ns, value)

    def _number(self, field: str) -> int | None:
        number = self._series.get(field)
        if number is None and len(self._series) < self._most:
            number = self._series[field] = len(self._series)
            if self._detect and number < _DETECTED:
                self._detectors[field] = AnomalyDetector()
                self._findings[field] = deque(maxlen=_FINDINGS // _DETECTED)
        return number

    def _judge(self, field: str, at_ns: int, value: float) -> None:
        found = self._detectors[field].update(value, (at_ns + wall_offset()) / 1e9)
        if found.is_anomaly:
            self._findings[field].append(Finding(at_ns / 1e9, value, found.expected, found.score))

    def series(self, start: float, end: float) -> dict[str, Series]:
        """Return the samples between two Unix times, by field, in the order in which they were taken."""
        if self._ring is None:
            return {}
        samples, offset = self._ring.snapshot(), wall_offset()
        times = (samples["time_ns"] + offset) / 1e9
        within = (times >= start) & (times <= end)
        numbers, times, values = samples["series"][within], times[within], samples["value"][within]
        order = np.argsort(numbers, kind="stable")
        edges = np.searchsorted(numbers[order], np.arange(len(self._series) + 1))
        return {
            field: Series(times[order[a:b]], values[order[a:b]])
            for field, a, b in zip(list(self._series), edges[:-1], edges[1:], strict=False)
            if b > a
        }

    def findings(self, start: float, end: float) -> dict[str, list[Finding]]:
        """Return what was out of the ordinary between two Unix times, by field."""
        offset = wall_offset() / 1e9
        moved = {
            field: [one._replace(at=one.at + offset) for one in [*found]]
            for field, found in self._findings.items()
        }
        within = {field: [one for one in found if start <= one.at <= end] for field, found in moved.items()}
        return {field: found for field, found in within.items() if found}


def _capacity(samples: float) -> int:
    return min(_LARGEST, max(_SMALLEST, 1 << (int(samples) - 1).bit_length()))
