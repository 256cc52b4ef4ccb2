from typing import Any, Self, final

from typing_extensions import disjoint_base

__all__ = ["CacheIterator"]

@final
@disjoint_base
class CacheIterator:
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
