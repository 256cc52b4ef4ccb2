"""Timers as decorators: of functions, coroutine functions and generators of both kinds."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from perfcore._native.timer import Timer

__all__ = ["timed"]


def timed(timer: Timer, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` timed from its call to its end; TypeError for what cannot be called."""
    if not callable(function):
        raise TypeError(f"a timer decorates a function, not {type(function).__name__}")
    if inspect.iscoroutinefunction(function):
        return _coroutine(timer, function)
    if inspect.isasyncgenfunction(function):
        return _asynchronous_generator(timer, function)
    if inspect.isgeneratorfunction(function):
        return _generator(timer, function)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with timer:
            return function(*args, **kwargs)

    return wrapper


def _coroutine(timer: Timer, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with timer:
            return await function(*args, **kwargs)

    return wrapper


def _generator(timer: Timer, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with timer:
            return (yield from function(*args, **kwargs))

    return wrapper


def _asynchronous_generator(timer: Timer, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        with timer:
            try:
                async for value in generator:
                    yield value
            finally:
                await generator.aclose()

    return wrapper
