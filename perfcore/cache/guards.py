"""The conditions of a value, and how it carries them on the tiers below memory.

In memory a value under conditions is a :class:`Guarded`. Below it is the tuple ``(mark, conditions, value)``,
which any codec stores: conditions are ``(marks, files, fresh_until, source)`` with ``fresh_until`` in Unix
milliseconds, 0 for no end. A user's own tuple that looks like one is wrapped in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, NamedTuple

from perfcore._native.tier import Guarded
from perfcore.cache import clock
from perfcore.cache.dependencies import MOST, Files, FileState, sort_out
from perfcore.cache.invalidation import Mark, Marks
from perfcore.cache.keys import digest
from perfcore.cache.moves import Moves
from perfcore.cache.naming import Names

__all__ = ["NONE", "Conditions", "Guards", "open_up", "wrap"]

_MARK = "\x9dperfcore guarded"
_FOREVER = float("inf")


class Conditions(NamedTuple):
    """Marks and files that a value depends on, and what its entry tells the tiers: direct names, since
    when.
    """

    marks: tuple[Mark, ...]
    files: tuple[FileState, ...]
    names: list[bytes]
    moment: int


NONE = Conditions((), (), [], 0)


class Guards:
    """Makes conditions out of ``tags=`` and ``depends_on=``, and says whether they hold."""

    def __init__(
        self, names: Names, marks: Marks, files: Files, look: Callable[[Any], Moves[Guarded | None]]
    ) -> None:
        """``look`` finds what a key holds, as far as it is under conditions."""
        self._names, self._marks, self._files, self._look = names, marks, files, look

    def tag(self, tag: Any) -> bytes:
        """Return the name of a tag; raises :exc:`TypeError` when it is not what a key may be."""
        return digest(self._names.encode(tag))

    def tags(self, tags: Iterable[Any]) -> list[bytes]:
        """Return the names of ``tags``, each once; raises :exc:`TypeError` for one string."""
        if isinstance(tags, str | bytes):
            raise TypeError(f"tags: expected several tags, got one {type(tags).__name__}")
        return list(dict.fromkeys(map(self.tag, tags)))

    def key(self, name: bytes) -> bytes:
        """Return the name under which others depend on the key with canonical bytes ``name``."""
        return digest(b"key " + name)

    def beginning(self, own: bytes, tags: Iterable[Any], depends_on: Any) -> Moves[Conditions]:
        """Return the conditions of a value of the key ``own`` that is computed from now on.

        What the keys in ``depends_on`` depend on themselves is among them. Raises :exc:`TypeError` for tags
        and keys that cannot be one, :exc:`ValueError` when there are more than 64.
        """
        names = self.tags(tags)
        keys, paths = ([], []) if depends_on is None else sort_out(depends_on)
        named = {
            name: key for key in keys if (name := self._names.encode(key)) != own
        }  # none depends on itself
        others = [self.key(name) for name in named]
        if not names and not others and not paths:
            return NONE
        moment = yield from self._marks.beginning(names + others)
        if others:
            yield from self._marks.remembering(others, moment)
        marks = self._marks.at(names + others, moment)
        files = {path: self._files.state(path) for path in paths}
        yield from self._inheriting(named.values(), marks, files)
        marks.pop(self.key(own), None)
        if len(marks) + len(files) > MOST:
            raise ValueError(f"tags and depends_on: at most {MOST} in all, got {len(marks) + len(files)}")
        direct = [] if self._marks.exact else names + others
        return Conditions(tuple(marks.items()), tuple(files.values()), direct, moment)

    def holding(self, guarded: Guarded) -> Moves[bool]:
        """Say whether a value's conditions hold, its freshness apart."""
        if guarded.marks and not (yield from self._marks.holding(guarded.marks)):
            return False
        return not guarded.files or self._files.same(guarded.files)

    def _inheriting(
        self, keys: Iterable[Any], marks: dict[bytes, int], files: dict[str, FileState]
    ) -> Moves[None]:
        """Add what ``keys`` depend on, as they found it: what has ended for them has for the new value
        too.
        """
        for key in keys:
            held = yield from self._look(key)
            if held is not None:
                for name, moment in held.marks:
                    marks[name] = min(moment, marks.get(name, moment))
                for state in held.files:
                    files[state[0]] = state


def wrap(held: Any, *, files: bool = True) -> Any:
    """Return what is stored below for what memory holds; without ``files`` for a tier that has other ones."""
    if type(held) is Guarded:
        fresh = (
            0 if held.fresh == _FOREVER else clock.now_us() // 1000 + int((held.fresh - monotonic()) * 1000)
        )
        return (
            _MARK,
            (held.marks, held.files if files else (), max(fresh, 1) if fresh else 0, held.source),
            held.value,
        )
    if type(held) is tuple and held[:1] == (_MARK,):
        return _MARK, ((), (), 0, None), held
    return held


def open_up(stored: Any) -> Any:
    """Return what memory holds for what is stored below; raises :exc:`ValueError` for what is neither."""
    if type(stored) is not tuple or stored[:1] != (_MARK,):
        return stored
    try:
        _, (marks, files, fresh, source), value = stored
    except TypeError as error:
        raise ValueError("a stored value is under no known conditions") from error
    if not (_all(marks, bytes, int) and _all(files, str, int, int, int)) or type(fresh) is not int:
        raise ValueError("a stored value is under no known conditions")
    if not marks and not files and not fresh and source is None:
        return value
    left = (fresh - clock.now_us() // 1000) / 1000
    return Guarded(value, marks, files, monotonic() + left if fresh else _FOREVER, source)


def _all(found: Any, *kinds: type) -> bool:
    """Say whether ``found`` is a tuple of no more tuples than we write, with items of these types."""
    if type(found) is not tuple or len(found) > MOST:
        return False
    return all(type(one) is tuple and tuple(map(type, one)) == kinds for one in found)
