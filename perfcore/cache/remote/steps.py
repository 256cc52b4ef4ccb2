"""The verbs of a remote cache before anybody carries them out: arguments checked, steps made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias, TypeVar, get_args
from weakref import WeakSet, finalize

from perfcore._repr import safe_repr
from perfcore.cache.codec import Codec
from perfcore.cache.compression import Mode
from perfcore.cache.keys import Key, encode_key
from perfcore.cache.remote.backplane import Backplane
from perfcore.cache.remote.client import Connector
from perfcore.cache.remote.counters import NodeStats, RemoteStats
from perfcore.cache.remote.drive import Steps
from perfcore.cache.remote.entries import Entries
from perfcore.cache.remote.mender import Mender
from perfcore.cache.remote.names import Names
from perfcore.cache.remote.operations import Operations
from perfcore.cache.remote.router import Router
from perfcore.cache.remote.stamps import names as names_of
from perfcore.cache.remote.store import MISSING, Store, left
from perfcore.errors import ConfigError
from perfcore.metrics.instrument import note, note_lookups
from perfcore.units import parse_duration

__all__ = ["Pairs", "Ttl", "Verbs"]

Ttl: TypeAlias = "float | timedelta | None"
Pairs: TypeAlias = "Mapping[Key, Any] | Iterable[tuple[Key, Any]]"
_T = TypeVar("_T")
#: How often a cache that has news to tell looks whether they were told, in seconds.
_INTERVAL: Final = 1.0
#: What an entry carries whose tags could not be had: it is not stored.
NOTHING: Final = b""


class Verbs:
    """Options, counts, and the steps of each verb."""

    def __init__(
        self,
        url: str | None = None,
        *,
        nodes: Iterable[str] = (),
        client: Any = None,
        replication_factor: int | None = None,
        prefix: str = "perfcore",
        ttl: Ttl = None,
        timeout: float | timedelta = 0.5,
        codec: Codec | None = None,
        compression: Mode = "adaptive",
        epoch_window: float = 1.0,
        connection: Mapping[str, Any] | None = None,
        backplane: bool = False,
    ) -> None:
        if compression not in get_args(Mode):
            raise ConfigError(f"compression: expected one of {get_args(Mode)}, got {compression!r}")
        connector = _connector(url, nodes, client, connection or {})
        if replication_factor is not None and (type(replication_factor) is not int or replication_factor < 1):
            raise ConfigError(f"replication_factor: expected an int from 1, got {replication_factor!r}")
        self._ttl = None if ttl is None else parse_duration(ttl)
        self._timeout = parse_duration(timeout)
        if self._timeout <= 0:
            raise ConfigError(f"timeout: expected more than 0 seconds, got {timeout!r}")
        wanted = connector.seeds if nodes else []
        self._router = Router(connector, wanted, replication_factor)
        self._store = Store(
            self._router,
            Names(prefix),
            Entries(Codec() if codec is None else codec, compression),
            epoch_window,
        )
        self._mender = Mender(self._store)
        self._store.trouble = self._mender.wake
        self._prefix = prefix
        self._plane: Operations | None = None
        if backplane:
            news = Backplane(self._router, self._store.names, self._timeout, _INTERVAL)
            self._plane = Operations(self._store, news, lambda news: None)
        self._finalizer = finalize(self, _abandon, self._mender, self._router)
        _caches.add(self)

    def stats(self) -> RemoteStats:
        """Return what this object has counted, and how the servers do."""
        counts, missed = self._store.counters, self._store.missed
        nodes = {
            node.name: NodeStats(node.calls, node.failures, not node.breaker.opened, node.breaker.reason)
            for node in list(self._router.nodes.values())
            if node.address != ("", 0)
        }
        return RemoteStats(
            hits=counts.hits,
            misses=counts.misses,
            writes=counts.writes,
            deletes=counts.deletes,
            invalidations=counts.invalidations,
            unavailable=counts.unavailable,
            rejections=counts.rejections,
            damaged=counts.damaged,
            unreadable=counts.unreadable,
            missed=len(missed),
            epochs=missed.overflows,
            nodes=nodes,
        )

    def problems(self) -> list[str]:
        """Return how the servers differ from ``nodes`` and ``replication_factor``, and which are down.

        Looks at nothing: it is what was found when the topology was last looked at.
        """
        down = [
            f"{node.name}: {node.breaker.reason or 'does not answer'}"
            for node in list(self._router.nodes.values())
            if node.breaker.opened and node.address != ("", 0)
        ]
        return [*self._router.problems, *down]

    @safe_repr
    def __repr__(self) -> str:
        seeds = ", ".join(f"{host}:{port}" if port else host for host, port in self._router.connector.seeds)
        return f"<{type(self).__name__} {self._prefix!r} at {seeds}>"

    # -- steps --

    def _load(self, key: Key, default: Any) -> Steps[Any]:
        value = yield from self._store.load(encode_key(key))
        counts = self._store.counters
        if value is MISSING:
            counts.misses += 1
            note("remote.miss")
            return default
        counts.hits += 1
        note("remote.hit")
        return value

    def _load_many(self, keys: Iterable[Key], default: Any) -> Steps[list[Any]]:
        found = yield from self._store.find_many([encode_key(key) for key in keys])
        misses, counts = found.count(None), self._store.counters
        counts.misses += misses
        counts.hits += len(found) - misses
        note_lookups("remote", len(found) - misses, misses)
        return [default if one is None else one.value for one in found]

    def _put(self, pairs: Pairs, ttl: Ttl, tags: Iterable[Key], since: bytes | None) -> Steps[int]:
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        prepared = [(encode_key(key), self._store.entries.prepare(value)) for key, value in items]
        steps = self._store.put(prepared, self._seconds(ttl), names_of(tags), since)
        return self._telling([key for key, _ in prepared], steps)

    def _add(self, key: Key, value: Any, ttl: Ttl, tags: Iterable[Key], since: bytes | None) -> Steps[bool]:
        name, prepared, found = encode_key(key), self._store.entries.prepare(value), names_of(tags)
        seconds = self._seconds(ttl)

        def steps() -> Steps[bool]:
            mark = since
            if found and mark is None:
                mark = yield from self._store.begin(found)
            return (yield from self._store.add(name, prepared, seconds, found, mark or NOTHING))

        return self._telling([name], steps())

    def _remove(self, keys: Iterable[Key]) -> Steps[int]:
        names = [encode_key(key) for key in keys]
        return self._telling(names, self._store.remove(names))

    def _take(self, key: Key) -> Steps[Any]:
        name = encode_key(key)
        value = yield from self._store.load(name)
        if value is not MISSING:
            yield from self._remove([key])
        return value

    def _touch(self, key: Key, ttl: Ttl) -> Steps[bool]:
        name, seconds = encode_key(key), self._seconds(ttl)
        found = yield from self._store.find(name)
        if found is None:
            return False
        data, opened = found
        prepared = self._store.entries.prepare(opened.value)
        assert prepared is not None  # it was stored
        return (yield from self._store.swap(name, data, prepared, seconds, opened.mark))

    def _left(self, key: Key) -> Steps[Any]:
        found = yield from self._store.find(encode_key(key))
        return MISSING if found is None else left(found[1])

    def _move(self, tags: tuple[Key, ...]) -> Steps[bool]:
        return self._telling([], self._store.move(names_of(tags)), moved=True)

    def _clear(self) -> Steps[bool]:
        return self._telling(None, self._store.clear())

    def _telling(self, keys: list[bytes] | None, steps: Steps[_T], *, moved: bool = False) -> Steps[_T]:
        """Do ``steps``, and then tell the managers on the server which keys (None: all) they have changed."""
        if self._plane is None:
            return steps

        def told() -> Steps[_T]:
            result = yield from steps
            yield from self._plane.telling(keys, moved=moved)  # type: ignore[union-attr]
            return result

        return told()

    def _begin(self, tags: Iterable[Key]) -> Steps[bytes]:
        found = names_of(tags)

        def steps() -> Steps[bytes]:
            mark = (yield from self._store.begin(found)) if found else None
            return mark or NOTHING

        return steps()

    def _seconds(self, ttl: Ttl) -> float | None:
        return self._ttl if ttl is None else parse_duration(ttl)


def _connector(url: str | None, nodes: Iterable[str], client: Any, options: Mapping[str, Any]) -> Connector:
    given = [name for name, value in (("url", url), ("nodes", nodes), ("client", client)) if value]
    if len(given) != 1:
        raise ConfigError(f"expected one of url, nodes and client, got {' and '.join(given) or 'none'}")
    if url:
        return Connector.of_url(url, options)
    return Connector.of_nodes(nodes, options) if nodes else Connector.of_client(client)


def _abandon(mender: Mender, router: Router) -> None:
    mender.stop()
    router.close()


_caches: WeakSet[Verbs] = WeakSet()


def _forked() -> None:
    for cache in list(_caches):
        cache._mender.forked()
        cache._router.forked()


os.register_at_fork(after_in_child=_forked)
