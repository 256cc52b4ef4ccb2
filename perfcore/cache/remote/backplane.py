"""Telling other processes what has changed, so that what they hold in memory and on disk stays right.

Each message takes the next number of a counter beside the channel, in one script, so that whoever listens
sees when one is missing. A listener also looks at the counter: after it has subscribed, and every
``interval`` seconds. A gap, a message that did not come, or a connection that cannot be made again is news of
everything. So nothing older than two intervals is served from what a listener keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from random import getrandbits
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, Final

import msgspec

from perfcore._log import logger
from perfcore.cache.disk.journal import UNKNOWN, News
from perfcore.cache.remote.drive import Steps, ask, run
from perfcore.cache.remote.names import Names
from perfcore.cache.remote.router import Router
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, pack, refused

__all__ = ["Backplane"]

_PUBLISH: Final = (
    b"local n=redis.call('INCR',KEYS[1]) "
    b"redis.call('%b',KEYS[2],string.format('%%.0f',n)..':'..ARGV[1]) return n"
)
_LONGEST_PAUSE: Final = 1.0
#: Keys in one message; more are news of everything.
_MOST: Final = 5000
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(News).decode


class Backplane:
    """Publishes news, and hands those of others to ``listen``, in a thread of its own."""

    def __init__(self, router: Router, names: Names, timeout: float, interval: float) -> None:
        self.origin = getrandbits(62) | 1
        self.received = self.gaps = self.cuts = 0
        self.connected = False
        self._router, self._channel, self._counter = router, names.channel, names.counter
        self._slot = slot_of(names.counter)
        self._timeout, self._interval = timeout, interval
        self._listen: Callable[[News], object] = lambda news: None
        self._thread: Thread | None = None
        self._stopped, self._lock = Event(), Lock()
        self._owed = False
        self._seen: int | None = None
        self._expected = 0
        self._certain_until = 0.0

    # -- telling --

    def publishing(self, keys: list[bytes] | None, *, moved: bool) -> Steps[bool]:
        """Tell others of changed keys (None: all), and whether tags have moved; later if it must be."""
        if keys is not None and len(keys) > _MOST:
            keys, moved = None, True
        if (yield from self._saying(News(self.origin, keys, moved))):
            return True
        self._owed = True  # what exactly is not kept: everything, then
        self._begin()
        return False

    def _saying(self, news: News) -> Steps[bool]:
        verb = b"SPUBLISH" if self._router.cluster else b"PUBLISH"
        words = (b"EVAL", _PUBLISH % verb, b"2", self._counter, self._channel, _encode(news))
        (reply,) = yield [Ask(self._slot, words)]
        return not (reply is UNAVAILABLE or refused(reply))

    # -- listening --

    def start(self, listen: Callable[[News], object]) -> None:
        """Hand news to ``listen`` from now on."""
        self._listen = listen
        self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                self._thread = Thread(target=self._run, name="perfcore-backplane", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter ends, or the system is out of threads
                    self._thread = None

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def forked(self) -> None:
        """In a forked child: the thread is the parent's, and what it heard since is not known here."""
        self._lock, self._thread = Lock(), None
        self._seen = None
        self.origin = getrandbits(62) | 1  # with the parent's, each would take the other's news for its own
        self._begin()

    def _run(self) -> None:
        pause = 0.05
        while not self._stopped.is_set():
            connection = self._subscribed()
            if connection is None:
                self._doubt()
                self._stopped.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = 0.05
            try:
                self._follow(connection)
            except Exception as error:
                logger("cache").info("backplane: %s", type(error).__name__)
            self.connected = False
            self.cuts += not self._stopped.is_set()
            _close(connection)

    def _subscribed(self) -> Any:
        """A connection that has subscribed, None when there is none to be had."""
        deadline = monotonic() + self._timeout
        if not self._router.known and not self._router.discover(deadline):
            return None
        node = self._router.node(Ask(self._slot, ()))
        connection = None
        try:
            if node is None:
                return None
            connection = self._router.connector.connect(node.address, self._timeout)
            verb = b"SSUBSCRIBE" if self._router.cluster else b"SUBSCRIBE"
            connection.send_packed_command([pack([(verb, self._channel)])], check_health=False)
            connection.read_response()
            if self._audit(joined=True):
                self.connected = True
                return connection
        except Exception:
            self._router.stale = True
            self._router.discover(monotonic() + self._timeout)  # the channel may have moved
        if connection is not None:
            _close(connection)
        return None

    def _follow(self, connection: Any) -> None:
        """Take messages until the connection ends or cannot be trusted."""
        audit_at = monotonic() + self._interval
        while not self._stopped.is_set():
            left = audit_at - monotonic()
            if left > 0 and connection.can_read(left):
                connection._sock.deadline = monotonic() + self._timeout
                self._take(connection.read_response())
            elif left <= 0:
                if not self._audit():
                    return
                audit_at = monotonic() + self._interval

    def _take(self, message: Any) -> None:
        if not isinstance(message, list) or message[0] not in {b"message", b"smessage"}:
            raise ConnectionError("unsubscribed")
        number, _, data = message[2].partition(b":")
        before, self._seen = self._seen, int(number)
        try:
            news = _decode(data)
        except msgspec.MsgspecError:
            news = UNKNOWN
        if before is not None and self._seen != before + 1:
            self.gaps += 1
            news = UNKNOWN
        self.received += 1
        if news.origin != self.origin:
            self._listen(news)

    def _audit(self, *, joined: bool = False) -> bool:
        """Hold what came against the counter; False when that cannot be read."""
        if self._owed:
            self._owed = False
            self._owed, news = False, UNKNOWN._replace(origin=self.origin)
            if not run(self._router, self._saying(news), monotonic() + self._timeout):
                self._owed = True
        if self._router.problems:
            self._router.discover(monotonic() + self._timeout)  # they may have gone
        get = Ask(self._slot, (b"GET", self._counter))
        (reply,) = ask(self._router, [get], monotonic() + self._timeout)
        if reply is UNAVAILABLE or refused(reply):
            return False
        counted = int(reply or 0)
        if self._seen is None:
            self._seen = counted
        elif joined:
            if counted != self._seen:  # something was said while nobody listened here
                self._lost(counted)
        elif counted < self._seen or self._expected > self._seen:
            self._lost(counted)
        self._expected = counted
        self._certain_until = monotonic() + 2 * self._interval
        return True

    def _lost(self, counted: int) -> None:
        self.gaps += 1
        self._seen = counted
        self._listen(UNKNOWN)

    def _doubt(self) -> None:
        """Without a connection nothing is certain for longer than two intervals."""
        if monotonic() > self._certain_until:
            self._certain_until = monotonic() + 2 * self._interval
            self._listen(UNKNOWN)


def _close(connection: Any) -> None:
    try:
        connection.disconnect()
    except Exception:
        pass
