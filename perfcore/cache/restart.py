"""Warm restart of a manager: after a clean stop as it was, after any other with the keys that were hottest.

Whoever is killed has no time to keep what memory held. So its hottest keys are noted every so often, in a
bounded record; at the start their values are read from the disk, which knows what was changed or removed
since. What only memory had is lost then.
"""

from __future__ import annotations

from itertools import islice
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING
from weakref import ref

from perfcore._log import logger
from perfcore.cache.ladder import ABSENT
from perfcore.cache.naming import FOREIGN
from perfcore.cache.snapshot import place, restore, save, writing
from perfcore.cache.tiers import DiskTier

if TYPE_CHECKING:
    from perfcore.cache.manager import CacheManager

__all__ = ["Restart", "note", "recall"]

_RECORD, _FORMAT = -2, 1
#: Keys that are noted at most (some 10 ms of work), and the share of the disk's budget that they may take.
_KEYS, _SHARE = 10_000, 256
#: Keys read at once at the start, and for how many seconds they are: a start must not wait for a cold disk.
_GROUP, _PATIENCE = 256, 0.5


class Restart:
    """Restores ``manager`` from ``tier`` now, and keeps for its next start what is to be restored then.

    ``interval`` is how many seconds lie between two notes of the hottest keys, None for none.
    """

    def __init__(self, manager: CacheManager, tier: DiskTier, interval: float | None) -> None:
        self._tier, self._interval = tier, interval
        self._manager = ref(manager, lambda _: ended.set())
        self._noted: list[bytes] = []
        self._ended = ended = Event()
        if not restore(manager, tier):
            recall(manager, tier)
        self._thread = self._begin()

    def close(self) -> None:
        """Note no more, and keep all that memory holds."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if (manager := self._manager()) is not None:
            save(manager, self._tier)

    def forked(self) -> None:
        """In a forked child, which notes nothing: the parent does."""
        self._thread = None

    def _begin(self) -> Thread | None:
        if self._interval is None:
            return None
        arguments = (self._ended, self._interval)
        thread = Thread(target=self._run, args=arguments, name="perfcore-hottest", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no threads to be had: a restart is colder then
            return None
        return thread

    def _run(self, ended: Event, interval: float) -> None:
        while not ended.wait(interval):
            try:
                if (manager := self._manager()) is not None:
                    self._noted = note(manager, self._tier, self._noted)
                del manager
            except Exception:
                logger("cache").exception("the hottest keys could not be noted")


def note(manager: CacheManager, tier: DiskTier, before: list[bytes]) -> list[bytes]:
    """Keep the names of the hottest keys on ``tier`` unless they are those of ``before``; returns them."""
    names, room = [], tier.cache._store.budget.limit // _SHARE
    for near in manager._memory.hottest(_KEYS):
        name = manager._name_of(near)
        room -= 0 if name is None else len(name)
        if room < 0:
            break
        if name is not None:
            names.append(name)
    if names != before:
        tier.put([writing(tier, place(manager, _RECORD), (_FORMAT, names))])
    return names


def recall(manager: CacheManager, tier: DiskTier) -> int:
    """Bring the keys into memory that were noted last, the hottest first; returns how many are there."""
    found = tier.find(place(manager, _RECORD))
    try:
        form, names = (0, []) if found is None else found.value
        keys = [manager._names.decode(name) for name in names] if form == _FORMAT else []
    except (TypeError, ValueError):  # not what this version has written
        return 0
    rest = (key for key in keys if key is not FOREIGN)
    until, warmed = monotonic() + _PATIENCE, []
    while monotonic() < until and (group := list(islice(rest, _GROUP))):
        manager.warm(group)
        warmed += group
    nears = [manager._near(key) for key in reversed(warmed)]  # the hottest are looked at last
    return len(warmed) - manager._memory.get_many(nears, ABSENT).count(ABSENT)
