"""What type checkers know of cached functions: they take and return what the functions do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar, overload

from perfcore.types import CacheInfo

__all__ = ["CachedFunction", "Decorator"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class CachedFunction(Protocol[P, R_co]):
    """A function behind a cache, as :func:`~perfcore.cached` returns it."""

    __name__: str
    __qualname__: str

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function itself: calling it computes, and leaves the cache alone."""

    @property
    def cache(self) -> Any:
        """Where the results lie."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return what the function returns for these arguments."""

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> Self: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[T, Q], R], instance: T, owner: type | None = None, /
    ) -> CachedFunction[Q, R]: ...

    def cache_info(self) -> CacheInfo:
        """Return what was counted since the beginning or the last ``cache_clear``."""

    def cache_clear(self) -> None:
        """Forget all results, also those that are being computed, and count anew."""

    def cache_parameters(self) -> dict[str, Any]:
        """Return the options, as they were given."""

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Return the key of a call."""

    def cache_contains(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Say whether there is a result for a call; it is no use of it."""

    def cache_invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of a call, also one that is being computed; say whether there was one."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Compute the result of a call anew, and store and return it."""

    def invalidate_tags(self, *tags: Any) -> None:
        """Forget every result with one of these tags, also those that are being computed."""


class Decorator(Protocol):
    """What :func:`~perfcore.cached` returns when it was given options."""

    @overload
    def __call__(self, function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
    @overload
    def __call__(self, function: staticmethod[P, R], /) -> staticmethod[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...
