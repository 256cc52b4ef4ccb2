"""A memory tier over others: looking downwards, promoting upwards, and keeping memory true.

Nothing here holds a lock while a tier works (:mod:`perfcore.cache.turns` says how that stays right).
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import RLock
from time import monotonic
from typing import Any

from perfcore._native.cache import Cache
from perfcore._native.tier import Front, Guarded
from perfcore.cache.dependencies import Files
from perfcore.cache.guards import Guards, open_up, wrap
from perfcore.cache.invalidation import Marks
from perfcore.cache.moves import Moves, drive
from perfcore.cache.naming import FOREIGN, Names
from perfcore.cache.tiers import Found, Tier
from perfcore.cache.turns import Turns
from perfcore.metrics.instrument import note

__all__ = ["ABSENT", "Ladder", "judged"]

ABSENT: Any = object()


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
        self._guards = Guards(names, self._marks, Files(interval), self._looking)
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
        name = self._names.encode(key)
        value, fresh = judged(drive(self._climbing(key, name))) if self._below else (default, True)
        return value if fresh else default

    def _watched(self, key: Any, default: Any) -> Any:
        if self._word != self._seen:
            self._changed()
        held = self._memory.get(self._near(key), ABSENT)
        if type(held) is Guarded:
            return self._reviewed(key, held, default)
        if held is ABSENT:
            return self._missed(key, default)
        _note_near()
        return held

    def _reviewed(self, key: Any, guarded: Guarded, default: Any) -> Any:
        return drive(self._serving(key, guarded, default))

    # -- looking --

    def _finding(self, key: Any) -> Moves[Any]:
        """What the nearest tier holds for ``key``, guarded and perhaps no longer fresh, or ABSENT."""
        if self._word != self._seen:
            self._changed()
        held = self._memory.get(self._near(key), ABSENT)
        if type(held) is Guarded:
            return (yield from self._reviewing(key, held))
        if held is ABSENT:
            return (yield from self._climbing(key, self._names.encode(key)))
        _note_near()
        return held

    def _serving(self, key: Any, guarded: Guarded, default: Any) -> Moves[Any]:
        """What a lookup returns for ``key``, of which memory holds a value under conditions."""
        if not (yield from self._holding(guarded)):
            self._discard(key, guarded)
            if self._hurried:
                return default
            value, fresh = judged((yield from self._climbing(key, self._names.encode(key))))
            return value if fresh else default
        _note_near()
        return guarded.value if self._hurried or monotonic() < guarded.fresh else default

    def _reviewing(self, key: Any, guarded: Guarded) -> Moves[Any]:
        """What is found for ``key``, of which memory holds a value under conditions that may have ended."""
        if (yield from self._holding(guarded)):
            _note_near()
            return guarded
        self._discard(key, guarded)
        return (yield from self._climbing(key, self._names.encode(key)))

    def _climbing(self, key: Any, name: bytes) -> Moves[Any]:
        """What a tier below memory holds for ``key``, promoted; or ABSENT."""
        note("memory.miss")
        for depth, tier in enumerate(self._below):
            seen = self._turns.current(key), self._word, self._heard
            found = yield (tier, "find", (name,))
            if found is not None and (held := (yield from self._opening(found))) is not ABSENT:
                yield from self._promoting(key, name, held, found.left, depth, seen)
                note("cache.hit")
                return held
        note("cache.miss")
        return ABSENT

    def _climbing_many(
        self, keys: list[Any], missing: list[int], values: list[Any], default: Any
    ) -> Moves[None]:
        """Ask each tier below once for what the ones above do not have."""
        names = {place: self._names.encode(keys[place]) for place in missing}
        for depth, tier in enumerate(() if self._hurried else self._below):
            word, heard = self._word, self._heard
            seen = {place: (self._turns.current(keys[place]), word, heard) for place in missing}
            asked, missing = missing, []
            every = yield (tier, "find_many", ([names[place] for place in asked],))
            for place, found in zip(asked, every, strict=True):
                held = ABSENT if found is None else (yield from self._opening(found))
                if found is None or held is ABSENT:
                    missing.append(place)
                    continue
                note("cache.hit")
                yield from self._promoting(keys[place], names[place], held, found.left, depth, seen[place])
                value, fresh = judged(held)
                values[place] = value if fresh else default
        note("cache.miss", len(missing))
        for place in missing:
            values[place] = default

    def _opening(self, found: Found) -> Moves[Any]:
        """What a tier's value is in memory, ABSENT when its conditions no longer hold."""
        try:
            held = open_up(found.value)
        except ValueError:
            return ABSENT
        if type(held) is Guarded and not (yield from self._holding(held)):
            self._stale += 1
            return ABSENT
        return held

    def _promoting(
        self, key: Any, name: bytes, held: Any, left: float | None, depth: int, seen: tuple[int, int, int]
    ) -> Moves[None]:
        """Put what was found at ``depth`` into memory and the tiers between, unless it has changed since."""
        if left is not None and left <= 0:
            return
        names, moment = ([], 0) if self._marks.exact else _direct(held)
        for tier in self._below[:depth]:
            yield (tier, "put", ([tier.prepare(name, wrap(held), left, names, moment)],))
            if seen[2] != self._heard:
                yield (tier, "remove", ([name], []))
        near = self._near(key)
        if self._memory.add(near, held, ttl=self._shorter(left)):
            now = self._turns.current(key), self._word, self._heard
            if now != seen and self._memory.peek(near) is held:
                self._memory.delete(near)

    def _shorter(self, left: float | None) -> float | None:
        """What an entry of memory has left that came from below: no more than memory's own ttl."""
        return left if self._ttl is None or left is None else min(left, self._ttl)

    def _holding(self, guarded: Guarded) -> Moves[bool]:
        moves = self._moves
        if not (yield from self._guards.holding(guarded)):
            return False
        self._vouch(guarded, moves)
        return True

    def _looking(self, key: Any) -> Moves[Guarded | None]:
        """The conditions that ``key`` has, if it has a value for which they hold."""
        if self._word != self._seen:
            self._changed()  # or what others have ended would pass on its conditions, to a value born ended
        held = self._memory.peek(self._near(key), ABSENT)
        if held is ABSENT:
            name, found = self._names.encode(key), None
            for tier in self._below:
                if (found := (yield (tier, "find", (name,)))) is not None:
                    break
            held = None if found is None else (yield from self._opening(found))
        return held if type(held) is Guarded and (yield from self._holding(held)) else None

    # -- memory --

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


def judged(held: Any) -> tuple[Any, bool]:
    """Return the value in what a tier holds, and whether it is fresh."""
    if type(held) is Guarded:
        return held.value, monotonic() < held.fresh
    return held, held is not ABSENT


def _note_near() -> None:
    note("memory.hit")
    note("cache.hit")


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
