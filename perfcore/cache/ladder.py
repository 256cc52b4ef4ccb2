"""A memory tier over others: looking downwards, promoting upwards, and keeping memory true.

Nothing here holds a lock while a tier works (:mod:`perfcore.cache.turns` says how that stays right).
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import RLock
from time import monotonic
from typing import Any, NamedTuple

from perfcore._native.cache import Cache
from perfcore._native.tier import Front, Guarded
from perfcore.cache.dependencies import Files
from perfcore.cache.guards import NONE, Conditions, Guards, open_up, wrap
from perfcore.cache.invalidation import Marks
from perfcore.cache.naming import FOREIGN, Names
from perfcore.cache.tiers import Found, Tier
from perfcore.cache.turns import Turns

__all__ = ["ABSENT", "Item", "Ladder"]

ABSENT: Any = object()
_FOREVER = float("inf")


class Item(NamedTuple):
    """A value on its way in: where it goes, for how long, and under which conditions."""

    key: Any
    name: bytes
    held: Any
    ttl: float | None
    conditions: Conditions


class Ladder(Front):
    """The machinery of a manager: ``memory`` and the tiers ``below`` it, nearest first."""

    def __init__(
        self,
        memory: Cache[Any, Any],
        below: list[Tier],
        names: Names,
        *,
        ttl: float | None,
        interval: float,
        shared: bool,
    ) -> None:
        prefix = names.prefix if shared else None  # 30 ns a hit, where others use the same memory
        super().__init__(memory, prefix)
        self._memory, self._below, self._names = memory, below, names
        self._prefix, self._ttl = prefix, ttl
        self._turns = Turns()
        self._catching_up = RLock()
        self._marks = Marks(below[-1] if below else None)
        self._guards = Guards(names, self._marks, Files(interval), self._look)
        self._stale = 0
        #: Look no further than memory, and take what is there although it is no longer fresh.
        self._hurried = False
        #: How often others have changed something, for those who look while it happens.
        self._heard = 0
        for tier in below:
            if (words := tier.words()) is not None:
                self._watch(words)

    def _near(self, key: Any) -> Any:
        """The key in the memory tier."""
        return key if self._prefix is None else (self._prefix, key)

    def _name_of(self, near: Any) -> bytes | None:
        """The canonical name of a key in the memory tier, None for one of somebody else's."""
        if self._prefix is not None:
            if type(near) is not tuple or near[:1] != (self._prefix,):
                return None
            near = near[1]
        try:
            return self._names.encode(near)
        except TypeError:
            return None

    # -- what the native front asks for --

    def _changed(self) -> None:
        """Take notice of what others have changed."""
        with self._catching_up:
            word = self._word  # before the news: what comes later moves it again
            for depth, tier in enumerate(self._below):
                for news in tier.news():
                    self._heard += 1
                    self._forget(news.keys, moved=news.moved)
                    for above in self._below[:depth]:
                        _forget_in(above, news.keys)
            self._seen = word

    def _missed(self, key: Any, default: Any) -> Any:
        if self._hurried:
            return default
        held = self._climb(key, self._names.encode(key))
        if type(held) is Guarded:
            return held.value if monotonic() < held.fresh else default
        return default if held is ABSENT else held

    def _reviewed(self, key: Any, guarded: Guarded, default: Any) -> Any:
        if not self._holds(guarded):
            self._discard(key, guarded)
            return self._missed(key, default)
        return guarded.value if self._hurried or monotonic() < guarded.fresh else default

    # -- looking --

    def _find(self, key: Any) -> Any:
        """What the nearest tier holds for ``key``, guarded and perhaps no longer fresh, or ABSENT."""
        if self._word != self._seen:
            self._changed()
        held = self._memory.get(self._near(key), ABSENT)
        if type(held) is Guarded and not self._holds(held):
            self._discard(key, held)
            held = ABSENT
        return self._climb(key, self._names.encode(key)) if held is ABSENT else held

    def _climb(self, key: Any, name: bytes) -> Any:
        """What a tier below memory holds for ``key``, promoted; or ABSENT."""
        for depth, tier in enumerate(self._below):
            seen = self._turns.current(key), self._word, self._heard
            found = tier.find(name)
            if found is not None and (held := self._open(found)) is not ABSENT:
                self._promote(key, name, held, found.left, depth, seen)
                return held
        return ABSENT

    def _open(self, found: Found) -> Any:
        """What a tier's value is in memory, ABSENT when its conditions no longer hold."""
        try:
            held = open_up(found.value)
        except ValueError:
            return ABSENT
        if type(held) is Guarded and not self._holds(held):
            self._stale += 1
            return ABSENT
        return held

    def _promote(
        self, key: Any, name: bytes, held: Any, left: float | None, depth: int, seen: tuple[int, int, int]
    ) -> None:
        """Put what was found at ``depth`` into memory and the tiers between, unless it has changed since."""
        if left is not None and left <= 0:
            return
        names, moment = ([], 0) if self._marks.exact else _direct(held)
        for tier in self._below[:depth]:
            tier.put([tier.prepare(name, wrap(held), left, names, moment)])
            if seen[2] != self._heard:
                tier.remove([name], [])
        near = self._near(key)
        if self._memory.add(near, held, ttl=self._shorter(left)):
            now = self._turns.current(key), self._word, self._heard
            if now != seen and self._memory.peek(near) is held:
                self._memory.delete(near)

    def _shorter(self, left: float | None) -> float | None:
        """What an entry of memory has left that came from below: no more than memory's own ttl."""
        return left if self._ttl is None or left is None else min(left, self._ttl)

    def _holds(self, guarded: Guarded) -> bool:
        moves = self._moves
        if not self._guards.hold(guarded):
            return False
        self._vouch(guarded, moves)
        return True

    def _look(self, key: Any) -> Guarded | None:
        """The conditions that ``key`` has, if it has a value for which they hold."""
        held = self._memory.peek(self._near(key), ABSENT)
        if held is ABSENT:
            name = self._names.encode(key)
            found = next((one for tier in self._below if (one := tier.find(name)) is not None), None)
            held = None if found is None else self._open(found)
        return held if type(held) is Guarded and self._holds(held) else None

    # -- changing --

    def _item(
        self,
        key: Any,
        value: Any,
        ttl: float | None,
        conditions: Conditions,
        source: str | None = None,
        stale: float = 0,
        *,
        keep_fresh: bool = False,
    ) -> Item:
        """A value on its way in: fresh for ``ttl`` seconds, kept for ``stale`` more.

        ``keep_fresh`` notes until when it is fresh although it is not kept for longer.
        """
        held, name = value, self._names.encode(key)
        fresh = monotonic() + ttl if (stale or keep_fresh) and ttl is not None else _FOREVER
        if conditions is not NONE or source is not None or fresh != _FOREVER or type(value) is Guarded:
            held = Guarded(value, conditions.marks, conditions.files, fresh, source)
        return Item(key, name, held, ttl + stale if ttl is not None else None, conditions)

    def _store(self, items: list[Item], *, hot: bool, into: list[bool], at_once: bool = False) -> None:
        """Put ``items`` into the tiers for which ``into`` is true, and remove older values from the others.

        ``at_once``: other processes see them when this returns. Raises :exc:`TypeError` when one cannot be
        encoded, before any tier has changed.
        """
        if self._word != self._seen:
            self._changed()  # or what others have done before would take for older what is put now
        ready = [
            self._prepare(tier, items) if wanted else None
            for tier, wanted in zip(self._below, into, strict=True)
        ]
        begun = [(item, self._turns.begin(item.key)) for item in items]
        for tier, writes in zip(self._below, ready, strict=True):
            if writes is None:
                tier.remove([item.name for item in items], [])
            else:
                tier.put(writes, at_once=at_once)
        for item, turn in begun:
            self._put_near(item, turn, hot=hot)
        self._move_dependents([item.name for item in items])

    def _prepare(self, tier: Tier, items: list[Item]) -> list[Any]:
        return [
            tier.prepare(item.name, wrap(item.held), item.ttl, item.conditions.names, item.conditions.moment)
            for item in items
        ]

    def _put_near(self, item: Item, turn: int, *, hot: bool) -> None:
        near = self._near(item.key)
        turn, alone = self._turns.step(item.key, turn)
        if hot and (alone or not self._below):
            self._memory.set(near, item.held, ttl=item.ttl)
            alone = self._turns.current(item.key) == turn
        if not hot or (not alone and self._below):
            self._memory.delete(near)

    def _remove(self, keys: list[Any]) -> int:
        """Remove ``keys`` from all tiers and end what depends on them; returns how many had a value."""
        names = [self._names.encode(key) for key in keys]
        there = [self._memory.peek(self._near(key), ABSENT) is not ABSENT for key in keys]
        moved = [mark for name in names if self._marks.is_remembered(mark := self._guards.key(name))]
        found = self._tell(names, moved)
        for key in keys:
            self._turns.begin(key)
            self._memory.delete(self._near(key))
        return max(found, sum(there))

    def _move_dependents(self, names: list[bytes]) -> None:
        moved = [mark for name in names if self._marks.is_remembered(mark := self._guards.key(name))]
        if moved:
            self._tell([], moved)

    def _tell(self, keys: list[bytes], moved: list[bytes]) -> int:
        """Remove ``keys`` from the tiers below and have the names ``moved`` move, everywhere."""
        removed, told = 0, bool(self._below)
        for tier in reversed(self._below):
            count, known = tier.remove(keys, moved if tier is self._below[-1] else [])
            removed, told = max(removed, count), told and known
        if moved:
            self._marks.moved(moved, told=told)
            self._stir()
        return removed

    def _discard(self, key: Any, guarded: Guarded) -> None:
        """Drop from memory a value whose conditions no longer hold."""
        self._stale += 1
        near = self._near(key)
        if self._memory.peek(near) is guarded:
            self._memory.delete(near)

    def _forget(self, names: Iterable[bytes] | None, *, moved: bool) -> None:
        """Drop from memory what others have changed, all of it for None."""
        if names is None:
            self._memory.clear()
        for name in names or ():
            key = self._names.decode(name)
            if key is not FOREIGN:
                self._memory.delete(self._near(key))
        if moved:
            self._marks.forget()
            self._stir()


def _forget_in(tier: Tier, names: list[bytes] | None) -> None:
    """Drop from a tier what has changed below it."""
    if names is None:
        tier.clear()
    elif names:
        tier.remove(names, [])


def _direct(held: Any) -> tuple[list[bytes], int]:
    """The names that a tier can watch itself: those of the latest moment."""
    if type(held) is not Guarded or not held.marks:
        return [], 0
    moment = max(moment for _, moment in held.marks)
    return [name for name, since in held.marks if since == moment], moment
