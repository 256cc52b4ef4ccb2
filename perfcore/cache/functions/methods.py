"""``cached_method``: results of methods, under one bound for all instances, none of which is kept alive."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, ParamSpec, TypeVar, overload
from weakref import ref

from perfcore._native.memo import Memo, key_of
from perfcore.cache.functions.attributes import attach
from perfcore.cache.functions.building import own_cache, wrap
from perfcore.cache.functions.kinds import check_function
from perfcore.cache.functions.options import Options, checked
from perfcore.cache.functions.plain import Bound
from perfcore.cache.functions.shelf import Shelf
from perfcore.cache.functions.typed import CachedFunction, Decorator

__all__ = ["cached_method"]

P = ParamSpec("P")
R = TypeVar("R")


@overload
def cached_method(function: Callable[P, R], /) -> CachedFunction[P, R]: ...
@overload
def cached_method(**options: Any) -> Decorator: ...
def cached_method(function: Any = None, /, **options: Any) -> Any:
    """Give a method a cache of its results that holds the instances weakly.

    All instances share one bound, and the options are those of :func:`~perfcore.cached` without ``cache``.
    Instances are told apart by identity, so they need no ``__hash__``; they must be weakly referable. When
    one dies, its results go. A result that refers to the instance keeps it alive until it leaves the cache.

    Raises :exc:`TypeError` and :exc:`ValueError` as :func:`~perfcore.cached` does.

    >>> class Shop:
    ...     @cached_method(maxsize=1000)
    ...     def price(self, item):
    ...         print("looking up", item)
    ...         return len(item)
    >>> shop = Shop()
    >>> shop.price("tea"), shop.price("tea")
    looking up tea
    (3, 3)
    >>> shop.price.cache_invalidate("tea")
    True
    >>> _ = shop.price("tea"); del shop; Shop.price.cache_info().currsize
    looking up tea
    0
    """
    if options.get("cache") is not None:
        raise ValueError("cached_method has a cache of its own, for all instances: it takes no cache")
    settings = checked(options)
    return partial(CachedMethod, settings) if function is None else CachedMethod(settings, function)


class Owner(ref[Any]):
    """An instance as part of keys: weak, and the same only as itself."""

    __slots__ = ("keys",)

    def __init__(self, instance: Any, callback: Callable[[Any], object]) -> None:
        super().__init__(instance, callback)  # type: ignore[call-arg]
        #: Under what its results are stored.
        self.keys: set[Any] = set()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self) >> 4

    def __repr__(self) -> str:
        return f"<owner of results at {id(self):#x}>"


class Owners:
    """The instances that have results; when one dies, its results are dropped."""

    def __init__(self) -> None:
        self._owners: dict[int, Owner] = {}
        self.cache: Any = None

    def of(self, instance: Any) -> Owner:
        """Return what stands for an instance in keys; :exc:`TypeError` if it cannot be referred to weakly."""
        owner = self._owners.get(id(instance))
        if owner is not None and owner() is instance:
            return owner
        number = id(instance)
        try:
            owner = Owner(instance, lambda dead: self._drop(number, dead))
        except TypeError:
            raise TypeError(
                f"a {type(instance).__name__} cannot be referred to weakly: give the class __weakref__ among "
                "its __slots__, or use perfcore.cached, which keeps instances alive"
            ) from None
        self._owners[number] = owner
        return owner

    def _drop(self, number: int, dead: Any) -> None:
        if self._owners.get(number) is dead:  # another instance may live there by now
            self._owners.pop(number, None)
        while dead.keys:
            self.cache.delete(dead.keys.pop())

    @staticmethod
    def forget(key: Any, value: Any, cause: str) -> None:
        """Note that a result left the cache: its listener."""
        if cause != "replaced":
            key[0].keys.discard(key)


class OwnedShelf(Shelf):
    """A shelf that knows whose results it holds."""

    def write(self, key: Any, value: Any, ttl: float | None, label: Any) -> None:
        """Store something, unless its owner has died."""
        owner = key[0]
        owner.keys.add(key)
        super().write(key, value, ttl, label)
        if owner() is None:
            self.cache.delete(key)
        if key not in self.cache:  # refused, which listeners are not told
            owner.keys.discard(key)


class CachedMethod:
    """The descriptor that :func:`cached_method` puts in a class; ``__wrapped__`` is the method itself."""

    def __init__(self, settings: Options, function: Any) -> None:
        check_function(function)
        owners = Owners()
        owners.cache = own_cache(settings, Owners.forget)
        memo, calls = wrap(
            settings, function, OwnedShelf(owners.cache, settings, own=True), Memo, _key(settings, owners)
        )
        calls.skipped = 1
        attach(memo, calls, None)
        self.memo = memo
        self.__wrapped__ = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self.memo if instance is None else Bound(self.memo, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.memo(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "memo":
            raise AttributeError(name)
        return getattr(self.memo, name)


def _key(settings: Options, owners: Owners) -> Callable[..., Hashable]:
    given, typed = settings.key, settings.typed

    def key(instance: Any, /, *args: Any, **kwargs: Any) -> Hashable:
        return owners.of(instance), key_of(args, kwargs or None, typed)

    def given_key(instance: Any, /, *args: Any, **kwargs: Any) -> Hashable:
        return owners.of(instance), given(instance, *args, **kwargs)  # type: ignore[misc]

    return key if given is None else given_key
