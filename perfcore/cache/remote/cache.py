"""``RemoteCache``: a cache on a Valkey or Redis server or cluster, that misses instead of failing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from perfcore.cache.keys import Key, decode_key
from perfcore.cache.remote.averbs import AsyncVerbs
from perfcore.cache.remote.budget import deadline_of
from perfcore.cache.remote.drive import Steps, run
from perfcore.cache.remote.looking import canonicals
from perfcore.cache.remote.steps import Pairs, Ttl
from perfcore.cache.remote.store import MISSING
from perfcore.cache.subscripts import Subscripts

__all__ = ["RemoteCache"]

_T = TypeVar("_T")


class RemoteCache(AsyncVerbs, Subscripts):
    """A cache on a server or cluster, shared by all processes that use the same ``prefix`` there.

    Where it is: ``url`` (``redis://user:password@host:6379/0``, ``rediss://`` for TLS, ``unix://``), or
    ``nodes``, some of a cluster's servers as ``host:port`` (any may be down), or a ``client`` of valkey-py
    or redis-py, whose settings are taken over. ``connection`` has options of the client library
    (``username``, ``password``, ``ssl``, ``ssl_ca_certs`` ...). ``nodes`` and ``replication_factor`` (copies
    of each entry, the primary's included) do not make a topology: a warning says what is different.

    No server is trusted and none is waited for: ``timeout`` is what any call may take in all, in seconds. A
    lookup that cannot be answered by then is a miss, counted as ``unavailable``; what a server should have
    removed is removed when it is back. ``ttl`` is how many seconds an entry lives unless told otherwise;
    the server drops it then. ``epoch_window`` is how many seconds another process may go on reading after
    :meth:`clear`, ``compression`` is ``adaptive``, ``on`` or ``off``, for values from 1 KB.
    ``backplane=True`` tells managers on the same servers of each change, so that it reaches what they hold
    in memory and on disk; it costs each change two round trips.

    Keys and values are those of :class:`DiskCache`, as is ``codec``, which can sign entries. Raises
    :exc:`TypeError` for other keys and values, :exc:`ConfigError` for options that make no sense,
    :exc:`MissingExtraError` without valkey-py. Nothing connects before the first call.

    >>> cache = RemoteCache("redis://127.0.0.1:1/", timeout=0.05)   # nobody is there
    >>> cache.set("user:1", {"plan": "free"}), cache.get("user:1", "nobody"), cache.stats().hits
    (None, 'nobody', 0)
    >>> cache.close()
    """

    # -- single keys --

    def get(self, key: Key, default: Any = None, /) -> Any:
        """Return the value of ``key``, or ``default`` when there is none that is valid and can be had."""
        return self._run(self._load(key, default))

    def set(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Ttl = None,
        tags: Iterable[Key] = (),
        since: bytes | None = None,
    ) -> None:
        """Store ``value`` under ``key`` for ``ttl`` seconds (None: the cache's own).

        It ends when one of ``tags`` (up to 255) is invalidated, by any process, after it was stored; or
        after ``since``, what :meth:`begin` returned for these tags before the value was computed. When it
        cannot be stored, the older value goes all the same.
        """
        self._run(self._put([(key, value)], ttl, tags, since))

    def add(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Ttl = None,
        tags: Iterable[Key] = (),
        since: bytes | None = None,
    ) -> bool:
        """Store ``value`` if ``key`` has no valid one; say whether it was stored."""
        return self._run(self._add(key, value, ttl, tags, since))

    def delete(self, key: Key, /) -> bool:
        """Remove ``key``, for all processes when this returns; say whether a server had it."""
        return self._run(self._remove([key])) > 0

    def pop(self, key: Key, default: Any = MISSING, /) -> Any:
        """Remove ``key`` and return its value; without one return ``default``, or raise :exc:`KeyError`."""
        value = self._run(self._take(key))
        if value is MISSING and default is MISSING:
            raise KeyError(key)
        return default if value is MISSING else value

    def touch(self, key: Key, *, ttl: Ttl = None) -> bool:
        """Let ``key`` live for ``ttl`` seconds from now (None: the cache's own); say whether it was there."""
        return self._run(self._touch(key, ttl))

    def expires_in(self, key: Key, /) -> float | None:
        """Return how many seconds ``key`` has left, None if it does not expire; raises :exc:`KeyError`."""
        found: float | None = self._run(self._left(key))
        if found is MISSING:
            raise KeyError(key)
        return found

    # -- many keys --

    def get_many(self, keys: Iterable[Key], default: Any = None) -> list[Any]:
        """Return the values of ``keys`` in their order, ``default`` for those without.

        All servers are asked at once, each for all of its keys.
        """
        return self._run(self._load_many(keys, default))

    def set_many(
        self, items: Pairs, *, ttl: Ttl = None, tags: Iterable[Key] = (), since: bytes | None = None
    ) -> None:
        """Store all of ``items``; all servers are told at once, each all of its own."""
        self._run(self._put(items, ttl, tags, since))

    def delete_many(self, keys: Iterable[Key]) -> int:
        """Remove ``keys``; returns how many of them servers had."""
        return self._run(self._remove(keys))

    # -- tags --

    def invalidate_tags(self, *tags: Key) -> None:
        """Make a miss of every entry with any of ``tags``, for all processes when this returns.

        A tag whose server is down is invalidated when that is back; until then its entries cannot be read,
        because nobody can know.
        """
        self._run(self._move(tags))

    def begin(self, tags: Iterable[Key]) -> bytes:
        """Return what to pass as ``since=`` for a value with ``tags`` that is computed from now on."""
        return self._run(self._begin(tags))

    # -- everything --

    def clear(self) -> None:
        """Remove everything below the prefix; other processes notice within ``epoch_window`` seconds."""
        self._run(self._clear())
        self._mender.wake()  # it removes what takes room for nothing

    def check(self) -> list[str]:
        """Look at the servers now; return what differs from ``nodes`` and ``replication_factor``."""
        deadline = deadline_of(self._timeout)
        if not self._router.discover(deadline):
            return [*self.problems(), "no server can be asked"]
        return self.problems()

    def keys(self) -> Iterator[Key]:
        """Iterate over the keys, in no order; slow, for it asks the servers for all they have."""
        for canonical in canonicals(self._store, self._timeout):
            yield decode_key(canonical)

    def __contains__(self, key: Key, /) -> bool:
        return self._run(self._left(key)) is not MISSING

    def _run(self, steps: Steps[_T]) -> _T:
        return run(self._router, steps, deadline_of(self._timeout))
