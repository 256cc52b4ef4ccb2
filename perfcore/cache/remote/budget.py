"""How long a call may take: a deadline that every wait of the call is cut to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

__all__ = ["deadline_of", "within"]

_ambient: ContextVar[float | None] = ContextVar("perfcore_remote_deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give all remote calls in this block, taken together, at most ``seconds``; never more than their own.

    >>> with within(0.25), within(60):
    ...     deadline_of(5.0) - monotonic() < 0.25
    True
    """
    token = _ambient.set(deadline_of(seconds))
    try:
        yield
    finally:
        _ambient.reset(token)


def deadline_of(timeout: float) -> float:
    """Return when a call that begins now and may take ``timeout`` seconds has to end, in monotonic time."""
    own, ambient = monotonic() + timeout, _ambient.get()
    return own if ambient is None or own < ambient else ambient
