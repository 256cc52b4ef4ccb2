"""What a series does at each time of the day, or of the week: a profile learnt one sample at a time."""

from __future__ import annotations

from array import array
from typing import Final

__all__ = ["DAY", "HOUR", "QUARTER", "WEEK", "Season"]

QUARTER: Final = 900.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0
WEEK: Final = 7 * DAY

#: A bin speaks once it was visited on three days (or weeks): two may agree by chance.
_VISITS = 3
#: Weight of the newest visit once there are many: a profile follows a change of habits within about a week of
#: days.
_RATE = 0.2
#: How fast the two variances that are compared forget, in samples; the middle one of the detector's memories.
_SHARE_RATE = 1 / 1000


class Season:
    """The mean of a series by the time of a period, and how much of its variance that explains.

    ``period`` and ``width``, the time that one mean stands for, are seconds. A mean is of the visits to its
    time, each counted once however many samples it had, so a change of the sampling rate does not matter.
    There is no line drawn from one mean to the next: what recurs in services begins and ends by the clock.

    >>> season = Season(DAY, QUARTER)
    >>> for hour in range(24 * 5):
    ...     season.learn(100.0 if hour % 24 == 9 else 10.0, hour * 3600.0)
    >>> season.expected((24 * 5 + 9) * 3600.0 + 600)
    100.0
    """

    def __init__(self, period: float, width: float) -> None:
        self._width = width
        self._bins = round(period / width)
        self._means = array("d", bytes(8 * self._bins))
        self._visits = array("Q", bytes(8 * self._bins))
        self._here = -1
        self._sum, self._count = 0.0, 0
        self._level, self._total, self._unexplained = 0.0, 0.0, 0.0
        self._judged = 0

    def expected(self, timestamp: float) -> float | None:
        """Return the usual value at a Unix time in seconds, or None while too little is known."""
        here = self._bin(timestamp)
        return self._means[here] if self._visits[here] >= _VISITS else None

    def _bin(self, timestamp: float) -> int:
        return int(timestamp // self._width) % self._bins

    @property
    def unexplained(self) -> float:
        """The share of the variance that the profile leaves; 1.0 while nothing is known."""
        return self._unexplained / self._total if self._judged >= self._bins and self._total > 0 else 1.0

    def learn(self, value: float, timestamp: float) -> None:
        """Take in a sample."""
        self._judge(value, self.expected(timestamp))
        here = self._bin(timestamp)
        if here != self._here:
            self._fold()
            self._here = here
        self._sum += value
        self._count += 1

    def _fold(self) -> None:
        """End a visit: its mean becomes part of the profile."""
        if self._count:
            here, mean = self._here, self._sum / self._count
            self._visits[here] += 1
            self._means[here] += max(1 / self._visits[here], _RATE) * (mean - self._means[here])
        self._sum, self._count = 0.0, 0

    def _judge(self, value: float, expected: float | None) -> None:
        if expected is None:
            return
        self._judged += 1
        rate = max(1 / self._judged, _SHARE_RATE)
        self._level += rate * (value - self._level)
        self._total += rate * ((value - self._level) ** 2 - self._total)
        self._unexplained += rate * ((value - expected) ** 2 - self._unexplained)
