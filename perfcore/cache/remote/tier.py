"""A remote cache as the last tier of a manager: asked in a thread or on an event loop, written behind."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from perfcore.cache.disk.journal import UNKNOWN, News
from perfcore.cache.remote.aio import aclose, arun
from perfcore.cache.remote.backplane import Backplane
from perfcore.cache.remote.behind import Batch, Behind, Write, merged
from perfcore.cache.remote.budget import deadline_of
from perfcore.cache.remote.cache import RemoteCache
from perfcore.cache.remote.drive import Steps, run
from perfcore.cache.remote.lease import Lease, Leases
from perfcore.cache.remote.looking import canonicals
from perfcore.cache.remote.operations import Operations, own_name
from perfcore.cache.tiers import Found, Health, Moments

__all__ = ["RemoteTier"]

_T = TypeVar("_T")
#: How long a task sleeps between looks at whether a write has arrived, in seconds.
_LOOK = 0.001


class RemoteTier(Operations):
    """A :class:`RemoteCache` as the tier of one manager; each verb that asks servers also for event loops.

    ``interval`` is how often it looks whether news were lost, in seconds, 0 for no backplane. ``behind``:
    values are written after :meth:`put` has returned. ``lease`` is for how many seconds one process has the
    turn to compute a value, 0 for no turns.
    """

    name = "remote"
    exact = True

    def __init__(
        self, cache: RemoteCache, *, owned: bool, interval: float, lease: float = 0, behind: bool = True
    ) -> None:
        store = cache._store
        plane = Backplane(cache._router, store.names, cache._timeout, interval) if interval else None
        super().__init__(store, plane, self._append)
        self.cache, self._owned = cache, owned
        self._news: deque[News] = deque(maxlen=10_000)
        self._notice: Callable[[], object] = lambda: None
        self.leases = Leases(store, cache._timeout, lease) if lease else None
        self.behind = Behind(self._write, self._tell, store.remove_later) if behind else None

    # -- news --

    def attend(self, notice: Callable[[], object]) -> None:
        """Call ``notice``, in any thread, when there are news."""
        self._notice = notice
        if self.backplane is not None:
            self.backplane.start(self._heard)

    def _heard(self, news: News) -> None:
        if len(self._news) == self._news.maxlen or news.keys is None:
            news = UNKNOWN
            self._news.clear()
            self._store.epoch.hurry()
        if self.behind is not None:
            self.behind.others(news.keys)
        self._append(news)

    def _append(self, news: News) -> None:
        self._news.append(news)
        self._notice()

    def news(self) -> list[News]:
        """Return what others have changed since this was last asked."""
        found = []
        while self._news:
            try:
                found.append(self._news.popleft())
            except IndexError:  # another thread was faster
                break
        return found

    def words(self) -> memoryview | None:
        """Return None: news call ``notice`` of :meth:`attend`."""
        return None

    # -- values --

    def find(self, key: bytes) -> Found | None:
        """Return the valid value of ``key`` and what it has left."""
        known, found = self._waiting(key)
        return found if known else self._asked([key])[0]

    async def afind(self, key: bytes) -> Found | None:
        """:meth:`find` on an event loop."""
        known, found = self._waiting(key)
        return found if known else (await self._aasked([key]))[0]

    def find_many(self, keys: list[bytes]) -> list[Found | None]:
        """Return the same for each of ``keys``, asked for at once."""
        waiting = [self._waiting(key) for key in keys]
        asked = [key for key, (known, _) in zip(keys, waiting, strict=True) if not known]
        return merged(waiting, self._asked(asked) if asked else [])

    async def afind_many(self, keys: list[bytes]) -> list[Found | None]:
        """:meth:`find_many` on an event loop."""
        waiting = [self._waiting(key) for key in keys]
        asked = [key for key, (known, _) in zip(keys, waiting, strict=True) if not known]
        return merged(waiting, (await self._aasked(asked)) if asked else [])

    def _asked(self, keys: list[bytes]) -> list[Found | None]:
        """What the server has, when what is under way there has arrived."""
        behind, deadline = self.behind, self._deadline()
        if behind is not None:
            behind.land(keys, deadline)
        return self._run(self._finding(keys), deadline)

    async def _aasked(self, keys: list[bytes]) -> list[Found | None]:
        behind, deadline = self.behind, self._deadline()
        while behind is not None and behind.is_unsure(keys) and monotonic() < deadline:
            await asyncio.sleep(_LOOK)
        return await self._arun(self._finding(keys), deadline)

    def _waiting(self, key: bytes) -> tuple[bool, Found | None]:
        """Say whether ``key`` waits to be written or removed, and what is found there then."""
        write = self.behind.get(key) if self.behind is not None else None
        if write is None or isinstance(write, bool) or write.prepared is None:
            return write is not None, None
        left = None if write.ttl is None else write.since + write.ttl - monotonic()
        if left is not None and left <= 0:
            return True, None
        self._store.counters.hits += 1
        return True, Found(self._store.entries.unpack(write.prepared), left)

    def prepare(self, key: bytes, value: Any, ttl: float | None, names: list[bytes], moment: int) -> Write:
        """Return ``value`` ready for :meth:`put`; raises :exc:`TypeError` when it cannot be encoded."""
        life = self.cache._ttl if ttl is None else ttl
        return Write(key, own_name(key), self._store.entries.prepare(value), life, monotonic())

    def put(self, writes: list[Write], at_once: bool = False) -> None:
        """Store what was prepared and tell the others, behind unless it is to be ``at_once``."""
        if self.behind is not None and not at_once:
            self.behind.put(writes)
            return
        deadline = self._deadline()
        self._settle([write.key for write in writes], deadline)
        self._run(self._putting_now(writes), deadline)

    async def aput(self, writes: list[Write], at_once: bool = False) -> None:
        """:meth:`put` on an event loop."""
        if self.behind is not None and not at_once:
            self.behind.put(writes)
            return
        deadline = self._deadline()
        await self._asettle([write.key for write in writes], deadline)
        await self._arun(self._putting_now(writes), deadline)

    def put_leased(self, writes: list[Write], lease: Lease) -> bool:
        """Store one value, while a lease stands; say whether it did."""
        deadline = self._deadline()
        self._settle([writes[0].key], deadline)
        return self._run(self._putting_fenced(writes[0], lease), deadline)

    async def aput_leased(self, writes: list[Write], lease: Lease) -> bool:
        """:meth:`put_leased` on an event loop."""
        deadline = self._deadline()
        await self._asettle([writes[0].key], deadline)
        return await self._arun(self._putting_fenced(writes[0], lease), deadline)

    def stands(self, lease: Lease) -> bool:
        """Say whether a lease has not passed on."""
        return self._run(self._standing(lease))

    async def astands(self, lease: Lease) -> bool:
        """:meth:`stands` on an event loop."""
        return await self._arun(self._standing(lease))

    def remove(self, keys: list[bytes], names: list[bytes]) -> tuple[int, bool]:
        """Remove ``keys`` and have ``names`` move, for all processes; those that cannot be told are later."""
        deadline = self._deadline()
        waited = self._settle(keys, deadline)
        removed, known = self._run(self._removing(keys, names), deadline)
        return max(removed, waited), known

    async def aremove(self, keys: list[bytes], names: list[bytes]) -> tuple[int, bool]:
        """:meth:`remove` on an event loop."""
        deadline = self._deadline()
        waited = await self._asettle(keys, deadline)
        removed, known = await self._arun(self._removing(keys, names), deadline)
        return max(removed, waited), known

    # -- names --

    def begin(self, names: list[bytes]) -> list[int | None]:
        """Return the stamp of each of ``names``, made where it is missing; None when it cannot be had."""
        deadline = self._deadline()
        if self.behind is not None and self.behind.unmoved(names):
            self.behind.wait(names, deadline)
        return self._run(self._beginning(names), deadline)

    async def abegin(self, names: list[bytes]) -> list[int | None]:
        """:meth:`begin` on an event loop."""
        deadline = self._deadline()
        while self.behind is not None and self.behind.unmoved(names) and monotonic() < deadline:
            await asyncio.sleep(_LOOK)
        return await self._arun(self._beginning(names), deadline)

    def moments(self, names: list[bytes]) -> Moments | None:
        """Return the stamps of ``names``, None where there is none; None when one of them cannot be had."""
        unmoved = self._unmoved(names)  # before the look: afterwards they may just have moved
        return self._moments(names, self._run(self._looking(names)), unmoved)

    async def amoments(self, names: list[bytes]) -> Moments | None:
        """:meth:`moments` on an event loop."""
        unmoved = self._unmoved(names)
        return self._moments(names, await self._arun(self._looking(names)), unmoved)

    def _unmoved(self, names: list[bytes]) -> set[bytes]:
        behind = self.behind
        if behind is None or not behind.unmoved(names):
            return set()
        return {name for name in names if behind.unmoved([name])}

    def _moments(self, names: list[bytes], found: Moments | None, unmoved: set[bytes]) -> Moments | None:
        """``found``, but names of keys that are still to be written have moved for this process."""
        unmoved |= self._unmoved(names)
        if found is None or not unmoved:
            return found
        pairs = zip(names, found.lines, strict=True)
        return found._replace(lines=[None if name in unmoved else line for name, line in pairs])

    def remember(self, names: list[bytes], moment: int) -> bool:
        """Do nothing: :meth:`begin` has made the stamps."""
        return True

    # -- behind --

    def _putting_now(self, writes: list[Write]) -> Steps[None]:
        yield from self._putting(writes)
        yield from self.telling([write.key for write in writes])

    def _write(self, batch: Batch) -> None:
        run(self.cache._router, self._putting_batch(batch), monotonic() + self.cache._timeout)

    def _tell(self, batch: Batch) -> None:
        keys = None if batch.too_many else batch.keys
        run(self.cache._router, self.telling(keys), monotonic() + self.cache._timeout)

    def _settle(self, keys: list[bytes], deadline: float) -> int:
        """Nothing older is to be written after what follows; returns how many values were waiting."""
        if self.behind is None or not self.behind:
            return 0
        waiting = sum(self._waiting(key)[1] is not None for key in keys)
        self.behind.settle(keys, deadline)
        return waiting

    async def _asettle(self, keys: list[bytes], deadline: float) -> int:
        if self.behind is None or not self.behind:
            return 0
        waiting = sum(self._waiting(key)[1] is not None for key in keys)
        under_way = self.behind.forget(keys)
        while under_way and monotonic() < deadline:
            await asyncio.sleep(_LOOK)
            under_way = self.behind.is_flying(keys)
        self.behind.settle(keys, 0.0)
        return waiting

    # -- the whole --

    def clear(self) -> None:
        """Remove everything below the prefix."""
        if self.behind is not None:
            self.behind.settle(None, self._deadline())
        self.cache.clear()
        if self.backplane is not None:
            self._run(self.backplane.publishing(None, moved=True))

    def clear_keys(self, mine: Callable[[bytes], bool]) -> None:
        """Remove the keys for which ``mine`` is true; takes a look at each entry."""
        self.flush()
        keys = [key for key in canonicals(self._store, self.cache._timeout) if mine(key)]
        if keys:
            self.remove(keys, [])

    def flush(self) -> None:
        """Have written what was stored so far, as far as there are servers."""
        if self.behind is not None:
            self.behind.flush()

    def stats(self) -> Any:
        """Return the cache's :class:`RemoteStats`."""
        stats = self.cache.stats()
        if self.behind is None:
            return stats
        return stats._replace(behind=len(self.behind), dropped=self.behind.dropped)

    def health(self) -> Health:
        """Say whether all servers serve, and whether news arrive."""
        found = self.cache.problems()
        if self.backplane is not None and not self.backplane.connected:
            found.append("no news arrive from other processes")
        return Health(not found, "; ".join(found))

    def forked(self) -> None:
        """In a forked child: begin listening anew."""
        self._news.clear()
        if self.backplane is not None:
            self.backplane.forked()

    async def adisconnect(self) -> None:
        """Close the connections of the running event loop."""
        await aclose(self.cache._router)

    def close(self) -> None:
        """Write what waits and stop listening; close the cache if the manager has made it."""
        self.flush()
        if self.backplane is not None:
            self.backplane.stop()
        if self._owned:
            self.cache.close()

    def _deadline(self) -> float:
        return deadline_of(self.cache._timeout)

    def _run(self, steps: Steps[_T], deadline: float | None = None) -> _T:
        return run(self.cache._router, steps, self._deadline() if deadline is None else deadline)

    async def _arun(self, steps: Steps[_T], deadline: float | None = None) -> _T:
        return await arun(self.cache._router, steps, self._deadline() if deadline is None else deadline)
