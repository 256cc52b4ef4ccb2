"""What a range of time came to: averages, peaks, trends and anomalies of each metric."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from perfcore.metrics.trends import Trend, trend
from perfcore.monitor.history import Finding, Series

__all__ = ["MetricsSummary", "Peak", "summarize"]


class Peak(NamedTuple):
    """The largest value, and when it was measured (Unix seconds)."""

    value: float
    at: float


class MetricsSummary(NamedTuple):
    """The metrics between two Unix times, each table by the metric's path (``system.cpu.usage``).

    A metric that was not measured in that time stands in none of them.
    """

    start: float
    end: float
    averages: dict[str, float]
    peaks: dict[str, Peak]
    #: What :func:`perfcore.metrics.trends.trend` finds; ``flat`` where there is too little to tell.
    trends: dict[str, Trend]
    anomalies: dict[str, list[Finding]]
    #: How many samples there are, and how many looks that could measure nothing.
    samples: dict[str, int]
    gaps: dict[str, int]


def summarize(
    start: float, end: float, series: Mapping[str, Series], anomalies: dict[str, list[Finding]]
) -> MetricsSummary:
    """Return the summary of the samples of a range."""
    measured = {path: _measured(one) for path, one in series.items()}
    some = {path: one for path, one in measured.items() if len(one.values)}
    return MetricsSummary(
        start,
        end,
        averages={path: float(one.values.mean()) for path, one in some.items()},
        peaks={path: _peak(one) for path, one in some.items()},
        trends={path: _trend(one) for path, one in some.items()},
        anomalies=anomalies,
        samples={path: len(one.values) for path, one in some.items()},
        gaps={path: gaps for path, one in series.items() if (gaps := int(np.isnan(one.values).sum()))},
    )


def _measured(series: Series) -> Series:
    there = ~np.isnan(series.values)
    return Series(series.times[there], series.values[there])


def _peak(series: Series) -> Peak:
    place = int(series.values.argmax())
    return Peak(float(series.values[place]), float(series.times[place]))


def _trend(series: Series) -> Trend:
    with warnings.catch_warnings():  # values near the end of floats: their differences are infinite
        warnings.simplefilter("ignore", RuntimeWarning)
        return trend(series.values, series.times)
