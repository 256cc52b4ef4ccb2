"""The optimizer's own thread: a look at memory each second, and all that it does at longer intervals."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread, current_thread
from time import monotonic, perf_counter

from perfcore._log import logger

__all__ = ["Rounds"]

log = logger("memory")

#: A look costs less than a millisecond; memory fills up within seconds.
_LOOK = 1.0


class Rounds:
    """Calls ``look`` each second, or oftener where rounds are, and ``work`` every ``interval`` seconds.

    After one that took long the next one waits until it was no more than ``share`` of the time. What they
    raise is logged, once for each type.
    """

    def __init__(
        self, interval: float, share: float, look: Callable[[], object], work: Callable[[], object]
    ) -> None:
        if not interval > 0:
            raise ValueError(f"interval must be positive, got {interval}")
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share}")
        self.interval, self._share = interval, share
        self._look, self._work = look, work
        self._complained: set[type] = set()
        self.forked()

    def forked(self) -> None:
        """Be stopped in a forked child, which has not got the thread."""
        self._ended = Event()
        self._thread: Thread | None = None

    @property
    def running(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    def start(self) -> None:
        """Begin; the first round is after one interval."""
        if self._thread is None:
            self._ended = Event()
            self._thread = Thread(target=self._run, args=(self._ended,), name="perfcore-memory", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """End; False when the thread was still busy after ``timeout`` seconds, and ends after that."""
        thread, self._thread = self._thread, None
        self._ended.set()
        if thread is None or thread is current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _run(self, ended: Event) -> None:
        often = min(_LOOK, self.interval)
        due, pause = monotonic() + self.interval, often
        while not ended.wait(max(0.0, min(pause, due - monotonic()))):
            if monotonic() < due:
                pause = max(often, self._call(self._look) / self._share)
            else:
                due = monotonic() + max(self.interval, self._call(self._work) / self._share)

    def _call(self, call: Callable[[], object]) -> float:
        start = perf_counter()
        try:
            call()
        except Exception as error:
            if type(error) not in self._complained:
                self._complained.add(type(error))
                log.warning("looking after memory failed (said once)", exc_info=error)
        return perf_counter() - start
