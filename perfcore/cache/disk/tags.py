"""Tags: one write makes every entry stale that carries a tag, and no entry is looked for.

Each tag has a line with the moment at which it was last invalidated. An entry repeats its tags, and the
moment that its value was begun; it is valid while none of its tags has moved since. Moments come from a clock
in the file that only goes forward, so neither the wall clock nor the order of commits matters.

A tag without a line is not one that never moved: it may have been damaged, or forgotten to keep the table
small. So a line is made when an entry first carries the tag, and an entry without one for each tag is a miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import TypeAlias

import lmdb
from xxhash import xxh3_64_intdigest

from perfcore.cache import clock
from perfcore.cache.keys import Key, digest, encode_key

__all__ = ["NO_TAGS", "TAGS_END", "TAG_PREFIX", "Tags", "mark", "names", "remark"]

Txn: TypeAlias = "lmdb.Transaction[memoryview]"

TAG_PREFIX, TAGS_END = b"\x00\xff", b"\x01"
_CLOCK_KEY = b"\x00tags"
_CLOCK, _LINE = Struct("<QQIQ"), Struct("<QQ")
_HEAD = Struct("<BQ")
_DIGEST_BYTES = 16

#: A line takes some 60 bytes: the table is held to a 64th of the budget, and to what 0.1 s goes through.
_LINE_SHARE, _MOST_LINES = 4096, 65_536
_MOST_TAGS = 255
#: A line that cannot be read counts as moved later than everything.
_DAMAGED = 1 << 64
NO_TAGS = b""


def names(tags: Iterable[Key]) -> list[bytes]:
    """Return the digests of ``tags``, each once; raises :exc:`TypeError` for one string or other keys."""
    if isinstance(tags, str | bytes):
        raise TypeError(f"tags: expected several tags, got one {type(tags).__name__}")
    found = sorted({digest(encode_key(tag)) for tag in tags})
    if len(found) > _MOST_TAGS:
        raise TypeError(f"tags: expected at most {_MOST_TAGS}, got {len(found)}")
    return found


def mark(names: list[bytes], moment: int) -> bytes:
    """Return what an entry begun at ``moment`` carries of its tags."""
    return _HEAD.pack(len(names), moment) + b"".join(names) if names else NO_TAGS


def remark(mark: bytes, moment: int) -> bytes:
    """Return ``mark`` with another moment: for an entry that comes from another file."""
    return _HEAD.pack(mark[0], moment) + mark[_HEAD.size :] if mark else NO_TAGS


def _read_mark(mark: bytes) -> tuple[int, list[bytes]]:
    count, moment = _HEAD.unpack_from(mark)
    starts = range(_HEAD.size, _HEAD.size + count * _DIGEST_BYTES, _DIGEST_BYTES)
    return moment, [mark[start : start + _DIGEST_BYTES] for start in starts]


class Tags:
    """The lines of all tags of one file, and their clock."""

    def __init__(self, budget: int) -> None:
        self._most = max(256, min(_MOST_LINES, budget // _LINE_SHARE))

    def now(self, txn: Txn) -> int:
        """Return the moment from which a value that is begun now is valid."""
        return self._clock(txn)[0]

    def count(self, txn: Txn) -> int:
        """Return how many lines there are."""
        return self._clock(txn)[2]

    def recall(self, txn: Txn, names: list[bytes]) -> tuple[int, int, list[int | None]]:
        """Return the present, the moment before which nothing is remembered, and when each name last
        moved.
        """
        latest, floor, _ = self._clock(txn)
        return latest, floor, [self._line(txn, name) for name in names]

    def valid(self, txn: Txn, mark: bytes) -> bool:
        """Say whether no tag in ``mark`` has moved since its moment."""
        if not mark:
            return True
        moment, names = _read_mark(mark)
        lines = [self._line(txn, name) for name in names]
        return all(line is not None and line <= moment for line in lines)

    def promising(self, txn: Txn, mark: bytes) -> bool:
        """Say whether :meth:`admit` would take ``mark``, which is not in the file yet."""
        if not mark:
            return True
        moment, names = _read_mark(mark)
        return moment >= self._clock(txn)[1] and all((self._line(txn, name) or 0) <= moment for name in names)

    def admit(self, txn: Txn, mark: bytes) -> bool:
        """Make lines for the tags in ``mark`` that have none; False if one of the others has moved."""
        moment, names = _read_mark(mark)
        latest, floor, count = self._clock(txn)
        if moment < floor:  # from before what has been forgotten
            return False
        missing = []
        for name in names:
            line = self._line(txn, name)
            if line is None:
                missing.append(name)
            elif line > moment:
                if line == _DAMAGED:
                    self.move(txn, [name])
                return False
        if missing:
            for name in missing:
                self._write(txn, name, moment)
            self._tick(txn, latest, floor, count + len(missing))
        return True

    def move(self, txn: Txn, names: list[bytes]) -> None:
        """Make stale what carries any tag in ``names`` and was begun before now."""
        latest, floor, count = self._clock(txn)
        moment = max(clock.now_us(), latest + 1)
        for name in names:
            count += txn.get(TAG_PREFIX + name) is None
            self._write(txn, name, moment)
        self._tick(txn, moment - 1, floor, count)

    def forget(self, txn: Txn) -> None:
        """After everything was removed, lines included: refuse what was begun before."""
        latest = max(clock.now_us(), self._clock(txn)[0] + 1)
        self._set_clock(txn, latest, latest, 0)

    def _tick(self, txn: Txn, latest: int, floor: int, count: int) -> None:
        latest = max(clock.now_us(), latest + 1)
        if count > self._most:
            floor, count = self._halve(txn, latest)
        self._set_clock(txn, latest, floor, count)

    def _halve(self, txn: Txn, latest: int) -> tuple[int, int]:
        """Forget the half of the lines that has not moved for longest; returns floor and count."""
        lines = {key: self._line(txn, key[len(TAG_PREFIX) :]) or 0 for key in self._keys(txn)}
        ordered = sorted(lines.values())
        floor = ordered[len(ordered) // 2] if ordered else latest
        if not ordered or floor == ordered[0]:  # all of one moment
            floor = latest
        old = [key for key, moment in lines.items() if moment < floor]
        for key in old:
            txn.delete(key)
        return floor, len(lines) - len(old)

    def _keys(self, txn: Txn) -> Iterator[bytes]:
        begin = TAG_PREFIX
        with txn.cursor() as cursor:
            while cursor.set_range(begin) and begin <= (key := bytes(cursor.key())) < TAGS_END:
                yield key
                begin = key + b"\0"

    def _line(self, txn: Txn, name: bytes) -> int | None:
        """The moment at which a tag last moved, None if that is not known."""
        line = txn.get(TAG_PREFIX + name)
        if line is None:
            return None
        moment: int
        moment, checksum = _LINE.unpack(line) if len(line) == _LINE.size else (0, 0)
        return moment if checksum == xxh3_64_intdigest(name, moment) else _DAMAGED

    def _write(self, txn: Txn, name: bytes, moment: int) -> None:
        txn.put(TAG_PREFIX + name, _LINE.pack(moment, xxh3_64_intdigest(name, moment)))

    def _clock(self, txn: Txn) -> tuple[int, int, int]:
        """The latest moment, the one before which nothing is remembered, and how many lines there are."""
        data = txn.get(_CLOCK_KEY)
        if data is not None and len(data) == _CLOCK.size:
            latest, floor, count, checksum = _CLOCK.unpack(data)
            if checksum == xxh3_64_intdigest(bytes(data[:20])):
                return latest, floor, count
        elif data is None:
            return 0, 0, 0
        raise lmdb.CorruptedError("the clock of the tags is damaged")

    def _set_clock(self, txn: Txn, latest: int, floor: int, count: int) -> None:
        head = _CLOCK.pack(latest, floor, count, 0)[:20]
        txn.put(_CLOCK_KEY, head + xxh3_64_intdigest(head).to_bytes(8, "little"))
