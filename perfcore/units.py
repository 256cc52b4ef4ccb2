"""Sizes and durations as people write them: ``"256MB"`` is bytes, a ``timedelta`` is seconds."""

from __future__ import annotations

import math
import re
from operator import index
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # datetime would double the cost of importing this module, and few callers have one
    from datetime import timedelta

__all__ = ["format_size", "parse_duration", "parse_size"]

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_SIZE = re.compile(r"([0-9]+)(?:\.([0-9]+))?[ ]*(?:([KMGTP])(?:I?B)?|B)?", re.IGNORECASE)
_LIMIT = 2**63  # what a C int64_t, and so LMDB and the native cache, can still count
_EXAMPLES = 'an integer of bytes or a string such as "256MB", "64 KiB" or "1.5GB"'


def parse_size(value: int | str, /) -> int:
    """Return the number of bytes that ``value`` means, an integer or a string with a unit.

    Units are powers of 1024, with or without the ``i`` and in any case (``KB``, ``KiB``, ``k``); a fraction
    of a byte is dropped. Raises :exc:`TypeError` for other types (also bool and float), :exc:`ValueError`
    for what is no size, is negative, or does not fit in 63 bits.

    >>> parse_size("256MB"), parse_size("64 KiB"), parse_size("1.5gb"), parse_size(4096)
    (268435456, 65536, 1610612736, 4096)
    """
    if isinstance(value, str):
        size = _parse_text(value)
    elif isinstance(value, bool):
        raise TypeError(f"a size is {_EXAMPLES}, not a bool")
    else:
        try:
            size = int(index(value))
        except TypeError:
            raise TypeError(f"a size is {_EXAMPLES}, not a {type(value).__name__}") from None
    if size < 0:
        raise ValueError(f"a size is not negative: {value}")
    if size >= _LIMIT:
        raise ValueError("a size is less than 2**63 bytes")
    return size


def _parse_text(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None or len(text) > 40:  # no size has more digits, and int() of very many is slow
        raise ValueError(f"a size is {_EXAMPLES}, not {text[:40]!r}")
    whole, fraction, unit = match[1], match[2] or "", match[3]
    power = 1 + "KMGTP".index(unit.upper()) if unit else 0
    scale: int = 10 ** len(fraction)
    return (int(whole + fraction) << 10 * power) // scale


def format_size(size: int, /) -> str:
    """Return ``size`` bytes for people, to one decimal: what :func:`parse_size` reads back within 5 %.

    Raises :exc:`ValueError` when ``size`` is negative.

    >>> format_size(268435456), format_size(1536), format_size(999)
    ('256MB', '1.5KB', '999B')
    """
    if size < 0:
        raise ValueError(f"a size is not negative: {size}")
    power, tenths = 0, 10 * size
    while tenths >= 10 * 1024 and power < len(_UNITS) - 1:
        power += 1
        unit = 1 << 10 * power
        tenths = (10 * size + unit // 2) // unit
    whole, tenth = divmod(tenths, 10)
    return f"{whole}.{tenth}{_UNITS[power]}" if tenth else f"{whole}{_UNITS[power]}"


def parse_duration(value: float | timedelta, /) -> float:
    """Return ``value`` in seconds, a number of seconds or a :class:`~datetime.timedelta`.

    Raises :exc:`TypeError` for other types (also bool), :exc:`ValueError` when negative, infinite or NaN.

    >>> from datetime import timedelta
    >>> parse_duration(1.5), parse_duration(timedelta(minutes=5))
    (1.5, 300.0)
    """
    if isinstance(value, bool):
        raise TypeError("a duration is a number of seconds or a timedelta, not a bool")
    if isinstance(value, int | float):
        seconds = _float(value)
    elif hasattr(value, "total_seconds"):
        seconds = float(value.total_seconds())
    else:
        raise TypeError(f"a duration is a number of seconds or a timedelta, not a {type(value).__name__}")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"a duration is finite and not negative: {value}")
    return seconds


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond 1e308
        return math.inf
