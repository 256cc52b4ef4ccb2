"""Key functions for cached functions: what of a call says which result it wants.

The names and the meaning are those of cachetools: keywords are sorted by name, ``typed`` keys tell ``1``
from ``1.0``, and the ``method`` forms leave out the first argument. A key remembers its hash, because a
lookup and a store that follows it would both compute it.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

__all__ = ["HashedKey", "hashkey", "methodkey", "typedkey", "typedmethodkey"]


class HashedKey(tuple[Any, ...]):
    """The arguments of a call as a tuple that hashes its items once; equal to a plain tuple of them.

    Sums of a tuple and a ``HashedKey`` are ``HashedKey``\\ s. Pickles leave the hash out, since those of
    strings differ between processes.

    >>> HashedKey((1, 2)) == (1, 2), hash(HashedKey((1, 2))) == hash((1, 2))
    (True, True)
    """

    _hash: int | None = None

    def __hash__(self) -> int:
        found = self._hash
        if found is None:
            self._hash = found = tuple.__hash__(self)
        return found

    def __add__(self, other: tuple[Any, ...], /) -> HashedKey:
        return HashedKey(tuple.__add__(self, other))

    def __radd__(self, other: tuple[Any, ...], /) -> HashedKey:
        return HashedKey(tuple.__add__(other, self))

    def __getnewargs__(self) -> tuple[tuple[Any, ...]]:
        return (tuple(self),)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        return HashedKey, (tuple(self),)


class _Mark:
    """Stands between positional arguments and keywords; one object per process, whatever it goes through."""

    def __reduce__(self) -> str:
        return "_KEYWORDS"

    def __repr__(self) -> str:
        return "**"


_KEYWORDS = _Mark()


def hashkey(*args: Any, **kwargs: Any) -> HashedKey:
    """Return a key of all arguments; hashing it raises :exc:`TypeError` when one of them cannot be hashed.

    >>> hashkey(1, b=2, a=3) == hashkey(1, a=3, b=2), hashkey(1) == hashkey(1.0)
    (True, True)
    """
    if not kwargs:
        return HashedKey(args)
    return HashedKey(
        (*args, _KEYWORDS, *(part for item in sorted(kwargs.items(), key=_name) for part in item))
    )


def methodkey(_self: Any, /, *args: Any, **kwargs: Any) -> HashedKey:
    """Return :func:`hashkey` of all arguments but the first: the same key for every instance.

    >>> methodkey("one", 1) == methodkey("another", 1) == hashkey(1)
    True
    """
    return hashkey(*args, **kwargs)


def typedkey(*args: Any, **kwargs: Any) -> HashedKey:
    """Return a key of all arguments and their types.

    >>> typedkey(1) == typedkey(1.0)
    False
    """
    types = [type(value) for value in args]
    types += [type(value) for _, value in sorted(kwargs.items(), key=_name)]
    return hashkey(*args, **kwargs) + tuple(types)


def typedmethodkey(_self: Any, /, *args: Any, **kwargs: Any) -> HashedKey:
    """Return :func:`typedkey` of all arguments but the first.

    >>> typedmethodkey("one", 1) == typedmethodkey("another", 1) == typedkey(1)
    True
    """
    return typedkey(*args, **kwargs)


def _name(item: tuple[str, Any]) -> str:
    return item[0]
