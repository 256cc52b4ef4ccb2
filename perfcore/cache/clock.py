"""The wall clock as stored entries know it: Unix time, because entries outlive processes and reboots."""

from __future__ import annotations

from time import time_ns

__all__ = ["expires_at", "now_us", "remaining"]


def now_us() -> int:
    """Return the Unix time in microseconds."""
    return time_ns() // 1000


def expires_at(written_us: int, ttl: float | None) -> int:
    """Return when what was written at ``written_us`` expires, in Unix milliseconds; 0 if it never does."""
    return 0 if ttl is None else max(1, written_us // 1000 + int(ttl * 1000))


def remaining(expiry: int, written_us: int, at_us: int) -> float | None:
    """Return the seconds left at ``at_us`` (None: for ever, 0.0: none), never more than there were at first.

    >>> remaining(expiry=10_000, written_us=4_000_000, at_us=9_000_000)
    1.0
    >>> remaining(expiry=10_000, written_us=4_000_000, at_us=0)  # the clock was set back
    6.0
    """
    if not expiry:
        return None
    return max(0, min(expiry * 1000 - at_us, expiry * 1000 - written_us)) / 1e6
