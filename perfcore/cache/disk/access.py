"""Reading and writing through a connection that may fail: what can be coped with is, the rest is a miss.

No exception of LMDB or of the operating system leaves this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import TypeVar

import lmdb

from perfcore._log import logger
from perfcore.cache.disk.budget import NOTHING, Budget
from perfcore.cache.disk.connection import Connection
from perfcore.cache.disk.counters import Counters
from perfcore.cache.disk.environment import Environment
from perfcore.cache.disk.faults import DAMAGE, LOW_LEVEL, Unavailable, disk_full
from perfcore.cache.disk.ledger import Ledger, Txn
from perfcore.metrics.instrument import note

__all__ = ["Access"]

_log = logger("cache")
_T = TypeVar("_T")


_ATTEMPTS = 6
#: When there is no room to write in, evictions are committed in steps of so many bytes, or so many steps.
_STEP, _STEPS = 32 << 10, 32
#: Pause in writing after a full disk could not be coped with, in seconds.
_FULL_PAUSE = 2.0


class Access:
    """All use of one directory's environment in this process."""

    def __init__(self, connection: Connection, budget: Budget, counters: Counters) -> None:
        self.lock = Lock()
        self.connection = connection
        self.budget = budget
        #: True when more was deleted and replaced without the disk than could be remembered: all on it is
        #: stale.
        self.stale = False
        self._counters = counters
        self._full_until = 0.0
        self._told_full = False

    @property
    def retry_in(self) -> float:
        """Seconds until writing may be tried again, 0 when it may now."""
        return max(0.0, max(self._full_until, self.connection.retry_at) - monotonic())

    def get(self, name: bytes) -> bytes | None:
        """Return the entry that ``name`` leads to, or None when there is none or it cannot be had."""
        environment = self.connection.environment
        if environment is not None and not self.stale:
            try:
                entry = environment.get(name)
                if entry is not None:
                    note("disk.read_bytes", len(entry))
                return entry
            except LOW_LEVEL as error:
                self._cope_reading(error, environment)
        return self.read(lambda txn, ledger: ledger.copy(txn, name), None)

    def read(self, action: Callable[[Txn, Ledger], _T], otherwise: _T) -> _T:
        """Return what ``action`` finds, or ``otherwise`` when the disk cannot be had."""
        for _ in range(2):
            environment, ledger = self._connected()
            if environment is None or ledger is None or self.stale:
                return otherwise
            try:
                with environment.reading() as txn:
                    return action(txn, ledger)
            except LOW_LEVEL as error:
                self._cope_reading(error, environment)
        return otherwise

    def write(self, action: Callable[[Txn, Ledger], _T], size: int = 0) -> _T:
        """Return what ``action`` does in a write transaction, committed when this returns.

        ``size`` is about how many bytes of entries it adds. ``action`` may be called again after a fault.
        Raises :exc:`Unavailable` when the disk cannot be had; then nothing was changed.
        """
        with self.lock:
            for attempt in range(_ATTEMPTS):
                environment = None if self.retry_in else self.connection.open()
                ledger = self.connection.ledger
                if environment is None or ledger is None:
                    break
                try:
                    result = self._transaction(environment, ledger, action, size)
                except LOW_LEVEL as error:
                    if not self._cope_writing(error, environment, ledger, size, attempt):
                        break
                else:
                    return result
        raise Unavailable

    def adjust(self, maxbytes: int, *, durable: bool) -> None:
        """Allow for a budget of ``maxbytes``, and for commits that wait for the disk if ``durable``."""
        with self.lock:
            try:
                self.connection.adjust(maxbytes, durable=durable)
            except LOW_LEVEL as error:
                self.connection.suspend(error)

    def condemn(self, finding: Exception) -> None:
        """Leave a file that was found to be unsound."""
        with self.lock:
            self._counters.errors += 1
            self.connection.damaged(finding)

    def compact(self) -> int:
        """Write the file anew without its free pages; returns how many bytes that gave back."""
        with self.lock:
            try:
                return self.connection.compact()
            except LOW_LEVEL as error:
                self._counters.errors += 1
                self.connection.suspend(error)
                return 0

    def drop_dead_readers(self) -> None:
        """Free the slots of readers that died: they keep freed pages from being used."""
        environment = self.connection.environment
        if environment is not None:
            try:
                environment.drop_dead_readers()
            except LOW_LEVEL:
                self._counters.errors += 1

    @contextmanager
    def quiet(self, timeout: float) -> Iterator[None]:
        """A block without open transactions, unless a thread is stuck in one for ``timeout`` seconds."""
        lock, environment = self.lock, self.connection.environment
        held = lock.acquire(timeout=timeout)
        try:
            if environment is None:
                yield
                return
            with environment.gate.closed(timeout) as empty:
                if held and empty:
                    environment.give_up_spare()
                yield
        finally:
            if held:
                lock.release()

    def forked(self) -> None:
        """In a forked child: take new locks and leave the parent's environment alone."""
        self.lock = Lock()
        self.connection.forked()

    def _transaction(
        self, environment: Environment, ledger: Ledger, action: Callable[[Txn, Ledger], _T], size: int
    ) -> _T:
        self.connection.about_to_write()
        with environment.writing() as txn:
            room = None if self.budget.cramped else self.budget.limit - environment.reserve(size)
            if self.stale:
                ledger.clear(txn)
            result = action(txn, ledger)
            evicted = NOTHING if room is not None and room > 0 else self.budget.enforce(txn, ledger)
        self.stale = False
        self._counters.evictions += evicted.evictions
        self._counters.expirations += evicted.expirations
        return result

    def _connected(self) -> tuple[Environment | None, Ledger | None]:
        connection = self.connection
        if connection.environment is None and monotonic() >= connection.retry_at:
            with self.lock:
                connection.open()
        return connection.environment, connection.ledger

    def _cope_reading(self, error: BaseException, environment: Environment) -> None:
        if isinstance(error, lmdb.ReadersFullError):
            self._counters.errors += 1
            environment.drop_dead_readers()
            return
        with self.lock:
            if self.connection.environment is not environment:
                return  # closed or replaced by another thread meanwhile
            if isinstance(error, lmdb.MapResizedError):
                environment.adopt()
                return
            self._counters.errors += 1
            if isinstance(error, DAMAGE):
                self.connection.damaged(error)
            else:
                self.connection.suspend(error)

    def _cope_writing(
        self, error: BaseException, environment: Environment, ledger: Ledger, size: int, attempt: int
    ) -> bool:
        """Do something about ``error``; True if another attempt may succeed."""
        try:
            if isinstance(error, lmdb.MapResizedError):
                environment.adopt()
                return True
            if isinstance(error, lmdb.MapFullError):
                return self._map_full(environment, ledger, size, attempt)
            self._counters.errors += 1
            if disk_full(error):
                return self._disk_full(environment, ledger, size, attempt)
        except LOW_LEVEL as trouble:
            error = trouble
        if isinstance(error, DAMAGE):
            self.connection.damaged(error)
            return attempt < 2  # the second time the file is put aside, whatever its structure
        if not disk_full(error):
            self.connection.suspend(error)
        elif attempt < _ATTEMPTS - 1 and self.connection.empty():
            return True
        else:
            self._full_until = monotonic() + _FULL_PAUSE
        return False

    def _map_full(self, environment: Environment, ledger: Ledger, size: int, attempt: int) -> bool:
        """The file has reached its limit with fragments, or with pages that some reader still holds."""
        try:
            if attempt < 2:
                self._squeeze(environment, ledger, size)
                return True
        except (
            lmdb.MapFullError
        ):  # a reader holds all that was freed: not even a delete finds a page to copy to
            pass
        environment.grow(environment.map_size * 3 // 2)
        return attempt < _ATTEMPTS - 1

    def _disk_full(self, environment: Environment, ledger: Ledger, size: int, attempt: int) -> bool:
        """Do with the room there is for a while, and make some for this transaction if it needs it."""
        if not self._told_full:
            self._told_full = True
            _log.warning("disk cache: the disk is full, doing with the room there is")
        self.budget.cramp(environment.file_bytes())
        if attempt:
            self._squeeze(environment, ledger, size)
        return attempt < 3 or self.connection.empty()

    def _squeeze(self, environment: Environment, ledger: Ledger, size: int) -> None:
        """Evict a tenth, or twice ``size``, in steps: what one frees, the next but one can use."""
        with environment.reading() as txn:
            used = ledger.used_bytes(txn)
        goal = max(0, used - max(used // 10, 2 * size))
        step = max(_STEP, (used - goal) // _STEPS)
        while used > goal:
            used -= step
            with environment.writing() as txn:
                evicted = self.budget.shrink(txn, ledger, max(used, goal))
                ledger.stamp(txn)  # something has to be written for it to count as one
            self._counters.evictions += evicted.evictions
            self._counters.expirations += evicted.expirations
