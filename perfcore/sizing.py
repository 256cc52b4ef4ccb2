"""How many bytes an object takes, well enough to bound a cache by them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, islice
from sys import getsizeof
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["weigh"]

ENTRY = 64  # what the cache itself keeps for an entry, about
HEAVIEST = 2**32 - 1  # what a cache can note as a weight
VISITS = 400  # objects looked at for one entry, at most: below 1 ms
WIDE, SAMPLE = 64, 16  # of more than WIDE members, SAMPLE are looked at
FAR = 4096  # members passed over in search of a sample, at most
SEQUENCES = (list, tuple, set, frozenset, deque)
ATOMS = {str, bytes, int, float, bool, type(None)}
SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)  # not the value's own


def weigh(key: Any, value: Any, /) -> int:
    """Return about how many bytes an entry of ``key`` and ``value`` takes, with all that they hold.

    An object that is reached twice counts once. Of wide containers some members are looked at and the others
    taken to be alike, so that the work is bounded. A weigher for :class:`perfcore.cache.Cache`.

    >>> weigh("k", b"x" * 1000) < 1300 < 100_000 < weigh("k", [b"x" * 1000 + bytes([n]) for n in range(100)])
    True
    """
    if type(value) in ATOMS and type(key) in ATOMS:
        return min(ENTRY + getsizeof(key) + getsizeof(value), HEAVIEST)
    seen: set[int] = set()
    return min(ENTRY + int(_bytes(key, seen) + _bytes(value, seen)), HEAVIEST)


def _bytes(found: Any, seen: set[int]) -> float:
    if id(found) in seen or isinstance(found, SHARED):
        return 0.0
    seen.add(id(found))
    size = float(ENTRY)
    with suppress(Exception):  # its own code failed, or another thread changed it: it counts for less
        size = float(_own(found))
        size += _bytes_inside(*_members(found), seen)
    return size


def _own(found: Any) -> int:
    """Return the bytes of an object without what it refers to; a view of an array counts as what it shows."""
    shown = getattr(found, "nbytes", 0)
    return max(getsizeof(found), shown) if type(shown) is int else getsizeof(found)


def _bytes_inside(members: Iterable[Any], count: int, seen: set[int]) -> float:
    """Return the bytes of ``count`` members; those not looked at weigh what the others do in the mean."""
    if count > WIDE:
        step = min(count, FAR) // SAMPLE | 1  # odd, so as to meet the keys and the values of a dict
        members = islice(members, 0, FAR, step)
    size, looked_at = 0.0, 0
    for member in members:
        if len(seen) >= VISITS:
            break
        size += _bytes(member, seen)
        looked_at += 1
    return size * count / looked_at if looked_at else 0.0


def _members(found: Any) -> tuple[Iterable[Any], int]:
    if isinstance(found, SEQUENCES):
        return found, len(found)
    fields = getattr(type(found), "__struct_fields__", None)  # msgspec
    if isinstance(fields, tuple):
        return (getattr(found, name, None) for name in fields), len(fields)
    pairs = found if isinstance(found, dict) else getattr(found, "__dict__", {})
    return chain.from_iterable(pairs.items()), 2 * len(pairs)
