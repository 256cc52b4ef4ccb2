"""When tags last moved: what makes any number of entries end at the cost of one write.

A value carries marks: the names of its tags, and of the keys it depends on, each with the moment from which
it was valid. It ends when one of them moves. Nothing is looked for, in no tier; a name that nobody remembers
counts as moved. Moments are the lowest tier's, whose clock all processes share; without such a tier they are
counted here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from perfcore.cache.tiers import Moments, Tier

__all__ = ["Mark", "Marks"]

Mark: TypeAlias = tuple[bytes, int]

#: Names whose moments are remembered between news.
_REMEMBERED = 1 << 16


class Marks:
    """The moments of the names that this manager meets."""

    def __init__(self, tier: Tier | None) -> None:
        self._tier = tier
        self._lines: dict[bytes, int | None] = {}
        self._floor = 0
        #: What moved here and could not be told to the tier; without a tier, all that moved.
        self._own: dict[bytes, int] = {}
        self._present = 0
        self._alone = False
        #: The tier has stamps instead of moments: equal or not, and a missing one has moved.
        self.exact = bool(getattr(tier, "exact", False))

    def begin(self, names: Sequence[bytes]) -> int:
        """Return the moment from which a value with ``names`` is valid that is begun now."""
        if self.exact:
            self._begin_exactly(list(names))
        elif self._tier is not None:
            found = self._tier.moments(list(names))
            if found is not None:
                self._note(names, found)
        return self._present

    def _begin_exactly(self, names: list[bytes]) -> None:
        for name, line in zip(names, self._tier.begin(names), strict=True):  # type: ignore[union-attr]
            if line is None:
                self._lines.pop(name, None)
            else:
                self._lines[name] = line
                self._own.pop(name, None)  # the tier knows by now

    def at(self, names: Sequence[bytes], moment: int) -> dict[bytes, int]:
        """Return what the marks of ``names`` say after :meth:`begin` has returned ``moment``."""
        if self.exact:
            return {name: self._lines.get(name) or 0 for name in names}
        return dict.fromkeys(names, moment)

    def remember(self, names: Sequence[bytes], moment: int) -> None:
        """Have it remembered when ``names`` (keys that something depends on) move."""
        if self._tier is None:
            for name in names:
                self._own.setdefault(name, 0)
            return
        if self.exact:
            return
        missing = [name for name, line in zip(names, self._of(names), strict=True) if line is None]
        if missing:
            self._tier.remember(missing, moment)
            for name in missing:
                self._lines.pop(name, None)

    def is_remembered(self, name: bytes) -> bool:
        """Say whether something may depend on the key with this name."""
        if self.exact:
            return False  # the tier moves the names of keys itself
        return name in self._own if self._tier is None else self._of([name])[0] is not None

    def current(self, marks: Iterable[Mark]) -> bool:
        """Say whether none of the names has moved since the moment beside it."""
        marks = tuple(marks)
        lines = self._of([name for name, _ in marks])
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

    def _of(self, names: Sequence[bytes]) -> list[int | None]:
        unknown = [name for name in names if name not in self._lines] if self._tier is not None else []
        if unknown and self._tier is not None:
            found = self._tier.moments(unknown)
            self._alone = found is None
            if found is None:  # without the tier memory goes on alone
                return [self._lines.get(name) for name in names]
            self._note(unknown, found)
        return [self._lines.get(name) for name in names]

    def _note(self, names: Sequence[bytes], found: Moments) -> None:
        if len(self._lines) > _REMEMBERED:
            self._lines.clear()
        self._present, self._floor = found.present, found.floor
        self._lines.update(zip(names, found.lines, strict=True))
