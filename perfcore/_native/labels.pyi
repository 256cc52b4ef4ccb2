from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

from perfcore._native.cache import Cache
from perfcore._native.tags import Label

__all__ = ["holds", "label", "put"]

_K = TypeVar("_K")
_V = TypeVar("_V")

def label(cache: Cache[Any, Any], tags: Iterable[Hashable] | None) -> Label | None: ...
def holds(cache: Cache[Any, Any], label: Label) -> bool: ...
def put(cache: Cache[_K, _V], key: _K, value: _V, ttl: float | None, label: Label) -> None: ...
