"""``@manager.cached``: a function whose results live on the tiers of a manager, and outlive its process."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from perfcore.cache.moves import drive

if TYPE_CHECKING:
    from perfcore.cache.computing import Computing

__all__ = ["Memoized", "memoize"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_MARK = "\x9dperfcore cached"


class Memoized(Generic[_P, _R]):
    """A function behind a manager; calling it asks the tiers first."""

    __wrapped__: Callable[_P, _R]

    def __init__(
        self,
        manager: Computing,
        function: Callable[_P, _R],
        version: Any,
        key: Callable[..., Any] | None,
        options: dict[str, Any],
    ) -> None:
        update_wrapper(self, function)
        self._manager, self._key, self._options = manager, key, options
        self._load = manager.aget_or_set if iscoroutinefunction(function) else manager.get_or_set
        self._name = _MARK, function.__module__, function.__qualname__, version

    def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Return the result of a call with these arguments, as stored or computed now."""
        options = self._options
        if callable(options.get("tags")):
            options = {**options, "tags": options["tags"](*args, **kwargs)}
        load: Any = self._load
        result: _R = load(
            self.cache_key(*args, **kwargs), lambda: self.__wrapped__(*args, **kwargs), **options
        )
        return result

    def cache_key(self, /, *args: _P.args, **kwargs: _P.kwargs) -> Any:
        """Return the key of a call; raises :exc:`TypeError` when an argument cannot be part of one."""
        if self._key is not None:
            return *self._name, self._key(*args, **kwargs)
        key = *self._name, args, tuple(sorted(kwargs.items()))
        try:
            self._manager._names.encode(key)
        except TypeError as error:
            name = self.__wrapped__.__qualname__
            raise TypeError(f"{name}() is called with what is no key ({error}); give key=") from None
        return key

    def cache_invalidate(self, /, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Forget the result of a call, on all tiers; say whether there was one."""
        return drive(self._manager._removing([self.cache_key(*args, **kwargs)])) > 0

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Bind as functions do; ``key=`` has to say what of ``self`` counts."""
        from types import MethodType

        return self if instance is None else MethodType(self, instance)


def memoize(
    manager: Computing,
    function: Callable[_P, _R],
    version: Any,
    key: Callable[..., Any] | None,
    options: dict[str, Any],
) -> Memoized[_P, _R]:
    """Return ``function`` behind ``manager``; raises :exc:`TypeError` for what has no result to keep."""
    if not callable(function):
        raise TypeError(f"cached: expected a function, got {type(function).__name__}")
    if isasyncgenfunction(function) or isgeneratorfunction(function):
        raise TypeError(f"cached: {function.__qualname__} is a generator, which can be gone through once")
    return Memoized(manager, function, version, key, options)
