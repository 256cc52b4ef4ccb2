"""The background writer: one thread per directory and process that commits what has been put since."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock, Thread, current_thread

from perfcore._log import logger

__all__ = ["Writer"]

_log = logger("cache")

#: After waking, the writer waits this long for more to write: a commit of one entry costs as much as one of
#: fifty. Half of the 50 ms in which other processes see a put are left for the commit itself.
_LINGER = 0.02


class Writer:
    """Calls ``work`` soon after each :meth:`wake`, and again after the seconds it returns.

    ``started`` is called when there is a thread whose work must not be lost at exit.
    """

    def __init__(self, work: Callable[[], float | None], started: Callable[[], None]) -> None:
        self._work = work
        self._started = started
        self._awake = Event()
        self._ended = Event()
        self._starting = Lock()
        self._thread: Thread | None = None

    def wake(self) -> bool:
        """Have the work done; False if no thread can be started (any more) and the caller has to do it."""
        if not self._awake.is_set():
            self._awake.set()
        return self._thread is not None or self._start()

    def stop(self) -> None:
        """End the thread, after the work it is at."""
        self._ended.set()
        self._awake.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not current_thread():
            thread.join(timeout=10)

    def _start(self) -> bool:
        with self._starting:
            if self._thread is not None or self._ended.is_set():
                return not self._ended.is_set()
            thread = Thread(target=self._run, name="perfcore-disk-writer", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down, or the system is out of threads
                return False
            self._thread = thread
        self._started()
        return True

    def _run(self) -> None:
        again: float | None = None
        while True:
            self._awake.wait(again)
            self._ended.wait(_LINGER)
            self._awake.clear()
            if self._ended.is_set():  # looked at last: a stop() just before clear() has lost its call to wake
                return
            try:
                again = self._work()
            except Exception:
                _log.exception("disk cache: the writer failed and goes on")
                again = 1.0
