"""When tags last moved: what makes any number of entries end at the cost of one write.

A value carries marks: the names of its tags, and of the keys it depends on, each with the moment from which
it was valid. It ends when one of them moves. Nothing is looked for, in no tier; a name that nobody remembers
counts as moved. Moments are the lowest tier's, whose clock all processes share; without such a tier they are
counted here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from perfcore.cache.moves import Moves
from perfcore.cache.tiers import Moments, Tier

__all__ = ["Mark", "Marks"]

Mark: TypeAlias = tuple[bytes, int]

#: Names whose moments are remembered between news.
_REMEMBERED = 1 << 16
#: How often the tier is asked again because something has moved meanwhile.
_LOOKS = 3


class Marks:
    """The moments of the names that this manager meets."""

    def __init__(self, tier: Tier | None) -> None:
        self._tier = tier
        self._lines: dict[bytes, int | None] = {}
        self._floor = 0
        #: What moved here and could not be told to the tier; without a tier, all that moved.
        self._own: dict[bytes, int] = {}
        self._present = 0
        self._alone = self._forgetful = False
        #: How often something had moved, for looks that are under way.
        self._forgotten = 0
        #: The tier has stamps instead of moments: equal or not, and a missing one has moved.
        self.exact = bool(getattr(tier, "exact", False))

    def beginning(self, names: Sequence[bytes]) -> Moves[int]:
        """Return the moment from which a value with ``names`` is valid that is begun now."""
        if self.exact:
            yield from self._beginning_exactly(list(names))
        elif self._tier is not None:
            found = yield (self._tier, "moments", (list(names),))
            if found is not None:
                self._note(names, found)
        return self._present

    def _beginning_exactly(self, names: list[bytes]) -> Moves[None]:
        stamps, _ = yield from self._asking("begin", names)
        for name, line in zip(names, stamps, strict=True):
            if line is None:
                self._lines.pop(name, None)
            else:
                self._lines[name] = line
                self._own.pop(name, None)  # the tier knows by now

    def at(self, names: Sequence[bytes], moment: int) -> dict[bytes, int]:
        """Return what the marks of ``names`` say after :meth:`beginning` has returned ``moment``."""
        if self.exact:
            return {name: self._lines.get(name) or 0 for name in names}
        return dict.fromkeys(names, moment)

    def remembering(self, names: Sequence[bytes], moment: int) -> Moves[None]:
        """Have it remembered when ``names`` (keys that something depends on) move."""
        if self._tier is None:
            for name in names:
                self._own.setdefault(name, 0)
            return
        if self.exact:
            return
        lines = yield from self._looking(names)
        missing = [name for name, line in zip(names, lines, strict=True) if line is None]
        if missing:
            yield (self._tier, "remember", (missing, moment))
            for name in missing:
                self._lines.pop(name, None)

    def shifted(self, names: Iterable[bytes]) -> bool:
        """Note that the tier is about to move ``names``; say whether something here may depend on them."""
        self._forgotten += 1
        known = [name for name in names if name in self._lines]
        for name in known:
            del self._lines[name]
        return bool(known) or self._forgetful

    def remembered(self, names: Iterable[bytes]) -> Moves[list[bytes]]:
        """Return those of ``names``, of keys, on which something may depend."""
        if self.exact:
            return []  # the tier moves the names of keys itself
        if self._tier is None:
            return [name for name in names if name in self._own]
        found = []
        for name in names:
            lines = yield from self._looking([name])
            if lines[0] is not None:
                found.append(name)
        return found

    def holding(self, marks: Iterable[Mark]) -> Moves[bool]:
        """Say whether none of the names has moved since the moment beside it."""
        marks = tuple(marks)
        lines = yield from self._looking([name for name, _ in marks])
        if self.exact:
            return all(
                name not in self._own and (line == moment or (line is None and self._alone))
                for (name, moment), line in zip(marks, lines, strict=True)
            )
        return all(
            moment >= self._floor and max(line or 0, self._own.get(name, 0)) <= moment
            for (name, moment), line in zip(marks, lines, strict=True)
        )

    def moved(self, names: Iterable[bytes], *, told: bool) -> None:
        """Note that ``names`` have moved; ``told`` says that the tier knows."""
        for name in names:
            self._lines.pop(name, None)
            if not told:
                self._own[name] = self._present + 1
            elif self.exact:
                self._own.pop(name, None)
        if self._tier is None:
            self._present += 1

    def forget(self) -> None:
        """Others have moved something: ask again."""
        self._lines.clear()
        self._forgotten += 1
        self._forgetful = False

    def _looking(self, names: Sequence[bytes]) -> Moves[list[int | None]]:
        unknown = [name for name in names if name not in self._lines] if self._tier is not None else []
        if unknown and self._tier is not None:
            found, kept = yield from self._asking("moments", unknown)
            self._alone = found is None
            if found is None:  # without the tier memory goes on alone
                return [self._lines.get(name) for name in names]
            self._note(unknown, found)
            if not kept:  # something moves all the time: this is for this once
                lines = [self._lines.get(name) for name in names]
                self.forget()
                return lines
        return [self._lines.get(name) for name in names]

    def _asking(self, verb: str, names: list[bytes]) -> Moves[tuple[Any, bool]]:
        """Ask the tier until nothing has moved meanwhile, for what was read before that is of no use."""
        for _ in range(_LOOKS):
            forgotten = self._forgotten
            found = yield (self._tier, verb, (names,))
            if forgotten == self._forgotten:
                return found, True
        return found, False

    def _note(self, names: Sequence[bytes], found: Moments) -> None:
        if len(self._lines) > _REMEMBERED:
            self._lines.clear()
            self._forgetful = True
        self._present, self._floor = found.present, found.floor
        self._lines.update(zip(names, found.lines, strict=True))
