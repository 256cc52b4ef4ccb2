"""What recording and reading a metric costs."""

from __future__ import annotations

import gc

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals import metrics_libraries as libraries


def measure(plan: Plan) -> Suite:
    gc.disable()
    rounds, count = plan.pick(5, 25), 20_000
    recorded = libraries.recording(count, rounds)
    read = libraries.reading(plan.pick(20_000, 1_000_000), rounds)
    errors = libraries.errors(plan.pick(20_000, 1_000_000))
    scraped = libraries.scraping(plan.pick(1000, 10_000), plan.pick(3, 7))
    no_quantile = dict.fromkeys(
        ["prometheus_client", "opentelemetry"], "has no way to ask for a quantile in the process"
    )
    return Suite(
        title="Metrics",
        method="A counter and a histogram of each library, without labels, bound once. opentelemetry's "
        "histograms are the explicit default and the exponential one; its readings are collected by an "
        "in-memory reader. ddsketch has one percent of relative accuracy, and no lock: threads must not "
        "share it. Rounds take turns, the fastest counts.",
        command="python -m benchmarks.rivals.metrics",
        tables=[
            table("metrics", "Recording one value", "ns", recorded),
            table("metrics reading", "Reading quantiles and merging", "us", read, absent=no_quantile),
            table(
                "metrics errors",
                "Largest relative error of eleven quantiles",
                "%",
                errors,
                absent=no_quantile,
            ),
            table("metrics scrape", "All series as Prometheus text", "ms", scraped),
        ],
    )


def table(
    name: str, title: str, unit: str, cells: dict[str, dict[str, float]], absent: dict[str, str] | None = None
) -> Table:
    return Table(
        name=name,
        title=title,
        unit=unit,
        better="less",
        cells=cells,
        champions=["perfcore"],
        absent=(absent or {}) | libraries.missing(),
    )
