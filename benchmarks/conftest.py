"""Benchmarks of a build that nobody installs, or with hashes of chance, are refused and not skipped."""

from __future__ import annotations

import os

import pytest

from benchmarks.guard import refusal


def pytest_configure(config: pytest.Config) -> None:
    if reason := refusal(os.environ):
        raise pytest.UsageError(reason)
