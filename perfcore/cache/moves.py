"""Moves: what a manager does, written once for threads and for event loops.

A move is a generator that yields calls of verbs and is sent their results. :func:`drive` makes the calls in
the calling thread. :func:`adrive` awaits a verb's asynchronous form where there is one (``find`` and
``afind``), so that a tier on a network is asked without a thread in between. What a call raises is raised
inside the move, which can tidy up.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

__all__ = ["Call", "Moves", "adrive", "drive"]

_T = TypeVar("_T")


#: Who is called, which verb, and with what: a plain tuple, for one is made for each look at a tier.
Call: TypeAlias = tuple[Any, str, tuple[Any, ...]]
#: Yields calls, is sent their results, and returns a result of its own.
Moves: TypeAlias = Generator[Call, Any, _T]


def drive(moves: Moves[_T]) -> _T:
    """Carry out ``moves`` here and return the result.

    >>> def longest(words):
    ...     length = yield len(words), "__add__", (1,)
    ...     return length
    >>> drive(longest(["a", "b"]))
    3
    """
    act, result = moves.send, None
    try:
        while True:
            party, verb, arguments = act(result)
            try:
                act, result = moves.send, getattr(party, verb)(*arguments)
            except BaseException as error:
                act, result = moves.throw, error
    except StopIteration as done:
        found: _T = done.value
        return found
    finally:
        result = None  # an error that is on its way out would hold this frame, and the frame it


async def adrive(moves: Moves[_T]) -> _T:
    """Carry out ``moves`` on the running event loop and return the result."""
    act, result = moves.send, None
    try:
        while True:
            party, verb, arguments = act(result)
            later = getattr(party, f"a{verb}", None)
            try:
                if later is None:
                    act, result = moves.send, getattr(party, verb)(*arguments)
                else:
                    act, result = moves.send, await later(*arguments)
            except BaseException as error:
                act, result = moves.throw, error
    except StopIteration as done:
        found: _T = done.value
        return found
    finally:
        result = None
