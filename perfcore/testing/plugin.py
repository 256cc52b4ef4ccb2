"""The fixtures of :mod:`perfcore.testing`, for ``pytest_plugins``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from perfcore.testing import FakeClock, isolated

__all__ = ["fake_clock", "isolated_caches"]


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def isolated_caches() -> Iterator[Callable[..., Any]]:
    """A function that empties caches until the end of the test; what they held comes back then."""
    with ExitStack() as stack:
        yield lambda *caches: stack.enter_context(isolated(*caches))
