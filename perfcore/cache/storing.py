"""Changing what is under a key on all tiers of a manager, so that no reader keeps an older value."""

from __future__ import annotations

from time import monotonic
from typing import Any, Literal, NamedTuple, TypeAlias

from perfcore._native.tier import Guarded
from perfcore.cache.guards import NONE, Conditions, wrap
from perfcore.cache.ladder import ABSENT, Ladder
from perfcore.cache.moves import Moves
from perfcore.cache.tiers import Tier

__all__ = ["Item", "Storing", "Way"]

#: How a tier is to keep a value: not at all, as it likes, or so that all processes see it at return.
Way: TypeAlias = Literal["out", "in", "sync"]
_FOREVER = float("inf")


class Item(NamedTuple):
    """A value on its way in: where it goes, for how long, and under which conditions."""

    key: Any
    name: bytes
    held: Any
    ttl: float | None
    conditions: Conditions


class Storing(Ladder):
    """The half of a manager that writes; memory comes last, for a reader may have overtaken."""

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

    def _storing(self, items: list[Item], *, hot: bool, into: list[Way], lease: Any = None) -> Moves[bool]:
        """Put ``items`` into the tiers below as ``into`` says, and remove older values from the others.

        With a ``lease`` of the last tier nothing changes, and False is returned, when that has passed on.
        Raises :exc:`TypeError` when one cannot be encoded, before any tier has changed.
        """
        if self._word != self._seen:
            self._changed()  # or what others have done before would take for older what is put now
        ready = [
            None if way == "out" else self._prepare(tier, items)
            for tier, way in zip(self._below, into, strict=True)
        ]
        begun, done = [(item, self._turns.begin(item.key)) for item in items], False
        names = [item.name for item in items]
        try:
            fenced = None if lease is None else (yield from self._fencing(ready[-1], lease))
            if fenced is False:
                return False
            for tier, writes, way in zip(self._below, ready, into, strict=True):
                if writes is None:
                    yield (tier, "remove", (names, []))
                    for item in items:  # or a tag that others store first would count as moved then
                        if item.conditions.names:
                            yield from self._marks.remembering(item.conditions.names, item.conditions.moment)
                elif fenced is None or tier is not self._below[-1]:
                    yield (tier, "put", (writes, way == "sync"))
            for item, turn in begun:
                self._put_near(item, turn, hot=hot)
            done = True
        finally:
            if not done:  # a task was cancelled, say: some tiers may have it, so memory must not have another
                for item in items:
                    self._memory.delete(self._near(item.key))
        if self._marks.exact:  # the tier moves them, when it has the value
            if self._marks.shifted(map(self._guards.key, names)):
                self._stir()
            return True
        moved = yield from self._depended_on(names)
        if moved:
            yield from self._telling([], moved)
        return True

    def _depended_on(self, names: list[bytes]) -> Moves[list[bytes]]:
        """Return the marks of those keys on which something may depend, by what others have told so far."""
        if self._word != self._seen:
            self._changed()
        return (yield from self._marks.remembered(map(self._guards.key, names)))

    def _fencing(self, writes: list[Any] | None, lease: Any) -> Moves[bool]:
        """Put ``writes`` into the last tier if ``lease`` stands; say whether it did."""
        verb, given = ("stands", ()) if writes is None else ("put_leased", (writes,))
        stands: bool = yield (self._below[-1], verb, (*given, lease))
        return stands

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

    def _removing(self, keys: list[Any]) -> Moves[int]:
        """Remove ``keys`` from all tiers and end what depends on them; returns how many had a value."""
        names = [self._names.encode(key) for key in keys]
        there = [self._memory.peek(self._near(key), ABSENT) is not ABSENT for key in keys]
        try:
            moved = yield from self._depended_on(names)
            found = yield from self._telling(names, moved)
        finally:
            for key in keys:
                self._turns.begin(key)
                self._memory.delete(self._near(key))
        return max(found, sum(there))

    def _telling(self, keys: list[bytes], moved: list[bytes]) -> Moves[int]:
        """Remove ``keys`` from the tiers below and have the names ``moved`` move, everywhere."""
        removed, told = 0, bool(self._below)
        for tier in reversed(self._below):
            moving = moved if tier is self._below[-1] else []
            count, known = yield (tier, "remove", (keys, moving))
            removed, told = max(removed, count), told and known
        if moved:
            self._marks.moved(moved, told=told)
            self._stir()
        return removed
