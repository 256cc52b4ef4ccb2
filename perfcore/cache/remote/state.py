"""What one remote cache knows: its names, the epoch, and the changes that servers are still to be told.

Operations are steps: they yield commands and are sent the replies. Nothing here does I/O or waits; ``drive``
and ``aio`` carry the steps out in a thread or on an event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from perfcore.cache.remote.counters import Counters
from perfcore.cache.remote.drive import Steps
from perfcore.cache.remote.entries import Entries
from perfcore.cache.remote.epoch import Epoch
from perfcore.cache.remote.names import Names
from perfcore.cache.remote.recovery import Missed, Recent
from perfcore.cache.remote.router import Router
from perfcore.cache.remote.wire import UNAVAILABLE, refused

__all__ = ["State"]


class State:
    """What one :class:`RemoteCache` knows: names, epoch, changes that are still to be told."""

    def __init__(self, router: Router, names: Names, entries: Entries, window: float) -> None:
        self.router, self.names, self.entries = router, names, entries
        self.counters = Counters()
        self.epoch = Epoch(names, window)
        self.missed, self.recent = Missed(), Recent()
        #: Called when there is something to mend.
        self.trouble: Callable[[], object] = lambda: None
        self.sweep: list[str] = []
        self.mending = False

    def note_missed(self, keys: list[bytes], tags: list[bytes]) -> None:
        """Note changes that no server took."""
        if self.missed.note(keys, tags):
            self.overflow(counted=True)
        self.trouble()

    def note_again(self) -> None:
        """After a failover: have told again what was confirmed shortly before."""
        keys, tags = self.recent.names()
        if self.epoch.moved_lately():
            self.epoch.move()  # a new one: another process may have begun one since
        if self.missed.note(keys, tags):
            self.overflow(counted=True)

    def learn(self) -> Steps[str | None]:
        """Find out the epoch; None when nobody knows."""
        replies = yield self.epoch.asks_to_learn()
        if replies[1] is UNAVAILABLE or refused(replies[1]):
            self.trouble()
        self.epoch.heard(replies[1])
        return self.epoch.current

    def overflow(self, *, counted: bool = False) -> None:
        """There is too much that a server was not told: begin a new epoch, told or not."""
        self.missed.overflows += not counted
        if self.epoch.untold is None or counted:
            self.epoch.move()
        self.trouble()

    def clear(self) -> Steps[bool]:
        """Begin a new epoch; say whether the server knows."""
        old = self.epoch.current
        stamp = self.epoch.move()
        self.missed.clear()
        if old is not None:
            self.sweep.append(old)
        return (yield from self.tell_epoch(stamp))

    def tell_epoch(self, stamp: bytes) -> Steps[bool]:
        """Give the server the stamp of this epoch."""
        (reply,) = yield [self.epoch.ask_to_tell(stamp)]
        if refused(reply):
            yield [self.epoch.ask_to_drop()]
            return False
        if reply is UNAVAILABLE:
            self.trouble()
            return False
        self.epoch.told(stamp)
        return True

    def unavailable(self, count: int = 1) -> None:
        """Count what no server has answered."""
        self.counters.unavailable += count
        if self.router.stale:
            self.trouble()
