"""Leases: of all processes that miss on a key at once, one computes, and a dead one's turn passes on.

A lease is a name with a token of its own that the server drops after ``life`` seconds. Whoever has it
computes and stores; the others look again until there is a value or the lease has ended. What is computed
after one's own lease has ended (by a process that was paused, say) is not stored: a script on the server
stores it only while the token stands, so nothing comes in between. For that the lease has a name in the slot
of the entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from time import monotonic, sleep
from typing import Any, Final, NamedTuple

from perfcore.cache.moves import Moves
from perfcore.cache.remote.aio import arun
from perfcore.cache.remote.drive import Steps, run
from perfcore.cache.remote.names import fresh_stamp
from perfcore.cache.remote.reading import SWAP
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.store import Store
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, refused

__all__ = ["Lease", "Leases", "lease_name"]

_SHORTEST, _LONGEST = 0.005, 0.05
#: After so many lives one computes without: leaders that die one after the other hold up nobody for ever.
_LIVES: Final = 2


class Lease(NamedTuple):
    """The turn to compute an entry, while ``token`` stands under ``name``; without a name, nobody's."""

    entry: bytes
    name: bytes
    token: bytes


class Leases:
    """The leases of one prefix; each verb also for event loops, with ``a`` before its name."""

    def __init__(self, store: Store, timeout: float, life: float) -> None:
        self._store, self._timeout, self._life = store, timeout, life

    def taking(
        self, canonical: bytes, looking: Callable[[], Moves[Any]], work: Any, missing: Any
    ) -> Moves[Any]:
        """Find the value of a key, or have ``work`` compute it when it is one's turn.

        ``looking`` returns ``missing`` when there is nothing; ``work.compute`` is called with the lease, or
        without one where there is nobody to agree with.
        """
        limit, pause = monotonic() + _LIVES * self._life, _SHORTEST
        while isinstance(lease := (yield (self, "take", (canonical,))), bool):
            if not lease or monotonic() > limit:
                return (yield (work, "compute", ()))
            yield (self, "pause", (pause,))
            pause = min(2 * pause, _LONGEST)
            found = yield from looking()
            if found is not missing:
                return found
        try:
            found = yield from looking()  # another process may have been faster
            return (yield (work, "compute", (lease,))) if found is missing else found
        finally:
            yield (self, "give_back", (lease,))

    def take(self, canonical: bytes) -> Lease | bool:
        """Take the lease of a key: True when somebody else has it, False when no server can say."""
        return run(self._store.router, self._taken(canonical), monotonic() + self._timeout)

    async def atake(self, canonical: bytes) -> Lease | bool:
        """:meth:`take` on an event loop."""
        return await arun(self._store.router, self._taken(canonical), monotonic() + self._timeout)

    def give_back(self, lease: Lease) -> None:
        """End a lease, if it still stands."""
        run(self._store.router, _dropped(lease), monotonic() + self._timeout)

    async def agive_back(self, lease: Lease) -> None:
        """:meth:`give_back` on an event loop."""
        await arun(self._store.router, _dropped(lease), monotonic() + self._timeout)

    def pause(self, seconds: float) -> None:
        """Wait."""
        sleep(seconds)

    async def apause(self, seconds: float) -> None:
        """Wait on an event loop."""
        await asyncio.sleep(seconds)

    def _taken(self, canonical: bytes) -> Steps[Lease | bool]:
        epoch = self._store.epoch.current or (yield from self._store.learn())
        if epoch is None:
            return False
        entry = self._store.names.key(epoch, canonical)
        lease = Lease(entry, lease_name(self._store.names.lease, entry), fresh_stamp())
        life = b"%d" % max(1, int(self._life * 1000))
        words = (b"SET", lease.name, lease.token, b"NX", b"PX", life)
        (reply,) = yield [Ask(slot_of(lease.name), words)]
        if reply is None:
            return True
        return False if reply is UNAVAILABLE or refused(reply) else lease


def _dropped(lease: Lease) -> Steps[None]:
    yield [Ask(slot_of(lease.name), (b"EVAL", SWAP, b"1", lease.name, lease.token))]


def lease_name(prefix: bytes, entry: bytes) -> bytes:
    """Return a name below ``prefix`` for the lease of an entry, in the same slot of a cluster.

    >>> for entry in (b"p:e:suser", b"p:e:s{tag}x", b"p:e:s}odd{"):
    ...     slot_of(lease_name(b"p:L:", entry)) == slot_of(entry)
    True
    True
    True
    """
    if not {0x7B, 0x7D} & set(entry):  # braces
        return b"%b{%b}" % (prefix, entry)
    return b"%b{%d}%b" % (prefix, _tag_in(slot_of(entry)), entry)


@lru_cache(4096)
def _tag_in(slot: int) -> int:
    """A number whose digits are in a slot; some 16 000 are tried."""
    return next(number for number in count() if slot_of(b"%d" % number) == slot)
