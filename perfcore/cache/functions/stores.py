"""Caches that a function shares with others: its keys there, and tiers that are no ``Cache``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from perfcore._native.memo import key_of
from perfcore._repr import safe_repr

__all__ = ["Name", "Store", "named_key", "stored_key"]


class Name:
    """Tells the results of one function from those of others in the same cache; equal to itself alone."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @safe_repr
    def __repr__(self) -> str:
        return f"<results of {self.name}>"


def named_key(name: Name, typed: bool) -> Callable[..., Any]:
    """Return a key function for a cache in memory that several functions share."""

    def key(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        return name, key_of(args, kwargs or None, typed)

    return key


def stored_key(name: str, typed: bool) -> Callable[..., Any]:
    """Return a key function for a tier below memory: keys are tuples of what can be stored there.

    >>> stored_key("app.load", typed=False)(7, lang="en")
    ('app.load', (7,), ('lang', 'en'))
    """

    def key(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        keywords = sorted(kwargs.items())
        values = [*args, *(value for _, value in keywords)]
        types = (
            [tuple(f"{type(value).__module__}.{type(value).__qualname__}" for value in values)]
            if typed
            else []
        )
        return (name, args, *keywords, *types)

    return key


class Store:
    """A tier with ``get``, ``set`` and ``delete`` in the dress of a ``Cache``."""

    def __init__(self, tier: Any) -> None:
        self.tier = tier
        self.get = self.peek = tier.get
        self.set, self.delete = tier.set, tier.delete

    def __setitem__(self, key: Any, value: Any) -> None:
        self.tier.set(key, value)

    def __len__(self) -> int:
        return len(self.tier)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tier)

    def clear(self) -> None:
        """Remove everything, also what others stored."""
        self.tier.clear()
