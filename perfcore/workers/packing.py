"""Calls as bytes for another process, and what is at fault in one that cannot be sent."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from perfcore.errors import MissingExtraError
from perfcore.workers.errors import ResultTooLargeError, UnpicklableError

__all__ = ["call", "culprit", "dumps", "pack"]

#: what a value made of others is searched to for what cannot be sent
_DEPTH = 6


def dumps(value: object) -> bytes:
    """Pickle, functions and classes that cannot be imported by their value."""
    try:
        import cloudpickle  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtraError("cloudpickle", "processes") from None
    return bytes(cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))


def pack(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """Return a call as bytes. Raises UnpicklableError, which names the argument and attribute at fault."""
    try:
        return dumps((fn, args, kwargs))
    except MissingExtraError:
        raise
    except Exception as error:
        parts = [("fn", fn), *((f"args[{i}]", value) for i, value in enumerate(args)), *kwargs.items()]
        named = (found for name, value in parts if (found := culprit(name, value)) is not None)
        path, value = next(named, ("the call", fn))
        raise UnpicklableError(
            f"{path} cannot be sent to a process: {type(value).__name__} is not picklable ({error})"
        ) from error


def culprit(path: str, value: object, depth: int = _DEPTH) -> tuple[str, object] | None:
    """Return path and value of the innermost part of ``value`` that cannot be pickled, or None.

    >>> from threading import Lock
    >>> culprit("job", {"name": "a", "guard": Lock()})[0]
    "job['guard']"
    """
    try:
        dumps(value)
    except Exception:
        inner = (culprit(path + step, part, depth - 1) for step, part in _parts(value)) if depth else iter(())
        return next((found for found in inner if found is not None), (path, value))
    return None


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{i}]", part) for i, part in enumerate(value))
    elif (closure := getattr(value, "__closure__", None)) is not None:
        names = value.__code__.co_freevars  # type: ignore[attr-defined]
        yield from ((f" (variable {n})", c.cell_contents) for n, c in zip(names, closure, strict=True))
    elif (owner := getattr(value, "__self__", None)) is not None:
        yield ".__self__", owner
    else:
        yield from ((f".{name}", part) for name, part in getattr(value, "__dict__", {}).items())


def call(packed: bytes, limit: int) -> bytes:
    """Make a packed call, in the other process, and return what it returned as bytes."""
    fn, args, kwargs = pickle.loads(packed)
    result = fn(*args, **kwargs)
    try:
        answer = dumps(result)
    except Exception as error:
        path, value = culprit("the result", result) or ("the result", result)
        raise UnpicklableError(
            f"{path} cannot be sent back: {type(value).__name__} is not picklable ({error})"
        ) from error
    if len(answer) > limit:
        raise ResultTooLargeError(f"the result has {len(answer)} bytes, max_result is {limit}")
    return answer
