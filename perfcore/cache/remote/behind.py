"""Writing behind: what is stored on servers after its caller has gone on, bounded, in order, read at once.

There is one thread, while there is something to write, and one write of a key under way at a time: the last
one set is the last one stored. What is waiting is read from here. When there is too much, the oldest values
are dropped, which means that their keys are removed from the servers; and when there are too many of those,
everything there ends.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable
from itertools import islice
from threading import Condition, Thread
from time import monotonic
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from perfcore._log import logger

__all__ = ["Batch", "Behind", "Write", "merged"]

#: Values that wait, their bytes, and names whose values were dropped, before there is too much.
_MOST, _MOST_BYTES, _MOST_DROPPED = 10_000, 64 << 20, 100_000
#: What is written at once: few enough that it is done within the timeout of one call.
_BATCH, _BATCH_BYTES = 256, 1 << 20
#: For how many seconds the thread waits for more before it ends, and the process for it at its end.
_IDLE: Final = 5.0
_FAREWELL: Final = 5.0


class Write(NamedTuple):
    """A prepared value on its way; ``prepared`` is None for one that is too large for a server.

    ``own`` is the name under which others depend on the key, which moves when the value is there.
    """

    key: bytes
    own: bytes
    prepared: tuple[int, bytes] | None
    ttl: float | None
    since: float

    @property
    def size(self) -> int:
        """Its bytes, as far as they matter."""
        return len(self.key) + (len(self.prepared[1]) if self.prepared is not None else 0)


class Batch(NamedTuple):
    """What is written next: values, keys whose values were dropped; ``too_many``: everything ends before."""

    writes: list[Write]
    dropped: list[bytes]
    too_many: bool

    @property
    def keys(self) -> list[bytes]:
        """All keys that it changes."""
        return [*(write.key for write in self.writes), *self.dropped]


class Behind:
    """What waits to be written. ``store`` writes a batch, ``tell`` tells others of its keys.

    >>> stored = []
    >>> behind = Behind(lambda batch: stored.extend(batch.writes), lambda batch: None, lambda keys: None)
    >>> behind.put([Write(b"key", b"own", (0, b"value"), None, 0.0)])
    >>> behind.flush(), stored[0].key, behind.get(b"key")
    (True, b'key', None)
    """

    def __init__(
        self,
        store: Callable[[Batch], object],
        tell: Callable[[Batch], object],
        remove_later: Callable[[list[bytes]], object],
    ) -> None:
        self._store, self._tell, self._remove_later = store, tell, remove_later
        #: Values that were dropped because too much was waiting.
        self.dropped = 0
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        """Nothing waits: at first, and in a forked child, whose parent writes what does."""
        self._pending: dict[bytes, Write] = {}
        #: Keys whose values were dropped, and their own names.
        self._gone: dict[bytes, bytes] = {}
        #: Names that have not moved yet, of keys that wait or are under way.
        self._unmoved: set[bytes] = set()
        #: Under way; None for those that others have changed meanwhile, so that the server has to be asked.
        self._flying: dict[bytes, Write | bool | None] = {}
        self._overtaken: set[bytes] = set()
        self._bytes = 0
        self._moving: set[bytes] = set()
        self._too_many = self._busy = False
        self._changed = Condition()
        self._thread: Thread | None = None

    def __len__(self) -> int:
        return len(self._pending) + len(self._gone) + len(self._flying)

    # -- for callers --

    def put(self, writes: Iterable[Write]) -> None:
        """Have ``writes`` stored soon."""
        with self._changed:
            for write in writes:
                self._forget(write.key)
                self._pending[write.key] = write
                self._unmoved.add(write.own)
                self._bytes += write.size
            while len(self._pending) > 1 and (self._bytes > _MOST_BYTES or len(self._pending) > _MOST):
                self._drop_oldest()
            begin = self._begin()
            self._changed.notify_all()
        if not begin:  # no thread can be had: the interpreter ends
            self._work_off()

    def get(self, key: bytes) -> Write | bool | None:
        """Return what is waiting for ``key``, False if it is to be removed, None if nothing is known here."""
        write = self._pending.get(key)
        if write is not None:
            return write
        return False if key in self._gone else self._flying.get(key)

    def settle(self, keys: Iterable[bytes] | None, deadline: float) -> bool:
        """Forget what waits for ``keys`` (None: everything), and wait for what is on its way.

        What cannot be waited for until the ``deadline`` is removed when it has arrived, and this is False.
        """
        keys = None if keys is None else list(keys)
        with self._changed:
            self._forget_all(keys)
            landed = self._changed.wait_for(
                lambda: not self.is_flying(keys), max(0.0, deadline - monotonic())
            )
            if not landed:
                self._overtaken.update(self._flying if keys is None else self._flying.keys() & set(keys))
        return landed

    def forget(self, keys: Iterable[bytes] | None) -> bool:
        """:meth:`settle` without waiting; say whether something is on its way, which is to be waited for."""
        keys = None if keys is None else list(keys)
        with self._changed:
            self._forget_all(keys)
            return self.is_flying(keys)

    def is_flying(self, keys: list[bytes] | None) -> bool:
        """Say whether one of ``keys`` is under way."""
        return bool(self._flying) and (keys is None or any(key in self._flying for key in keys))

    def is_unsure(self, keys: Iterable[bytes]) -> bool:
        """Say whether others have changed one of ``keys`` that is under way."""
        flying = self._flying
        return bool(flying) and any(flying.get(key, True) is None for key in keys)

    def land(self, keys: list[bytes], deadline: float) -> None:
        """Wait until none of ``keys`` :meth:`is_unsure`, or for the ``deadline``; then ask the server."""
        if self.is_unsure(keys):
            with self._changed:
                self._changed.wait_for(lambda: not self.is_unsure(keys), max(0.0, deadline - monotonic()))

    def unmoved(self, names: Iterable[bytes]) -> bool:
        """Say whether one of ``names`` is of a key that is still to be written."""
        return bool(self._unmoved) and not self._unmoved.isdisjoint(names)

    def wait(self, names: Iterable[bytes], deadline: float) -> None:
        """Wait until none of ``names`` is :meth:`unmoved`, or for the ``deadline``."""
        with self._changed:
            self._changed.wait_for(lambda: not self.unmoved(names), max(0.0, deadline - monotonic()))

    def others(self, keys: Iterable[bytes] | None) -> None:
        """Note that others have changed ``keys`` (None: all): whose write came last only the server knows."""
        if self._flying:
            with self._changed:
                for key in list(self._flying) if keys is None else keys:
                    if key in self._flying:
                        self._flying[key] = None

    def flush(self, limit: float | None = None) -> bool:
        """Wait until all that waits now is written, or ``limit`` seconds are over; say whether it is."""
        with self._changed:
            begun = self._begin()
        if not begun:
            self._work_off()
        with self._changed:
            return self._changed.wait_for(lambda: not (len(self) or self._busy or self._too_many), limit)

    # -- under the lock --

    def _forget_all(self, keys: list[bytes] | None) -> None:
        if keys is None:
            self._pending.clear()
            self._gone.clear()
            self._unmoved.clear()
            self._bytes = 0
        else:
            for key in keys:
                self._forget(key)

    def _forget(self, key: bytes) -> None:
        write = self._pending.pop(key, None)
        if write is not None:
            self._bytes -= write.size
        elif self._gone:
            self._gone.pop(key, None)

    def _drop_oldest(self) -> None:
        key, write = next(iter(self._pending.items()))
        self._forget(key)
        self._gone[key] = write.own
        self.dropped += 1
        if len(self._gone) > _MOST_DROPPED:
            self._gone.clear()
            self._too_many = True

    def _begin(self) -> bool:
        """See to it that there is a thread while something waits; False when none can be had."""
        if self._thread is None and (self._pending or self._gone or self._too_many):
            thread = Thread(target=self._run, name="perfcore-behind", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:
                self._thread = None
                return False
        return True

    # -- the thread --

    def _run(self) -> None:
        while (batch := self._next(_IDLE)) is not None:
            self._write(batch)

    def _work_off(self) -> None:
        while (batch := self._next(0)) is not None:
            self._write(batch)

    def _next(self, patience: float) -> Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._gone or self._too_many, patience)
            if not (self._pending or self._gone or self._too_many):
                self._thread = None
                return None
            size, keys = 0, []
            for key, write in self._pending.items():
                keys.append(key)
                size += write.size
                if len(keys) == _BATCH or size > _BATCH_BYTES:
                    break
            dropped = list(islice(self._gone, _BATCH))
            writes = [self._pending[key] for key in keys]
            self._flying.update(zip(keys, writes, strict=True))  # before they go: readers take no lock
            for key in keys:
                self._forget(key)
            self._flying.update(dict.fromkeys(dropped, False))
            self._moving = {write.own for write in writes} | {self._gone.pop(key) for key in dropped}
            batch, self._too_many, self._busy = Batch(writes, dropped, self._too_many), False, True
            return batch

    def _write(self, batch: Batch) -> None:
        try:
            self._store(batch)
        except Exception as error:
            logger("cache").warning("remote tier: writing behind failed with %s", type(error).__name__)
        finally:
            with self._changed:
                late, self._overtaken = list(self._overtaken), set()
                self._flying.clear()
                self._changed.notify_all()
        try:
            if late:  # removed while they were on their way
                self._remove_later(late)
            self._tell(batch)
        except Exception as error:
            logger("cache").warning("remote tier: telling others failed with %s", type(error).__name__)
        finally:
            with self._changed:
                self._busy = False
                waiting = {write.own for write in self._pending.values()} if self._pending else set()
                self._unmoved -= self._moving - waiting
                self._changed.notify_all()


def merged(waiting: list[tuple[bool, Any]], asked: Iterable[Any]) -> list[Any]:
    """Return what was known to be waiting, and between it what servers have answered."""
    answers = iter(asked)
    return [found if known else next(answers) for known, found in waiting]


_all: WeakSet[Behind] = WeakSet()


def _forked() -> None:
    for behind in list(_all):
        behind._reset()


def _farewell() -> None:
    """The process ends: what was set must not be missing, nor an older value stay."""
    end = monotonic() + _FAREWELL
    for behind in list(_all):
        behind.flush(max(0.0, end - monotonic()))


os.register_at_fork(after_in_child=_forked)
atexit.register(_farewell)
