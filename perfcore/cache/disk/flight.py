"""Single flight: of all threads and processes that miss on a key at once, one computes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock, get_ident
from time import monotonic, sleep
from typing import Any, TypeVar

__all__ = ["MISSING", "Flights"]

_T = TypeVar("_T")

#: How long to wait for another process before computing as well, in seconds: two that compute for each
#: other in a circle would wait for ever, and no process can see that.
_LEASE = 60.0
_SHORTEST_POLL, _LONGEST_POLL = 0.001, 0.05
#: What stands for no value.
MISSING: Any = object()


class _Flight:
    def __init__(self) -> None:
        self.leader = get_ident()
        self.landed = Event()
        self.value: Any = MISSING


class Flights:
    """The computations under way for one directory. Between processes they are locks on bytes of a file."""

    def __init__(self, directory: Path | None) -> None:
        """Without a ``directory`` the threads of this process are all there are."""
        self._path = None if directory is None else directory / "flights.lock"
        self._file: int | None = None
        self._lock = Lock()
        self._flights: dict[bytes, _Flight] = {}
        self._waiting: dict[int, _Flight] = {}

    def run(self, name: bytes, look: Callable[[], Any], compute: Callable[[], _T]) -> _T:
        """Return what ``look`` finds under ``name``, or else what ``compute`` returns and stores.

        ``look`` returns :data:`MISSING` when there is nothing. An exception of ``compute`` reaches only the
        caller that ran it; the next one tries again.
        """
        while True:
            with self._lock:
                flight = self._flights.get(name)
                if flight is None:
                    own = self._flights[name] = _Flight()
                    break
                circular = self._circular(flight)
                if not circular:
                    self._waiting[get_ident()] = flight
            if circular:
                return compute()
            found: _T = self._wait(flight, look)
            if found is not MISSING:
                return found
        try:
            value = self._lead(int.from_bytes(name[-7:], "big"), look, compute)
            own.value = value
            return value
        finally:
            self._flights.pop(name, None)  # gone already if compute() has forked and this is the child
            own.landed.set()

    def forked(self) -> None:
        """In a forked child: the flights are those of the parent's threads."""
        self._lock = Lock()
        self._flights, self._waiting = {}, {}

    def close(self) -> None:
        """Close the lock file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _wait(self, flight: _Flight, look: Callable[[], Any]) -> Any:
        flight.landed.wait()
        self._waiting.pop(get_ident(), None)
        found = look()
        return (
            flight.value if found is MISSING else found
        )  # computed, but too large to keep, or expired already

    def _circular(self, flight: _Flight | None) -> bool:
        """Say whether waiting for ``flight`` would be waiting for oneself."""
        while flight is not None:
            if flight.leader == get_ident():
                return True
            flight = self._waiting.get(flight.leader)
        return False

    def _lead(self, place: int, look: Callable[[], Any], compute: Callable[[], _T]) -> _T:
        limit, pause = monotonic() + _LEASE, _SHORTEST_POLL
        while not (held := self._hold(place)) and monotonic() < limit:
            sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)
        try:
            found: _T = look()  # another process may have been faster
            return compute() if found is MISSING else found
        finally:
            if held:
                self._let_go(place)

    def _hold(self, place: int) -> bool:
        """Take the byte at ``place``; also True where there is no file to take it in."""
        if self._path is None:
            return True
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return self._file is None
        except OSError:
            return True
        return True

    def _let_go(self, place: int) -> None:
        file = self._file
        if file is not None:
            try:
                fcntl.lockf(file, fcntl.LOCK_UN, 1, place)
            except OSError:  # closed meanwhile, which has let go of it too
                pass
