"""``DiskCache``: a mapping on disk that many processes share and that cannot run code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args
from weakref import finalize

from perfcore._repr import safe_repr
from perfcore.cache import clock
from perfcore.cache.codec import Codec
from perfcore.cache.compression import Mode
from perfcore.cache.disk import operations, queries, registry, upkeep
from perfcore.cache.disk.computing import Computed
from perfcore.cache.disk.counters import DiskStats
from perfcore.cache.disk.flight import MISSING
from perfcore.cache.disk.ledger import name_of
from perfcore.cache.disk.pending import Write
from perfcore.cache.disk.tags import NO_TAGS, names
from perfcore.cache.disk.upkeep import Verification
from perfcore.cache.keys import Key, encode_key
from perfcore.errors import ConfigError
from perfcore.metrics.instrument import note, note_lookups
from perfcore.units import parse_duration, parse_size

__all__ = ["DiskCache", "Durability"]

Durability = Literal["relaxed", "commit", "sync"]

_Ttl: TypeAlias = float | timedelta | None
_Moment: TypeAlias = int | None
_SMALLEST = 64 * 1024


class DiskCache(Computed):
    """A cache in a directory, for any number of threads and processes at once.

    ``path`` is the directory (default: ``name`` below the user's cache directory), ``maxbytes`` what it may
    take on disk (bytes or a size such as ``"1GB"``; the oldest entries go first, those read since are
    spared once), ``ttl`` how many seconds an entry lives unless told otherwise. ``compression`` is
    ``adaptive``, ``on`` or ``off``.

    ``durability`` says what a ``set`` that has returned survives: ``relaxed`` the end of the program (it is
    written behind, within 50 ms for other processes to see), ``commit`` also SIGKILL, ``sync`` also a power
    cut. Deletes and all that :meth:`add`, :meth:`pop`, :meth:`set_many` and :meth:`clear` do are committed
    before they return.

    Keys are str, bytes, int, None and tuples of them; ``1``, ``1.0`` and ``True`` are one key, as in a
    dict. Values are what :mod:`perfcore.cache.codec` keeps exactly; ``codec`` can be one with a signature
    or with pickle. Raises :exc:`TypeError` for any other key or value, :exc:`ConfigError` for options it
    does not know. Nothing else is raised: when the disk is full, damaged or not to be had, lookups miss and
    the log says so once.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, DiskCache(folder, maxbytes="64MB") as cache:
    ...     cache["user", 1] = {"plan": "free", "scores": (9.5, 10)}
    ...     cache["user", 1.0], cache.get("user:2", "nobody"), ("user", True) in cache
    ({'plan': 'free', 'scores': (9.5, 10)}, 'nobody', True)
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        *,
        name: str = "default",
        maxbytes: int | str = "1GB",
        ttl: float | timedelta | None = None,
        compression: Mode = "adaptive",
        durability: Durability = "relaxed",
        codec: Codec | None = None,
    ) -> None:
        _one_of("compression", compression, get_args(Mode))
        _one_of("durability", durability, get_args(Durability))
        size = _size(maxbytes)
        self._ttl = None if ttl is None else parse_duration(ttl)
        self._compression = compression
        self._relaxed = durability == "relaxed"
        self._codec = Codec() if codec is None else codec
        directory = _user_directory(name) if path is None else Path(path)
        self._store = registry.acquire(directory, size, durable=durability == "sync")
        self._hits = self._misses = 0
        self._finalizer = finalize(self, registry.abandon, self._store)

    # -- single keys --

    def get(self, key: Key, default: Any = None, /) -> Any:
        """Return the value of ``key``, or ``default`` when there is none that is valid."""
        value = self._store.load(encode_key(key), self._codec)
        if value is MISSING:
            self._misses += 1
            note("disk.miss")
            return default
        self._hits += 1
        note("disk.hit")
        return value

    def peek(self, key: Key, default: Any = None, /) -> Any:
        """Return the value of ``key`` or ``default``, without counting it and without sparing the entry."""
        value = self._store.load(encode_key(key), self._codec, spare=False)
        return default if value is MISSING else value

    def set(
        self, key: Key, value: Any, *, ttl: _Ttl = None, tags: Iterable[Key] = (), since: _Moment = None
    ) -> None:
        """Store ``value`` under ``key`` for ``ttl`` seconds (None: the cache's own).

        It is gone when one of ``tags`` (up to 255) is invalidated, by any process, after it was stored; or
        after ``since``, the :attr:`moment` before the value was computed.
        """
        write = self._write(key, value, ttl, tags, since)
        self._put(write)

    def add(
        self, key: Key, value: Any, *, ttl: _Ttl = None, tags: Iterable[Key] = (), since: _Moment = None
    ) -> bool:
        """Store ``value`` if ``key`` has none, in any process; say whether it was stored."""
        return operations.add(self._store, self._write(key, value, ttl, tags, since))

    def offer(
        self, key: Key, value: Any, *, ttl: _Ttl = None, tags: Iterable[Key] = (), since: _Moment = None
    ) -> bool:
        """Store ``value`` unless nobody has asked for ``key`` before; say whether it was stored.

        For a tier above that hands down all it gets: a key is taken when it is offered for the second time
        in this process's last 130 000 or more, and when it has an entry already, which is then replaced.
        """
        write = self._write(key, value, ttl, tags, since)
        if not self._store.welcome(write.key):
            return False
        self._put(write)
        return True

    def delete(self, key: Key, /) -> bool:
        """Remove ``key``, for all processes when this returns; say whether it was there."""
        return operations.remove(self._store, [encode_key(key)]) > 0

    def pop(self, key: Key, default: Any = MISSING, /) -> Any:
        """Remove ``key`` and return its value; without one return ``default``, or raise :exc:`KeyError`."""
        name = encode_key(key)
        found = operations.take(self._store, name)
        if isinstance(found, Write):
            value = self._store.value_of(found, self._codec)
        elif found is not None:
            value = self._store.decode(name, name_of(name), found, self._codec)
        else:
            value = MISSING
        if value is MISSING and default is MISSING:
            raise KeyError(key)
        return default if value is MISSING else value

    def touch(self, key: Key, *, ttl: _Ttl = None) -> bool:
        """Let ``key`` live for ``ttl`` seconds from now (None: the cache's own); say whether it was there."""
        expiry = clock.expires_at(clock.now_us(), self._seconds(ttl))
        return operations.touch(self._store, encode_key(key), expiry, self._codec.secret)

    def expires_in(self, key: Key, /) -> float | None:
        """Return how many seconds ``key`` has left, None if it does not expire; raises :exc:`KeyError`."""
        left: float | None = queries.lifetime(self._store, encode_key(key), self._codec.secret)
        if left is MISSING:
            raise KeyError(key)
        return left

    # -- many keys --

    def get_many(self, keys: Iterable[Key], default: Any = None) -> list[Any]:
        """Return the values of ``keys`` in their order, ``default`` for those without, in one transaction."""
        values = queries.load_many(self._store, [encode_key(key) for key in keys], self._codec)
        missed = sum(value is MISSING for value in values)
        self._misses += missed
        self._hits += len(values) - missed
        note_lookups("disk", len(values) - missed, missed)
        return [default if value is MISSING else value for value in values]

    def set_many(
        self,
        items: Mapping[Key, Any] | Iterable[tuple[Key, Any]],
        *,
        ttl: _Ttl = None,
        tags: Iterable[Key] = (),
        since: _Moment = None,
    ) -> None:
        """Store all of ``items`` in one transaction (or a few, above 32 MB), committed when this returns."""
        pairs = items.items() if isinstance(items, Mapping) else items
        mark = self._store.mark(tags, since)
        operations.put_many(
            self._store, [self._write(key, value, ttl)._replace(tags=mark) for key, value in pairs]
        )

    def delete_many(self, keys: Iterable[Key]) -> int:
        """Remove ``keys`` in one transaction; returns how many of them were there."""
        return operations.remove(self._store, [encode_key(key) for key in keys])

    # -- tags --

    def invalidate_tags(self, *tags: Key) -> None:
        """Make a miss of every entry with any of ``tags``, for all processes when this returns.

        Takes the same time however many there are; each goes when it is next looked at, or evicted.
        """
        operations.invalidate(self._store, names(tags))

    @property
    def moment(self) -> int:
        """The present by the directory's own clock, which moves when tags are invalidated."""
        return self._store.moment()

    def valid_since(self, tags: Iterable[Key], moment: int) -> bool:
        """Say whether what was stored with ``tags`` since ``moment`` is still valid; in doubt it is not."""
        return self._store.promising(self._store.mark(tags, moment))

    # -- everything --

    def clear(self) -> None:
        """Remove everything, for all processes when this returns."""
        operations.clear(self._store)

    def expire(self) -> int:
        """Remove what has expired, which otherwise happens when it is read or evicted; returns how many."""
        self._store.drain()
        return operations.expire(self._store)

    @property
    def directory(self) -> Path:
        """Where the entries are."""
        return self._store.directory

    def resize(self, maxbytes: int | str) -> None:
        """Change what the directory may take; what is too much goes with the next write."""
        self._store.adjust(_size(maxbytes), durable=False)

    def flush(self) -> None:
        """Commit everything written so far."""
        self._store.drain()

    def prepare(self) -> str:
        """Load the compression dictionary, as the first write would; says whether there is one."""
        return "loaded" if self._store.packing.adopt() else "none yet"

    def verify(self) -> Verification:
        """Check the file and every entry in it, and remove what is damaged; 1 GB takes some ten seconds."""
        return upkeep.verify(self._store, self._codec.secret)

    def vacuum(self) -> int:
        """Write the file anew without free pages; returns the bytes saved, 0 while other processes use it."""
        return upkeep.vacuum(self._store)

    def close(self) -> None:
        """Commit and close, unless other objects use the directory; a closed cache is empty, ignores
        writes."""
        if self._finalizer.detach() is not None:
            registry.release(self._store)

    @property
    def epochs(self) -> tuple[int, int]:
        """Two words that differ from before when any process has removed something, or replaced something."""
        return self._store.epochs.read()

    def stats(self) -> DiskStats:
        """Return what this object and its process have counted, and what the directory holds now."""
        return queries.stats(self._store, self._hits, self._misses)

    def problems(self) -> list[str]:
        """Return why the directory does not serve at the moment; nothing when it does."""
        if self._store.closed:
            return ["closed"]
        return ["cannot be used at the moment; the log says why"] if self._store.access.retry_in else []

    def __contains__(self, key: object, /) -> bool:
        return queries.contains(self._store, encode_key(key), self._codec.secret)

    @safe_repr
    def __repr__(self) -> str:
        return f"DiskCache({str(self._store.directory)!r}, maxbytes={self._store.budget.limit})"

    # -- parts --

    def _put(self, write: Write) -> None:
        if self._relaxed:
            self._store.put(write)
        else:
            self._store.put_now([write])

    def _write(
        self, key: Key, value: Any, ttl: _Ttl, tags: Iterable[Key] = (), since: _Moment = None
    ) -> Write:
        """The write of ``value`` under ``key``; raises :exc:`TypeError` before anything has changed."""
        name, seconds = encode_key(key), self._seconds(ttl)
        return self._entry(name, value, seconds, self._store.mark(tags, since) if tags else NO_TAGS)

    def _entry(self, name: bytes, value: Any, seconds: float | None, mark: bytes, origin: int = 0) -> Write:
        """The write of ``value`` under a canonical key, with the ``mark`` of its tags."""
        kind, payload = self._codec.pack(value)
        now = clock.now_us()
        expiry = clock.expires_at(now, seconds)
        if len(payload) > self._store.largest_value:
            self._store.counters.rejections += 1
            return Write(name, origin=origin)
        secret = self._codec.secret
        return Write(name, payload, kind, expiry, now, self._compression, secret, mark, origin)

    def _seconds(self, ttl: _Ttl) -> float | None:
        return self._ttl if ttl is None else parse_duration(ttl)


def _user_directory(name: str) -> Path:
    from platformdirs import user_cache_path

    if not name or Path(name).name != name:
        raise ConfigError(f"name: expected a file name, got {name!r}")
    return user_cache_path("perfcore") / name


def _size(maxbytes: int | str) -> int:
    size = parse_size(maxbytes)
    if size < _SMALLEST:
        raise ConfigError(f"maxbytes: expected at least {_SMALLEST} bytes, got {maxbytes!r}")
    return size


def _one_of(option: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        expected = ", ".join(map(repr, choices))
        raise ConfigError(f"{option}: expected one of {expected}, got {value!r}")
