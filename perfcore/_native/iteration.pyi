from typing import Any, Self, final

__all__ = ["CacheIterator"]

@final
class CacheIterator:
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
