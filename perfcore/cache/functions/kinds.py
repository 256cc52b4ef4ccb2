"""What kind of function it is: a plain one, a coroutine function, or one that cannot be cached."""

from __future__ import annotations

import asyncio
import inspect
import sys
from functools import partial, partialmethod
from typing import Any

__all__ = ["check_function", "is_coroutine_function", "mark_coroutine_function"]


def check_function(function: Any) -> str:
    """Return the name of a function that can be cached; :exc:`TypeError` for anything else."""
    if not callable(function):
        raise TypeError(
            f"cached() decorates functions, not an object of type {type(function).__name__}; "
            "its options go by keyword"
        )
    name: str = getattr(function, "__qualname__", None) or repr(function)
    inner = _innermost(function)
    for is_one, kind in (
        (inspect.isasyncgenfunction, "an asynchronous generator"),
        (inspect.isgeneratorfunction, "a generator"),
    ):
        if is_one(inner):
            raise TypeError(
                f"{name} is {kind} function, and what it yields can be read only once: return a list"
            )
    return name


def is_coroutine_function(function: Any) -> bool:
    """Say whether calling a function gives a coroutine, also through partials and ``__call__``.

    >>> async def fetch(): ...
    >>> is_coroutine_function(partial(fetch)), is_coroutine_function(print)
    (True, False)
    """
    while isinstance(function, partial | partialmethod):
        function = function.func
    if inspect.iscoroutinefunction(_innermost(function)):
        return True
    return sys.version_info < (3, 12) and asyncio.iscoroutinefunction(function)


def mark_coroutine_function(memo: Any) -> None:
    """Let ``iscoroutinefunction`` know a memo of a coroutine function."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(memo)
    else:
        memo._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


def _innermost(function: Any) -> Any:
    """What is run in the end: of a partial its function, of an object its ``__call__``."""
    while isinstance(function, partial | partialmethod):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return getattr(type(function), "__call__", function)  # noqa: B004
