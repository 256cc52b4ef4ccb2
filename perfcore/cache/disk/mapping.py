"""What every mapping can do, on top of a disk cache's own verbs."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from types import TracebackType
from typing import Any, Self

from perfcore.cache.disk import queries
from perfcore.cache.disk.flight import MISSING
from perfcore.cache.disk.store import Store
from perfcore.cache.keys import Key, decode_key
from perfcore.errors import CodecError

__all__ = ["Mapped"]


class Mapped(MutableMapping[Key, Any]):
    """The protocols of mappings and context managers; the verbs are the subclass's."""

    _store: Store

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
        value = self.get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Key, value: Any, /) -> None:
        self.set(key, value)

    def __delitem__(self, key: Key, /) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __len__(self) -> int:
        """The number of entries, with those that have expired and are still to be noticed."""
        self._store.drain()
        return queries.stats(self._store, 0, 0).entries

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys, longest stored first; other writers may add and remove some meanwhile."""
        self._store.drain()
        for name in queries.names(self._store):
            try:
                yield decode_key(name)
            except CodecError:
                pass  # damaged: reading it will count and remove it

    def __reversed__(self) -> Iterator[Key]:
        return reversed(list(self))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
