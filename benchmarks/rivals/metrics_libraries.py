"""perfcore's counters and histograms beside prometheus_client, opentelemetry and ddsketch, each as it comes.

A library that is not installed is left out, and named by :func:`missing`.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from perfcore.metrics import Counter, Histogram, Registry, prometheus_text

MODULES = {
    "prometheus_client": "prometheus_client",
    "opentelemetry": "opentelemetry.sdk.metrics",
    "ddsketch": "ddsketch",
}
QUANTILES = (0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)
EXPONENTIAL = "opentelemetry, exponential"

#: figures by row and by library
Cells = dict[str, dict[str, float]]
Call = Callable[[], object]


def library(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(MODULES[name])
    except ImportError:
        return None


def missing() -> dict[str, str]:
    """Return the libraries that cannot be measured here, and why."""
    return {name: "not installed" for name in MODULES if library(name) is None}


def in_turns(calls: dict[str, Call], count: int, rounds: int) -> dict[str, float]:
    """Return the seconds of a call, the fastest of rounds taken in turn."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(count):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / count)
    return best


def with_argument(calls: dict[str, Callable[[float], object]], count: int, rounds: int) -> dict[str, float]:
    """The same for calls with a value, which differ so that nobody answers from the last one."""
    values = np.random.default_rng(3).lognormal(-5, 2, count).tolist()
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for value in values:
                call(value)
            best[name] = min(best[name], (time.perf_counter() - start) / count)
    return best


def scaled(row: dict[str, float], unit: float) -> dict[str, float]:
    return {name: seconds * unit for name, seconds in row.items()}


def opentelemetry() -> Any:
    """Return a meter of the SDK whose histogram ``e`` is exponential; an in-memory reader collects."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

    view = View(instrument_name="e", aggregation=ExponentialBucketHistogramAggregation())
    return MeterProvider([InMemoryMetricReader()], views=[view]).get_meter("benchmark")


def recording(count: int, rounds: int) -> Cells:
    """Return nanoseconds for one more of a counter, and for one value in a histogram."""
    registry = Registry()
    counters: dict[str, Call] = {"perfcore": Counter("c", registry=registry).inc}
    histograms: dict[str, Callable[[float], object]] = {"perfcore": Histogram("h", registry=registry).observe}
    if client := library("prometheus_client"):
        theirs = client.CollectorRegistry()
        counters["prometheus_client"] = client.Counter("c", "c", registry=theirs).inc
        histograms["prometheus_client"] = client.Histogram("h", "h", registry=theirs).observe
    if library("opentelemetry"):
        meter = opentelemetry()
        add = meter.create_counter("c").add
        counters["opentelemetry"] = lambda: add(1)
        histograms["opentelemetry"] = meter.create_histogram("h").record
        histograms[EXPONENTIAL] = meter.create_histogram("e").record
    if sketches := library("ddsketch"):
        histograms["ddsketch"] = sketches.DDSketch(0.01).add
    return {
        "a counter, one more": scaled(in_turns(counters, count, rounds), 1e9),
        "a histogram, one value": scaled(with_argument(histograms, count, rounds), 1e9),
    }


def filled(count: int) -> tuple[dict[str, Any], Any]:
    """Return histograms by library that have seen the same values, and these."""
    values = np.random.default_rng(1).lognormal(-5, 2, count)
    ours = Histogram("h", registry=Registry())
    ours.observe_many(values)
    found: dict[str, Any] = {"perfcore": ours}
    if sketches := library("ddsketch"):
        found["ddsketch"] = sketches.DDSketch(0.01)
        for value in values.tolist():
            found["ddsketch"].add(value)
    return found, values


def reader(name: str, histogram: Any) -> Callable[[float], float]:
    read: Callable[[float], float] = (
        histogram.quantile if name == "perfcore" else histogram.get_quantile_value
    )
    return read


def reading(count: int, rounds: int) -> Cells:
    """Return microseconds for a quantile, and for merging one histogram into another."""
    found, _ = filled(count)
    others, _ = filled(count)
    quantiles: dict[str, Call] = {
        name: partial(reader(name, histogram), 0.99) for name, histogram in found.items()
    }
    merges: dict[str, Call] = {
        name: partial(histogram.merge, others[name]) for name, histogram in found.items()
    }
    return {
        "the 99th percentile": scaled(in_turns(quantiles, 50, rounds), 1e6),
        "merging two": scaled(in_turns(merges, 50, rounds), 1e6),
    }


def errors(count: int) -> Cells:
    """Return the largest relative error of the quantiles of lognormal values, in per cent."""
    found, values = filled(count)
    exact = np.quantile(values, QUANTILES, method="lower")
    row = {}
    for name, histogram in found.items():
        read = reader(name, histogram)
        row[name] = 100 * max(abs(read(q) / e - 1) for q, e in zip(QUANTILES, exact, strict=True))
    return {f"{count:,} lognormal values": row}


def scraping(series: int, rounds: int) -> Cells:
    """Return milliseconds for all series of one labelled counter as text."""
    ours = Registry(max_series=series)
    mine = Counter("requests", "Requests.", labels=["path"], registry=ours)
    for number in range(series):
        mine.labels(f"/{number}").inc(number)
    calls: dict[str, Call] = {"perfcore": lambda: prometheus_text(ours.snapshot())}
    if client := library("prometheus_client"):
        theirs = client.CollectorRegistry()
        other = client.Counter("requests", "Requests.", ["path"], registry=theirs)
        for number in range(series):
            other.labels(f"/{number}").inc(number)
        calls["prometheus_client"] = lambda: client.generate_latest(theirs)
    return {f"{series:,} series": scaled(in_turns(calls, 1, rounds), 1e3)}


def show() -> None:
    """Print what each library takes."""
    for cells, unit in (
        (recording(20_000, 15), "ns"),
        (reading(100_000, 15), "us"),
        (errors(100_000), "%"),
        (scraping(1000, 5), "ms"),
    ):
        for row, found in cells.items():
            print(f"{row:<28} " + "  ".join(f"{name} {value:.2f}" for name, value in found.items()), unit)
    for name, why in missing().items():
        print(f"{name}: {why}")
