"""Looking things up on the servers: which commands, and what their replies mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from perfcore.cache.remote.drive import Steps
from perfcore.cache.remote.entries import Opened
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.stamps import asks_to_look, fold, tags_in
from perfcore.cache.remote.state import State
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, refused
from perfcore.errors import CodecError, UnreadableError

__all__ = ["MISSING", "SWAP", "Found", "Reading"]

#: What stands for no value.
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__slots__": ()})()
#: Replaces an entry by another, or by none, if it is still what was read.
SWAP: Final = (
    b"if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end "
    b"if #ARGV==1 then return redis.call('DEL',KEYS[1]) end "
    b"redis.call('SET',KEYS[1],ARGV[2]) "
    b"if ARGV[3]~='0' then redis.call('PEXPIRE',KEYS[1],ARGV[3]) end return 1"
)


#: An entry as it stands on the server, and what is in it.
Found = tuple[bytes, Opened]


class Reading(State):
    """Finds entries, opens them, and holds their tags against the stamps."""

    def load(self, canonical: bytes) -> Steps[Any]:
        """Return the value of a key, or MISSING."""
        found = yield from self.find(canonical)
        return MISSING if found is None else found[1].value

    def find(self, canonical: bytes) -> Steps[Found | None]:
        """Return the valid entry of a key."""
        epoch = self.epoch.current or (yield from self.learn())
        if epoch is None:
            self.unavailable()
            return None
        name = self.names.key(epoch, canonical)
        asks = [Ask(slot_of(name), (b"GET", name), True)]
        if self.epoch.due():
            asks.append(self.epoch.ask)
        replies = yield asks
        if len(asks) > 1 and self.epoch.heard(replies[1]):
            return (yield from self.find(canonical))
        data = replies[0]
        opened = self.opened(canonical, name, data)
        if isinstance(opened, Opened):
            if not opened.mark:
                return data, opened
            return (data, opened) if (yield from self.valid([opened]))[0] else None
        if opened is MISSING and type(data) is bytes:
            yield from self.discard(name, data)
        return None

    def find_many(self, canonicals: list[bytes]) -> Steps[list[Opened | None]]:
        """Return the valid entries of keys, asked for at once."""
        epoch = self.epoch.current or (yield from self.learn())
        if epoch is None:
            self.unavailable(len(canonicals))
            return [None] * len(canonicals)
        names = [self.names.key(epoch, canonical) for canonical in canonicals]
        asks = self._asks_for(names)
        due = self.epoch.due() and bool(asks)
        replies = yield [*asks, self.epoch.ask] if due else asks
        if due and self.epoch.heard(replies.pop()):
            return (yield from self.find_many(canonicals))
        if asks and not self.router.cluster:
            whole = replies[0]
            replies = whole if isinstance(whole, list) and len(whole) == len(names) else [whole] * len(names)
        opened = [self.opened(*one) for one in zip(canonicals, names, replies, strict=True)]
        for name, data, one in zip(names, replies, opened, strict=True):
            if one is MISSING and type(data) is bytes:
                yield from self.discard(name, data)
        tagged = [one for one in opened if isinstance(one, Opened) and one.mark]
        valid = (yield from self.valid(tagged)) if tagged else []
        ended = {id(one) for one, holds in zip(tagged, valid, strict=True) if not holds}
        return [one if isinstance(one, Opened) and id(one) not in ended else None for one in opened]

    def _asks_for(self, names: list[bytes]) -> list[Ask]:
        """A cluster is asked for each, in one pipeline to each server; one server for all in one command."""
        if self.router.cluster:
            return [Ask(slot_of(name), (b"GET", name), True) for name in names]
        return [Ask(0, (b"MGET", *names), True)] if names else []

    def opened(self, canonical: bytes, name: bytes, data: Any) -> Any:
        """What is in a reply: Opened; MISSING if it must be removed; None if there is nothing."""
        if data is None:
            return None
        if data is UNAVAILABLE or refused(data):
            self.unavailable()
            return None
        if self.missed.keys and name in self.missed.keys:
            return None
        try:
            opened = self.entries.open(canonical, data)
        except UnreadableError:  # sound, and perhaps another process can read it: a deploy is under way
            self.counters.unreadable += 1
            return None
        except CodecError:
            self.counters.damaged += 1
            return MISSING
        if self.mending and opened is not None and opened.generation <= self.recent.keys.get(name, 0):
            return None  # removed here, and perhaps a replica that answers now has not heard of it
        return opened

    def valid(self, entries: Sequence[Opened]) -> Steps[list[bool]]:
        """Say of each entry with tags whether none of them has moved since it was begun."""
        marks = [tags_in(entry.mark) for entry in entries]
        tags = list(dict.fromkeys(tag for _, some in marks for tag in some))
        stamps = dict(zip(tags, (yield asks_to_look(self.names, tags)), strict=True))
        missed, valid = self.missed.tags, []
        for word, some in marks:
            if any(stamps[tag] is UNAVAILABLE or refused(stamps[tag]) for tag in some):
                self.unavailable()
                valid.append(False)
                continue
            same = fold(some, [stamps[tag] for tag in some]) == word
            holds = same and not (missed and any(tag in missed for tag in some))
            self.counters.invalidations += not holds
            valid.append(holds)
        return valid

    def discard(self, name: bytes, data: bytes) -> Steps[None]:
        """Remove what cannot be an entry, unless something else stands there by now."""
        yield [Ask(slot_of(name), (b"EVAL", SWAP, b"1", name, data))]
