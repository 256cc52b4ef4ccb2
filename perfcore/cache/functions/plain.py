"""The memo of ``perfcore._native.memo`` over any store, for what is no ``Cache``; and its bound form."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from inspect import Signature, signature
from threading import Lock
from types import MethodType
from typing import Any, Final

from perfcore._native.memo import Held
from perfcore._repr import safe_repr
from perfcore.cache.functions.shelf import MISSING

__all__ = ["Bound", "PlainMemo"]

#: Attributes that take the arguments of a call; bound to an instance they begin with it.
_OF_CALLS: Final = frozenset({"cache_contains", "cache_invalidate", "cache_key", "refresh"})


class PlainMemo:
    """A function behind a store; what the store cannot answer is left to ``miss`` and ``review``."""

    __slots__ = (
        *(
            "__dict__",
            "__weakref__",
            "_awaitable",
            "_bind",
            "_finish",
            "_hits",
            "_key",
            "_lock",
            "_margin",
            "_miss",
        ),
        *("_misses", "_review", "_unhashable", "cache", "function"),
    )

    def __init__(
        self,
        function: Callable[..., Any],
        cache: Any,
        miss: Callable[..., Any],
        *,
        key: Callable[..., Hashable],
        review: Callable[..., Any],
        margin: float,
        finish: Callable[[Any], Any] | None,
        awaitable: bool,
        unhashable: Callable[..., Any],
        bind: Callable[[Any, object], Any],
    ) -> None:
        self.function, self.cache = function, cache
        self._miss, self._key, self._review, self._margin = miss, key, review, margin
        self._finish, self._awaitable = finish, awaitable
        self._unhashable, self._bind = unhashable, bind
        self._lock = Lock()
        self._hits = self._misses = 0

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return what is stored for a call, or what ``miss`` or ``review`` make of it."""
        try:
            key = self._key(*args, **kwargs)
            hash(key)
        except TypeError as error:
            return self._unhashable(error, args, kwargs)
        found = self.cache.get(key, MISSING)
        with self._lock:
            self._hits += found is not MISSING
            self._misses += found is MISSING
        if found is MISSING:
            return self._miss(key, args, kwargs)
        left = self.cache.expires_in(key) if self._margin else None
        if isinstance(found, Held) or (left is not None and left < self._margin):
            return self._review(key, args, kwargs, found, left)
        value = found if self._finish is None else self._finish(found)
        return _ready(value) if self._awaitable else value

    def __get__(self, instance: object, owner: type | None = None, /) -> Any:
        return self if instance is None else self._bind(self, instance)

    def __copy__(self) -> PlainMemo:
        return self

    def __deepcopy__(self, memo: dict[int, Any], /) -> PlainMemo:
        return self

    def __reduce__(self) -> str:
        return str(self.__dict__["__qualname__"])

    def cache_key(self, /, *args: Any, **kwargs: Any) -> Hashable:
        """Return the key of a call."""
        return self._key(*args, **kwargs)

    @property
    def hits(self) -> int:
        """How many calls found a result."""
        return self._hits

    @property
    def misses(self) -> int:
        """How many calls found none."""
        return self._misses

    def reset_counts(self) -> None:
        """Begin counting anew."""
        with self._lock:
            self._hits = self._misses = 0


class Bound:
    """A memo as the method of an instance, which ``cache_invalidate(...)`` and the like are about."""

    __slots__ = ("__func__", "__self__", "__weakref__")

    def __init__(self, memo: Any, instance: object) -> None:
        self.__func__, self.__self__ = memo, instance

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the memo with the instance."""
        return self.__func__(self.__self__, *args, **kwargs)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.__func__.__doc__  # type: ignore[no-any-return]

    @property
    def __signature__(self) -> Signature:
        return signature(MethodType(self.__func__.__wrapped__, self.__self__))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__func__, name)
        return partial(found, self.__self__) if name in _OF_CALLS else found

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Bound) and self.__func__ is other.__func__ and self.__self__ is other.__self__
        )

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    @safe_repr
    def __repr__(self) -> str:
        return f"<bound cached method {self.__func__.__qualname__} of {object.__repr__(self.__self__)}>"


async def _ready(value: Any) -> Any:
    return value
