"""Looking through all entries of a remote cache: for people and their tools, not for services."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from perfcore.cache.codec.entry import key_of
from perfcore.cache.remote.drive import ask, run
from perfcore.cache.remote.scan import names_like
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.store import Store
from perfcore.cache.remote.wire import Ask

__all__ = ["canonicals", "entries"]

_SHORTEST_ENTRY = 44


def entries(store: Store, timeout: float) -> Iterator[bytes]:
    """Yield what stands on the servers for this epoch, unchecked, each name once."""
    epoch = run(store.router, store.learn(), monotonic() + timeout)
    if epoch is None:
        return
    seen: set[bytes] = set()
    for names in names_like(store.router, store.names.pattern(epoch), timeout):
        new = [name for name in names if name not in seen]
        seen.update(new)
        asks = [Ask(slot_of(name), (b"GET", name), True) for name in new]
        for data in ask(store.router, asks, monotonic() + timeout):
            if type(data) is bytes and len(data) >= _SHORTEST_ENTRY:
                yield data


def canonicals(store: Store, timeout: float) -> Iterator[bytes]:
    """Yield the keys of all entries, encoded."""
    for data in entries(store, timeout):
        yield key_of(data)
