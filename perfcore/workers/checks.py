"""Options of a pool, checked; messages name the option and what was expected."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import index

from perfcore.workers.queues import BOUNDS, LEVELS

__all__ = ["bounds", "one_of", "seconds", "size", "whole"]


def one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"Expected one of {', '.join(choices)}, got {value!r} - at `{name}`")


def whole(name: str, value: object, least: int) -> int:
    """Return an integer of at least ``least``. Raises TypeError and ValueError."""
    if isinstance(value, bool):
        raise TypeError(f"Expected `int`, got `bool` - at `{name}`")
    try:
        number = index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"Expected `int`, got `{type(value).__name__}` - at `{name}`") from None
    if number < least:
        raise ValueError(f"Expected `int` >= {least}, got {number} - at `{name}`")
    return number


def seconds(name: str, value: float) -> float:
    """Return a number of seconds that is not negative. Raises TypeError and ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"Expected seconds, got `{type(value).__name__}` - at `{name}`")
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"Expected seconds >= 0, got {value} - at `{name}`")
    return float(value)


def size(least: int, most: int) -> None:
    """Raise ValueError unless 1 <= least <= most.

    >>> size(3, 2)
    Traceback (most recent call last):
    ValueError: Expected `min` <= `max`, got 3 and 2
    """
    whole("min", least, 1)
    whole("max", most, 1)
    if least > most:
        raise ValueError(f"Expected `min` <= `max`, got {least} and {most}")


def bounds(queues: Mapping[str, int] | None) -> tuple[int, int, int]:
    """Return how many tasks of each class may wait; those that are not given have the guide's bound."""
    for name in queues or {}:
        one_of("queues", name, LEVELS)
    high, normal, low = (whole(f"queues[{k!r}]", {**BOUNDS, **(queues or {})}[k], 1) for k in LEVELS)
    return high, normal, low
