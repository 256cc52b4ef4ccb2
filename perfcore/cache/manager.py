"""``CacheManager``: memory over disk (and what comes below it) behind one set of verbs, sync and async."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar
from weakref import WeakMethod, WeakSet

from perfcore._native.tier import Guarded
from perfcore._repr import safe_repr
from perfcore.cache.awaited import Awaited
from perfcore.cache.computing import Keep
from perfcore.cache.ladder import ABSENT
from perfcore.cache.moves import drive
from perfcore.cache.naming import Names
from perfcore.cache.opening import open_below, open_memory
from perfcore.cache.restart import Restart
from perfcore.cache.tiers import Attentive, DiskTier, Health
from perfcore.cache.warmup import Warmup, checked_warmup, warm
from perfcore.types import CacheStats, Explanation

__all__ = ["CacheManager", "ManagerStats", "Whereabouts"]

_T = TypeVar("_T")
_Ttl: TypeAlias = "float | timedelta | None"
_Pairs: TypeAlias = "Mapping[Any, Any] | Iterable[tuple[Any, Any]]"


class ManagerStats(NamedTuple):
    """The counts of each tier by its name, and how often a value was found whose conditions had ended."""

    tiers: dict[str, Any]
    ended: int

    @property
    def memory(self) -> CacheStats:
        """The counts of the memory tier."""
        stats: CacheStats = self.tiers["memory"]
        return stats


class Whereabouts(NamedTuple):
    """What the tiers know of a key: memory's own account, and for each tier below the seconds that are left.

    A tier without a valid value has no entry in ``below``; None is for ever. ``source`` is who put it there.
    """

    memory: Explanation
    below: dict[str, float | None]
    source: str | None


class CacheManager(Awaited):
    """A cache of tiers: looks from memory downwards, and brings up what it finds there.

    ``memory``, ``disk`` and ``remote`` are each options of the tier's class (or of the configuration:
    ``max_size``, ``strategy``, ``directory`` ...), an instance, which is then not closed, or left out; a
    manager without ``memory=`` has one of 256 MB, with ``memory=None`` none. ``namespace`` and ``version``
    are part of every key below memory: a new version does not see what an older one has stored.
    ``check_interval`` is how many seconds a file that entries depend on is not looked at again. ``warmup``
    is ``"lazy"``, ``"eager"`` (the keys of ``warm_keys`` are brought into memory at the start), or called
    with the manager. ``warm_restart``: what memory held at :meth:`close` is there again at the start; after a
    stop without it the hottest keys that are on the disk, as they were noted every ``note_interval`` seconds.

    Keys are str, bytes, int, None and tuples of them. Raises :exc:`ConfigError` for options that make no
    sense, :exc:`TypeError` for a key, or, with a tier that stores bytes, for a value that cannot be stored,
    before any tier has changed. Nothing else is raised by a tier: what cannot be had is a miss.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with CacheManager(memory={"maxsize": 100}, disk={"directory": folder}) as manager:
    ...         manager.set("user:1", {"plan": "free"}, ttl=60, tags=["users"])
    ...         print(manager.get("user:1"))
    ...         manager.invalidate_tags("users")
    ...         print(manager.get("user:1"))
    {'plan': 'free'}
    None
    """

    def __init__(
        self,
        memory: Any = True,
        disk: Any = None,
        remote: Any = None,
        *,
        namespace: str = "",
        version: str | int | None = None,
        check_interval: float = 1.0,
        warmup: Warmup = "lazy",
        warm_keys: Iterable[Any] = (),
        warm_restart: bool = True,
        note_interval: float | None = 60.0,
    ) -> None:
        checked_warmup(warmup)
        names = Names(namespace, version)
        near, ttl = open_memory(memory)
        super().__init__(
            near, open_below(disk, remote), names, ttl=ttl, interval=check_interval, shared=near is memory
        )
        self._closed = False
        for tier in self._below:
            if isinstance(tier, Attentive):
                tier.attend(_weakly(self._changed))
        kept = next((tier for tier in self._below if isinstance(tier, DiskTier)), None)
        wanted = kept is not None and warm_restart and near.capacity != 0
        self._restart = Restart(self, kept, note_interval) if kept is not None and wanted else None
        _managers.add(self)
        warm(self, warmup, warm_keys)

    # -- one key --

    def set(
        self,
        key: Any,
        value: Any,
        hot: bool = True,
        persistent: Keep = None,
        distributed: Keep = None,
        *,
        ttl: _Ttl = None,
        tags: Iterable[Any] = (),
        depends_on: Any = (),
        source: str | None = None,
    ) -> None:
        """Store ``value`` under ``key`` for ``ttl`` seconds on every tier (None: each tier's own).

        ``hot``, ``persistent`` and ``distributed`` say whether memory, disk and the remote tier keep it
        (None: if there are such); an older value goes from the others. They are written behind; ``"sync"``
        waits until all processes can see the value. It ends with any of its ``tags``
        (:meth:`invalidate_tags`), and when something in ``depends_on`` changes: a key, a
        :class:`pathlib.Path` or a list of them, at most 64 in all with what those depend on. ``source`` is
        noted for :meth:`explain`.
        """
        into = self._into(persistent, distributed)
        drive(self._setting([(key, value)], hot, into, ttl, tags, depends_on, source))

    def delete(self, key: Any, /) -> bool:
        """Remove ``key`` from all tiers, for all processes when this returns; say whether it was there."""
        return drive(self._removing([key])) > 0

    def has(self, key: Any, /) -> bool:
        """Say whether ``key`` has a valid value on any tier, which is brought into memory."""
        return self.get(key, ABSENT) is not ABSENT

    __contains__ = has

    # -- many keys --

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        """Return the values of ``keys`` in their order; each tier is asked once for all that is missing."""
        return drive(self._getting_many(list(keys), default))

    def set_many(
        self,
        items: _Pairs,
        hot: bool = True,
        persistent: Keep = None,
        distributed: Keep = None,
        *,
        ttl: _Ttl = None,
        tags: Iterable[Any] = (),
        depends_on: Any = (),
        source: str | None = None,
    ) -> None:
        """Store all of ``items``, in one transaction on each tier; the rest is as in :meth:`set`."""
        into = self._into(persistent, distributed)
        drive(self._setting(items, hot, into, ttl, tags, depends_on, source))

    def delete_many(self, keys: Iterable[Any]) -> int:
        """Remove ``keys`` from all tiers in one transaction; returns how many were there."""
        wanted = list(keys)
        return drive(self._removing(wanted)) if wanted else 0

    # -- ends --

    def invalidate(self, *keys: Any) -> None:
        """Remove ``keys``, and end all that depends on them, present or not, for all processes."""
        self.delete_many(keys)

    def invalidate_tags(self, *tags: Any) -> None:
        """End all values with any of ``tags``, on all tiers, for all processes when this returns.

        Takes the same time however many there are.
        """
        names = self._guards.tags(tags)
        if names:
            drive(self._telling([], names))

    def clear(self) -> None:
        """Remove everything of this namespace and version; without either, everything on all tiers."""
        self._clear()

    # -- under pressure --

    @property
    def hurried(self) -> bool:
        """Whether lookups look no further than memory and take what is there although it is no longer fresh.

        For times when anything is better than to wait: a lookup that memory cannot answer is a miss, and a
        value that has outlived its ``ttl`` but not its ``stale_ttl`` is served. What was invalidated is not.
        ``get_or_set`` still looks everywhere before it computes. May be assigned.
        """
        return self._hurried

    @hurried.setter
    def hurried(self, hurried: bool) -> None:
        self._hurried = bool(hurried)

    # -- looking around --

    def explain(self, key: Any, /) -> Whereabouts:
        """Return what each tier knows of ``key``; brings nothing up."""
        if self._word != self._seen:
            self._changed()
        name, near = self._names.encode(key), self._near(key)
        held, below = self._memory.peek(near, None), {}
        for tier in self._below:
            found = tier.find(name)
            if found is not None and (value := drive(self._opening(found))) is not ABSENT:
                below[tier.name] = found.left
                held = value if held is None else held
        source = held.source if type(held) is Guarded else None
        return Whereabouts(self._memory.explain(near), below, source)

    def stats(self) -> ManagerStats:
        """Return what each tier has counted."""
        tiers = {"memory": self._memory.stats(), **{tier.name: tier.stats() for tier in self._below}}
        return ManagerStats(tiers, self._stale)

    def health(self) -> dict[str, Health]:
        """Return for each tier whether it serves."""
        near = Health(not self._closed, "closed" if self._closed else "")
        return {"memory": near, **{tier.name: tier.health() for tier in self._below}}

    @safe_repr
    def __repr__(self) -> str:
        return f"<CacheManager: {', '.join(['memory', *(tier.name for tier in self._below)])}>"

    # -- life --

    def warm(self, keys: Iterable[Any]) -> int:
        """Bring ``keys`` into memory from the tiers below; returns how many are there."""
        return len(keys := list(keys)) - self.get_many(keys, ABSENT).count(ABSENT)

    def flush(self) -> None:
        """Have all tiers keep what was stored so far."""
        for tier in self._below:
            tier.flush()

    def close(self) -> None:
        """Keep what memory holds for the next start, and close the tiers that this manager has opened."""
        if self._closed:
            return
        self._closed = True
        if self._restart is not None:
            self._changed()
            self._restart.close()
        self._watch(None)
        for tier in self._below:
            tier.close()

    async def aclose(self) -> None:
        """:meth:`close` for use on an event loop, whose connections are closed too."""
        for tier in self._below:
            if isinstance(tier, Attentive):
                await tier.adisconnect()
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _weakly(method: Callable[[], object]) -> Callable[[], None]:
    """A method that does not keep its object alive, for threads that outlive it."""
    found = WeakMethod(method)

    def call() -> None:
        if (alive := found()) is not None:
            alive()

    return call


_managers: WeakSet[CacheManager] = WeakSet()


def _forked() -> None:
    for manager in list(_managers):
        manager._forked()
        if manager._restart is not None:
            manager._restart.forked()


os.register_at_fork(after_in_child=_forked)
