"""What the report measures, by name: each is one process of its own, and returns tables."""

from __future__ import annotations

import importlib
from typing import NamedTuple, Protocol

from benchmarks.report.results import Suite


class Plan(NamedTuple):
    """How much is measured: what ends in two minutes for all suites together, or what settles."""

    quick: bool

    def pick(self, quick: int, full: int) -> int:
        return quick if self.quick else full


class Measure(Protocol):
    """A suite of the report."""

    def __call__(self, plan: Plan, /) -> Suite: ...


NAMES = (
    "operations",
    "ratios",
    "space",
    "latency",
    "threads",
    "functions",
    "disk",
    "remote",
    "metrics",
    "pools",
    "workers",
    "files",
    "scaling",
)


def suite(name: str) -> Measure:
    """Return the suite of this name; the libraries that it needs are imported only now."""
    measure: Measure = importlib.import_module(f"benchmarks.report.suites.{name}").measure
    return measure
