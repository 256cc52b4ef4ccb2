"""The way to a directory's environment: opening it safely, doing without it, and trying again."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import lmdb

from perfcore._log import logger
from perfcore.cache.disk import recovery
from perfcore.cache.disk.environment import Environment
from perfcore.cache.disk.faults import DAMAGE, LOW_LEVEL
from perfcore.cache.disk.gate import Gate
from perfcore.cache.disk.ledger import FORMAT, Ledger
from perfcore.cache.disk.membership import Membership
from perfcore.cache.disk.ownership import demand_own

__all__ = ["Connection"]

_log = logger("cache")

#: Pause before the next attempt on a directory that cannot be used: at first, and at most, in seconds.
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
#: The map, and with it the file, is held to this many times the budget; LMDB wants some space in any case.
_MAP_FACTOR, _SMALLEST_MAP = 2, 4 << 20


class Connection:
    """An open environment, or None and when to try again; to be used under the access's lock."""

    def __init__(self, directory: Path, maxbytes: int, *, durable: bool) -> None:
        self.environment: Environment | None = None
        self.ledger: Ledger | None = None
        self.retry_at = 0.0
        self._directory = directory
        self._membership = Membership(directory)
        self._inherited: Environment | None = None
        self._map_size = max(_MAP_FACTOR * maxbytes, _SMALLEST_MAP)
        self._durable = durable
        self._pause = _PAUSE
        self._strikes = 0
        self._writing = False
        self._said: set[str] = set()

    def open(self) -> Environment | None:
        """Return the environment, opening it if it is time to try."""
        if self.environment is None and monotonic() >= self.retry_at:
            try:
                self._connect()
                self._pause = _PAUSE
            except LOW_LEVEL as error:
                self.suspend(error)
        return self.environment

    def about_to_write(self) -> None:
        """Break the seal, once: who only reads leaves the file as it was, even when killed."""
        if not self._writing:
            recovery.break_seal(self._directory)
            self._writing = True

    def suspend(self, error: BaseException) -> None:
        """Do without the disk for a while, longer each time."""
        self._say(f"{self._directory} cannot be used, going on without: {error}")
        self._disconnect()
        self.retry_at = monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def damaged(self, error: BaseException) -> None:
        """Leave a file that contradicts itself; put it aside when that is confirmed, or happens again.

        Only when no other process has it mapped: the others will find the damage too, and the last one to
        leave puts it aside.
        """
        self._strikes += 1
        self._disconnect()
        try:
            if not self._membership.join():
                self.suspend(error)
                return
            finding = recovery.inspect(self._directory) or (str(error) if self._strikes > 1 else None)
            if finding is not None:
                self._put_aside(finding)
        except OSError as trouble:
            self.suspend(trouble)
        finally:
            self._membership.leave()  # others may come in before we are back: they look for themselves

    def empty(self) -> bool:
        """Throw the file away, if no other process uses it: not a page of it can be written any more.

        Happens when a full disk cuts off the only pages that LMDB could have written to next. Deletes that
        cannot be written must not be undone by what they were meant to delete.
        """
        self._disconnect()
        try:
            if not self._membership.join():
                return False
            self._say(f"{self._directory} is emptied: the disk is full, and not even deletes can be written")
            recovery.remove(self._directory)
            return True
        except OSError as error:
            self.suspend(error)
            return False
        finally:
            self._membership.leave()

    def adjust(self, maxbytes: int, *, durable: bool) -> None:
        """Map enough for ``maxbytes``; if ``durable``, let each commit wait for the disk from now on."""
        self._map_size = max(self._map_size, _MAP_FACTOR * maxbytes)
        environment = self.environment
        if environment is not None and environment.map_size < self._map_size:
            environment.grow(self._map_size)
        if durable and not self._durable:
            self._durable = True
            if environment is not None:
                environment.reopen(durable=True)
                self.ledger = Ledger(environment)

    def compact(self) -> int:
        """Write the file anew without free pages, if no other process uses it; returns the bytes saved."""
        environment = self.open()
        if environment is None or not self._membership.alone():
            return 0
        try:
            self.about_to_write()
            before = environment.file_bytes()
            environment.compact()
            self.ledger = Ledger(environment)
            return before - environment.file_bytes()
        finally:
            self._membership.share()

    def close(self, *, stale: bool) -> None:
        """Close, and seal the file if no other process uses it.

        ``stale`` says that deletes could not be written: then the file goes, or old values would come back.
        """
        environment, self.environment, self.ledger = self.environment, None, None
        self.retry_at = float("inf")
        if environment is not None:
            environment.close()
        try:
            if (environment is not None or stale) and self._membership.join():
                if stale:
                    recovery.remove(self._directory)
                else:
                    recovery.seal(self._directory)
        except OSError:  # without a seal the next user looks the file over
            pass
        self._membership.leave()

    def forked(self) -> None:
        """In a forked child: forget the parent's environment; the next :meth:`open` makes the child's own."""
        if self.environment is not None:
            self.environment.gate = Gate()
            self._inherited = self.environment
        self.environment = self.ledger = None
        self._membership.leave()

    def _connect(self) -> None:
        self._writing = False
        if self._inherited is not None:  # only now: a child that never asks need not close anything
            self._inherited.close()
            self._inherited = None
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        demand_own(self._directory)
        alone = self._membership.join()
        try:
            if alone:
                self._examine()
            self.environment = self._map(alone)
            self.ledger = Ledger(self.environment)
        except BaseException:
            self._membership.leave()
            raise
        self._membership.share()

    def _disconnect(self) -> None:
        if self.environment is not None:
            self.environment.close()
        self.environment = self.ledger = None
        self._membership.leave()

    def _examine(self) -> None:
        finding = recovery.inspect(self._directory)
        if finding is not None:
            self._put_aside(finding)

    def _map(self, alone: bool) -> Environment:
        try:
            return self._open_environment()
        except DAMAGE as error:
            if not alone:
                raise
            self._put_aside(str(error))
            return self._open_environment()

    def _open_environment(self) -> Environment:
        environment = Environment(self._directory, self._map_size, durable=self._durable)
        try:
            environment.drop_dead_readers()
            ledger = Ledger(environment)
            with environment.reading() as txn:
                found, new = ledger.format(txn), ledger.used_bytes(txn) == 0
            if new:
                with environment.writing() as txn:
                    ledger.stamp(txn)
            elif found != FORMAT:
                raise lmdb.VersionMismatchError("written by another program or version")
        except BaseException:
            environment.close()
            raise
        return environment

    def _put_aside(self, finding: str) -> None:
        self._say(f"{self._directory} is put aside as damaged, starting empty: {finding}")
        recovery.put_aside(self._directory)

    def _say(self, message: str) -> None:
        if message not in self._said:  # one line once for what repeats
            self._said.add(message)
            _log.warning("disk cache: %s", message)
