"""What every mapping can do, on top of a disk cache's own verbs."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from perfcore.cache.disk import queries
from perfcore.cache.disk.store import Store
from perfcore.cache.keys import Key, decode_key
from perfcore.cache.subscripts import Subscripts
from perfcore.errors import CodecError

__all__ = ["Mapped"]


class Mapped(Subscripts, MutableMapping[Key, Any]):
    """What a mapping has beside its operators; the verbs are the subclass's."""

    _store: Store

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
