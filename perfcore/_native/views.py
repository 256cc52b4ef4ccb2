"""Views of a cache's values and items that do not count as uses."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any

MISSING = object()


class CacheValues(ValuesView[Any]):
    """The values of a cache."""

    _mapping: Any

    def __iter__(self) -> Iterator[Any]:
        return self._mapping._values()  # type: ignore[no-any-return]

    def __contains__(self, value: object) -> bool:
        return any(held is value or held == value for held in self)


class CacheItems(ItemsView[Any, Any]):
    """The items of a cache."""

    _mapping: Any

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._mapping._items()  # type: ignore[no-any-return]

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        held = self._mapping.peek(item[0], MISSING)
        return bool(held is not MISSING and (held is item[1] or held == item[1]))
