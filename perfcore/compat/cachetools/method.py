"""cachetools' ``cachedmethod``: methods over a cache, and a lock or condition, that belong to the instance.

What is counted for an instance is kept beside it, weakly, and not in its ``__dict__``: so instances without
one can be used, and are pickled and copied as if their methods were not cached.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial, update_wrapper
from inspect import Parameter, signature
from typing import Any
from weakref import ref

from perfcore._repr import safe_repr
from perfcore.compat.cachetools.decorator import Wrapper
from perfcore.keys import methodkey

__all__ = ["cachedmethod"]


def cachedmethod(
    cache: Callable[[Any], Any],
    key: Callable[..., Hashable] = methodkey,
    lock: Callable[[Any], Any] | None = None,
    condition: Callable[[Any], Any] | None = None,
    info: bool = False,
) -> Callable[[Callable[..., Any]], Any]:
    """Store the results of a method in the mapping ``cache(self)``, under ``key(self, *args, **kwargs)``.

    ``lock(self)``, ``condition(self)`` and ``info`` are as for :func:`cached`. :func:`perfcore.cached_method`
    needs no cache of each instance.

    >>> class Squares:
    ...     def __init__(self):
    ...         self.results = {}
    ...     @cachedmethod(lambda self: self.results)
    ...     def of(self, x):
    ...         return x * x
    >>> squares = Squares(); squares.of(3), squares.results
    (9, {(3,): 9})
    """
    if not callable(cache):
        raise TypeError("cache must be callable: a function of the instance that returns its cache")

    def wrapper_for(function: Callable[..., Any], instance: Any) -> Wrapper:
        own_lock = None if lock is None else lock(instance)
        own_condition = None if condition is None else condition(instance)
        return Wrapper(function, cache(instance), key, own_lock, own_condition)

    return lambda function: Method(function, wrapper_for, info)


class Method:
    """The descriptor: called itself, it takes the instance first."""

    def __init__(self, function: Callable[..., Any], make: Callable[..., Wrapper], info: bool) -> None:
        update_wrapper(self, function)
        self.__wrapped__ = function
        self._make, self._info = make, info
        self._owner: type | None = None
        self._wrappers: dict[int, tuple[ref[Any], Wrapper]] = {}

    def __set_name__(self, owner: type, name: str) -> None:
        if self._owner is owner:
            raise TypeError(f"one cachedmethod cannot have a second name in a class, {name!r}")
        self._owner = owner

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        if isinstance(instance, type):
            raise TypeError("cachedmethod is not for a class method: use perfcore.cached or cached_method")
        return BoundMethod(self, self._wrapper(instance), instance)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if not args:
            args = (self._receiver(kwargs),)
        return self.__get__(args[0])(*args[1:], **kwargs)

    def _receiver(self, kwargs: dict[str, Any]) -> Any:
        """Take the instance from the keywords, under the name that the method has for it."""
        for parameter in signature(self.__wrapped__).parameters.values():
            if parameter.kind == Parameter.POSITIONAL_OR_KEYWORD and parameter.name in kwargs:
                return kwargs.pop(parameter.name)
            break
        raise TypeError(f"{self.__wrapped__.__qualname__}() needs an instance")

    def _wrapper(self, instance: Any) -> Wrapper:
        number = id(instance)
        known, wrapper = self._wrappers.get(number, (None, None))
        if wrapper is None or known is None or known() is not instance:
            wrapper = self._make(self.__wrapped__, instance)
            wrappers = self._wrappers

            def forget(dead: ref[Any]) -> None:
                if wrappers.get(number, (None,))[0] is dead:
                    del wrappers[number]

            try:
                wrappers[number] = ref(instance, forget), wrapper
            except TypeError:
                kind = type(instance).__name__
                raise TypeError(
                    f"a {kind} cannot be referred to weakly: add __weakref__ to its __slots__"
                ) from None
        return wrapper

    def __copy__(self) -> Method:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Method:
        return self

    def __reduce__(self) -> str:
        return str(self.__dict__["__qualname__"])

    @safe_repr
    def __repr__(self) -> str:
        return f"<cachedmethod {self.__wrapped__!r}>"


class BoundMethod:
    """A cached method of an instance."""

    def __init__(self, method: Method, wrapper: Wrapper, instance: Any) -> None:
        update_wrapper(self, method.__wrapped__)
        self.__self__ = instance
        self.cache, self.cache_key = wrapper._cache, partial(wrapper._key, instance)
        self.cache_lock, self.cache_condition = wrapper._lock, wrapper._condition
        self.cache_clear = wrapper.clear
        if method._info:
            self.cache_info = wrapper.info
        self._call = wrapper.call

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._call((self.__self__, *args), kwargs, self.cache_key(*args, **kwargs))

    @safe_repr
    def __repr__(self) -> str:
        return f"<cachedmethod {self.__wrapped__!r} of {object.__repr__(self.__self__)}>"  # type: ignore[attr-defined]
