"""``cache[key]`` and ``with cache:`` for caches that have verbs for both."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from perfcore.cache.keys import Key

__all__ = ["Subscripts"]

_MISSING: Any = object()


class Subscripts:
    """The operators of a mapping and of a context manager; the verbs are the subclass's."""

    def get(self, key: Key, default: Any = None, /) -> Any:
        """Return the value of ``key``, or ``default`` when there is none."""
        raise NotImplementedError

    def set(self, key: Key, value: Any) -> None:
        """Store ``value`` under ``key``."""
        raise NotImplementedError

    def delete(self, key: Key, /) -> bool:
        """Remove ``key``; say whether it was there."""
        raise NotImplementedError

    def close(self) -> None:
        """Release everything."""
        raise NotImplementedError

    def __getitem__(self, key: Key, /) -> Any:
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Key, value: Any, /) -> None:
        self.set(key, value)

    def __delitem__(self, key: Key, /) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
