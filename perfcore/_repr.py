"""Reprs that never raise."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

__all__ = ["safe_repr"]


def safe_repr(describe: Callable[[Any], str]) -> Callable[[Any], str]:
    """Make a ``__repr__`` that says no more than the class where ``describe`` raises.

    A debugger, a log or a traceback asks at any moment: while an object is half made, after its end, or while
    another thread changes it.

    >>> class Half:
    ...     @safe_repr
    ...     def __repr__(self): return f"<Half: {self.other}>"
    >>> Half()
    <Half, not at rest>
    """

    @wraps(describe)
    def __repr__(self: Any) -> str:  # noqa: N807
        try:
            return describe(self)
        except Exception:
            return f"<{type(self).__name__}, not at rest>"

    return __repr__
