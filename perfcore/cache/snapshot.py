"""Warm restart: what the memory tier held at a clean stop, kept on the disk tier through the codec.

An entry that the disk has is kept as its name, place and remaining time: the value is read again at the
start, so that what was changed or removed meanwhile is seen. Other entries are kept with their values, and
dropped at the start if the journal no longer tells whether somebody removed them. Time while stopped counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from perfcore.cache import clock
from perfcore.cache.guards import open_up, wrap
from perfcore.cache.keys import encode_key
from perfcore.cache.naming import FOREIGN
from perfcore.cache.tiers import DiskTier
from perfcore.errors import CodecError

if TYPE_CHECKING:
    from perfcore.cache.ladder import Ladder

__all__ = ["place", "restore", "save", "writing"]

_FORMAT = 1
#: Entries of one part, and the share of the disk's budget that values may take which it does not have.
_PART, _SHARE = 256, 8
# Of Cache.__getstate__'s entries: key, value, weight, queue, frequency, then times in ns, None for never.
_VALUE_AT, _TIMES = 1, (5, 7)


def save(ladder: Ladder, tier: DiskTier) -> int:
    """Keep what ``ladder`` holds in memory on ``tier``; returns how many entries."""
    arguments, entries, _ = _state(ladder)
    room, kept = tier.cache._store.budget.limit // _SHARE, 0
    writes = []
    parts = list(_parts(ladder, tier, entries))
    for number, part in enumerate(reversed(parts)):  # the hottest first: they are to have the room
        packed = [line for line in part if line is not None]
        write = writing(tier, place(ladder, number), packed)
        room -= len(write.payload or b"")
        if room < 0:
            break
        writes.append(write)
        kept += len(packed)
    head = (_FORMAT, arguments["policy"], clock.now_us(), tier.position, len(writes))
    tier.cache._store.put_now([*writes, writing(tier, place(ladder, -1), head)])
    return kept


def _state(ladder: Ladder) -> tuple[dict[str, Any], list[Any], Any]:
    """What pickling would keep of the memory tier: arguments, entries from the coldest on, attributes."""
    arguments, entries, attributes = cast("tuple[Any, Any, Any]", ladder._memory.__getstate__())
    return arguments, entries, attributes


def writing(tier: DiskTier, name: bytes, value: Any) -> Any:
    """The write of ``value`` under a canonical name."""
    return tier.prepare(name, value, None, [], 0)


def place(ladder: Ladder, number: int) -> bytes:
    """The name of a part of what ``ladder`` keeps, -1 for its head."""
    return encode_key(("\x9dperfcore snapshot", *(ladder._names.prefix or ()), number))


def _parts(ladder: Ladder, tier: DiskTier, entries: list[Any]) -> Iterator[list[Any]]:
    """Yield lines of ``(name, value or None, has a value, policy's knowledge)``, coldest first."""
    rest = iter(entries)
    while part := list(islice(rest, _PART)):
        named = [(name, entry) for entry in part if (name := ladder._name_of(entry[0])) is not None]
        found = tier.find_many([name for name, _ in named])
        yield [
            _line(tier, name, entry, on_disk=one is not None)
            for (name, entry), one in zip(named, found, strict=True)
        ]


def _line(tier: DiskTier, name: bytes, entry: Any, *, on_disk: bool) -> Any:
    knowledge = tuple(entry[_VALUE_AT + 1 :])
    if on_disk:
        return name, None, False, knowledge
    value = wrap(entry[_VALUE_AT])
    try:
        tier.cache._codec.pack(value)
    except TypeError:
        return None  # lives in memory only, and ends with it
    return name, value, True, knowledge


def restore(ladder: Ladder, tier: DiskTier) -> int:
    """Put back what :func:`save` has kept, once; returns how many entries memory holds then."""
    head = tier.find(place(ladder, -1))
    if head is None or len(ladder._memory):
        return 0
    try:
        form, policy, stopped, position, parts = head.value
        if form != _FORMAT:
            return 0
        changed = tier.changed_since(position)
        down = max(0, clock.now_us() - stopped) * 1000
        entries = [
            entry for number in reversed(range(parts)) for entry in _read(ladder, tier, number, changed, down)
        ]
        _put_back(ladder, policy, entries)
    except (TypeError, ValueError, CodecError, IndexError):  # not what this version has written
        ladder._memory.clear()
    finally:
        tier.remove([place(ladder, -1)], [])
    return len(ladder._memory)


def _read(
    ladder: Ladder, tier: DiskTier, number: int, changed: set[bytes] | None, down: int
) -> Iterator[Any]:
    part = tier.find(place(ladder, number))
    lines = [] if part is None else part.value
    found = tier.find_many([name for name, _, _, _ in lines])
    for (name, value, whole, knowledge), stored in zip(lines, found, strict=True):
        if whole and (changed is None or name in changed):
            continue
        if stored is not None:
            value = stored.value
        elif not whole:
            continue
        key, held = ladder._names.decode(name), open_up(value)
        knew = [knowledge[at - _VALUE_AT - 1] for at in _TIMES]
        times = [None if left is None else left - down for left in knew]
        if key is not FOREIGN and all(left is None or left > 0 for left in times):
            entry = [ladder._near(key), held, *knowledge]
            for at, left in zip(_TIMES, times, strict=True):
                entry[at] = left
            yield tuple(entry)


def _put_back(ladder: Ladder, policy: str, entries: list[Any]) -> None:
    memory = ladder._memory
    if memory.policy == policy:
        arguments, _, attributes = _state(ladder)
        memory.__setstate__((arguments, entries, attributes))
        return
    for entry in entries:  # another policy knows nothing of queues and frequencies
        left = entry[_TIMES[0]]
        memory.set(entry[0], entry[_VALUE_AT], ttl=None if left is None else left / 1e9)
