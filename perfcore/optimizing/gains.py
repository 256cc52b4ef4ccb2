"""What was measured of calls, and what each measure taken has gained."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from statistics import median
from threading import Lock
from typing import NamedTuple

__all__ = ["Gain", "Meter"]

#: Different arguments that are remembered to see which come again.
_REMEMBERED = 4096
#: Latest calls that :attr:`Meter.typical` is of.
_LATEST = 31


class Gain(NamedTuple):
    """One measure: whether it is in use, why, and the mean seconds a call takes without and with it.

    ``before`` and ``after`` are None where nothing was measured yet.
    """

    measure: str
    applied: bool
    reason: str
    before: float | None = None
    after: float | None = None

    @property
    def factor(self) -> float | None:
        """How many times as fast a call is with it; None where that is not known."""
        return self.before / self.after if self.before and self.after else None


class Meter:
    """Times calls of the function itself, and counts those whose arguments were seen before. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: set[Hashable] = set()
        self.calls = self.repeats = 0
        self.seconds = 0.0
        self._latest: deque[float] = deque(maxlen=_LATEST)

    def note(self, key: Hashable | None, seconds: float) -> int:
        """Note a call that took ``seconds``; ``key`` None: its arguments cannot be one. Returns the count."""
        with self._lock:
            self.calls += 1
            self.seconds += seconds
            self._latest.append(seconds)
            if key is not None:
                self.repeats += key in self._seen
                if len(self._seen) < _REMEMBERED:
                    self._seen.add(key)
            return self.calls

    @property
    def mean(self) -> float | None:
        """The mean seconds of a call; None before the first."""
        return self.seconds / self.calls if self.calls else None

    @property
    def typical(self) -> float | None:
        """The median seconds of the latest calls, which one call that had to wait does not move."""
        with self._lock:
            return median(self._latest) if self._latest else None

    @property
    def repeated(self) -> float:
        """The share of calls whose arguments were seen before."""
        return self.repeats / self.calls if self.calls else 0.0
