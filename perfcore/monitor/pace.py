"""One thread that calls several functions, each at its own interval."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread, current_thread
from time import monotonic

__all__ = ["Pace"]

#: Seconds after which a thread with nothing to do looks again; waits of any length are not possible.
_LONGEST = 60.0


class _Beat:
    def __init__(self, interval: float, call: Callable[[float], object], due: float) -> None:
        self.interval, self.call, self.due = interval, call, due


class Pace:
    """Calls functions with the monotonic time, each every so many seconds, in one daemon thread.

    What is due together is called together, in the order of :meth:`every`, so that the thread wakes seldom. A
    call that comes late, because another one took long or the process was stopped, is made once and not for
    each interval that has passed. Functions see to it that they raise nothing.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._beats: list[_Beat] = []
        self.forked()

    def forked(self) -> None:
        """Forget the thread, which a forked child has not got; what to call is kept."""
        self._changed = Event()
        self._thread: Thread | None = None

    def every(self, interval: float, call: Callable[[float], object]) -> None:
        """Call ``call`` from now on; the first time at once."""
        self._beats = [*self._beats, _Beat(interval, call, monotonic())]
        self._changed.set()

    def start(self) -> None:
        """Start a thread; one that was stopped and is still busy ends after that."""
        for beat in self._beats:
            beat.due = monotonic()
        self._thread = Thread(target=self._run, name=f"perfcore-{self._name}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End the thread; False if it was still busy after ``timeout`` seconds."""
        thread, self._thread = self._thread, None
        self._changed.set()
        if thread is None or thread is current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _run(self) -> None:
        while self._thread is current_thread():
            self._call_due(monotonic())
            due = min((beat.due for beat in self._beats), default=float("inf"))
            self._changed.wait(min(_LONGEST, max(0.0, due - monotonic())))
            self._changed.clear()

    def _call_due(self, now: float) -> None:
        for beat in self._beats:
            if beat.due <= now and self._thread is current_thread():
                beat.due += beat.interval
                if beat.due <= now:  # more than an interval late
                    beat.due = now + beat.interval
                beat.call(monotonic())
