"""The epoch: a stamp in the name of every entry. When it moves, all entries are out of reach at once."""

from __future__ import annotations

from time import monotonic
from typing import Any, Final

from perfcore.cache.remote.names import Names, fresh_stamp
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, refused
from perfcore.errors import CodecError

__all__ = ["Epoch"]

_RETRY: Final = 0.25
#: For how many seconds a move made here is told again after a failover.
_LATELY: Final = 10.0


class Epoch:
    """What this process knows of the epoch; looked at again every ``window`` seconds, with another read."""

    def __init__(self, names: Names, window: float) -> None:
        self.current: str | None = None
        #: A stamp that was given here and that the server has not got yet.
        self.untold: bytes | None = None
        self.stamp = b""
        self._moved_at = -_LATELY
        self._window, self._due = window, 0.0
        self._name, self._slot = names.epoch, slot_of(names.epoch)
        self.ask = Ask(self._slot, (b"GET", self._name))

    def due(self) -> bool:
        """Say whether it is time to look again."""
        return monotonic() >= self._due

    def hurry(self) -> None:
        """Look again with the next read."""
        self._due = 0.0

    def asks_to_learn(self) -> list[Ask]:
        """Return what makes an epoch where there is none and reads it: the second reply counts."""
        return [Ask(self._slot, (b"SET", self._name, fresh_stamp(self.stamp), b"NX")), self.ask]

    def ask_to_tell(self, stamp: bytes) -> Ask:
        """Return what gives the server the stamp."""
        return Ask(self._slot, (b"SET", self._name, stamp))

    def ask_to_drop(self) -> Ask:
        """Return what takes the stamp from a server that is too full for a new one."""
        return Ask(self._slot, (b"DEL", self._name))

    def heard(self, said: Any) -> bool:
        """Take what the server says; True when all that was read before is out of date."""
        if said is UNAVAILABLE or refused(said):
            self._due = monotonic() + _RETRY
            return False
        if self.untold is not None:
            return False
        try:
            name = None if said is None else Names.epoch_of(said)
        except CodecError:
            name = None
        moved = name != self.current
        self.current = name
        if name is not None:
            self.stamp, self._due = said, monotonic() + self._window
        return moved

    def move(self) -> bytes:
        """Begin a new epoch in this process; the stamp is still to be told."""
        self._moved_at = monotonic()
        self.untold = self.stamp = fresh_stamp(self.stamp)
        self.current = Names.epoch_of(self.stamp)
        self._due = monotonic() + self._window
        return self.stamp

    def moved_lately(self) -> bool:
        """Say whether this process began the epoch in the last ten seconds."""
        return monotonic() - self._moved_at < _LATELY

    def told(self, stamp: bytes) -> None:
        """Note that the server has got ``stamp``."""
        if self.untold == stamp:
            self.untold = None
