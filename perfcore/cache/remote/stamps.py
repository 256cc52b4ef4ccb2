"""Tags: one write ends every entry that carries a tag, on whichever servers they are.

Each tag has a stamp on the server, random and in order of time. An entry repeats its tags and one word, a
hash of their stamps when its value was begun; it is valid while the stamps make the same hash. A stamp that
is missing is not one that never moved: it may have been lost in a failover. So a tag's first entry makes it,
and an entry that meets none is a miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from xxhash import xxh3_64

from perfcore.cache.disk.tags import mark, names
from perfcore.cache.remote.names import STAMP_BYTES, Names, fresh_stamp
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.wire import Ask

__all__ = ["asks_to_begin", "asks_to_look", "asks_to_move", "begun", "fold", "names", "tags_in"]

_HEAD, _TAG = 9, 16
#: How many seconds a stamp lives that no entry is stored with; one that has ended makes a miss.
_LIFE: Final = b"2592000"


def tags_in(mark: bytes) -> tuple[bytes, list[bytes]]:
    """Return the word and the tags in what an entry carries."""
    return mark[1:_HEAD], [mark[at : at + _TAG] for at in range(_HEAD, len(mark), _TAG)]


def fold(tags: Sequence[bytes], stamps: Sequence[Any]) -> bytes | None:
    """Return the word that ``stamps`` of ``tags`` make, None when one of them is missing or no stamp."""
    state = xxh3_64()
    for tag, stamp in zip(tags, stamps, strict=True):
        if type(stamp) is not bytes or len(stamp) != STAMP_BYTES:
            return None
        state.update(tag)
        state.update(stamp)
    return state.digest()


def begun(tags: list[bytes], stamps: Sequence[Any]) -> bytes | None:
    """Return what an entry carries that is begun with ``stamps``, None when one of them cannot be had."""
    word = fold(tags, stamps)
    return None if word is None else mark(tags, int.from_bytes(word, "little"))


def asks_to_look(server: Names, tags: Iterable[bytes]) -> list[Ask]:
    """Return what reads the stamps of ``tags``; from the primaries, for replicas may be behind."""
    return [Ask(slot_of(name), (b"GET", name)) for name in map(server.tag, tags)]


def asks_to_begin(server: Names, tags: Iterable[bytes]) -> list[Ask]:
    """Return what makes the stamps that are missing and reads them: two replies for each."""
    asks = []
    for name in map(server.tag, tags):
        slot = slot_of(name)
        asks.append(Ask(slot, (b"SET", name, fresh_stamp(), b"EX", _LIFE, b"NX")))
        asks.append(Ask(slot, (b"GET", name)))
    return asks


def asks_to_move(server: Names, tags: Iterable[bytes]) -> list[Ask]:
    """Return what gives each of ``tags`` a new stamp."""
    return [Ask(slot_of(name), (b"SET", name, fresh_stamp(), b"EX", _LIFE)) for name in map(server.tag, tags)]
