"""Options of backends and scalers, checked; messages name the option and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfcore.workers.checks import one_of, seconds, whole

__all__ = ["address", "nodes", "one_of", "positive", "priority", "seconds", "whole"]


def nodes(name: str, value: object) -> int:
    """Return a number of nodes, at least 1. Raises TypeError and ValueError."""
    return whole(name, value, 1)


def positive(name: str, value: float) -> float:
    """Return seconds that are more than 0."""
    if seconds(name, value) == 0:
        raise ValueError(f"Expected seconds > 0, got {value} - at `{name}`")
    return float(value)


def priority(value: object, levels: Mapping[Any, int]) -> int:
    """Return the level of a priority. Raises ValueError for an unknown one.

    >>> priority("urgent", {"high": 10, "low": -10})
    Traceback (most recent call last):
    ValueError: Expected one of high, low, got 'urgent' - at `priority`
    """
    one_of("priority", value, tuple(levels))
    return levels[value]


def address(where: Any) -> None:
    """Raise for what is neither the address of a scheduler nor a cluster object.

    >>> address("cluster-1:8786")
    Traceback (most recent call last):
    ValueError: Expected an address like tcp://host:8786, got 'cluster-1:8786' - at `where`
    """
    if isinstance(where, str):
        scheme, found, rest = where.partition("://")
        if not (found and scheme and rest):
            raise ValueError(f"Expected an address like tcp://host:8786, got {where!r} - at `where`")
    elif not hasattr(where, "scheduler_address"):
        raise TypeError(
            f"Expected an address or a cluster of Dask, got `{type(where).__name__}` - at `where`"
        )
