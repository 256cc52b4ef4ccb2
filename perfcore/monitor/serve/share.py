"""A thread's share of the processor, so that whoever asks too often slows down nobody but those who ask."""

from __future__ import annotations

from time import monotonic, sleep, thread_time

__all__ = ["Share"]


class Share:
    """Keeps the thread that calls :meth:`pause` below ``share`` of one core, over each ``window`` of seconds.

    One piece of work may be longer than that; the thread rests after it.
    """

    def __init__(self, share: float = 0.25, window: float = 0.1) -> None:
        self._share, self._window = share, window
        self._begun, self._used = monotonic(), thread_time()

    def pause(self) -> None:
        """Sleep if the share is used up; to be called between two pieces of work, by one thread."""
        now, used = monotonic(), thread_time()
        rest = (used - self._used) / self._share - (now - self._begun)
        if now - self._begun < self._window and rest <= self._window:
            return
        if rest > 0:
            sleep(min(rest, 1.0))
        self._begun, self._used = monotonic(), thread_time()
