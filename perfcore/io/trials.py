"""Another size of a receiver's buffer, tried in turns with the one it has, and kept only where it pays."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Final, NamedTuple

__all__ = ["Sample", "SizeTrial", "Verdict", "clocks"]

GAIN: Final = 0.1
#: pairs of samples, one with each size
PAIRS: Final = 7
#: what makes a sample
_BYTES: Final = 2 << 20
_CALLS: Final = 2048
_MB: Final = 1 << 20


class Sample(NamedTuple):
    """What a megabyte took: calls, seconds, and seconds of the processor."""

    calls: float
    seconds: float
    processor: float


class Verdict(NamedTuple):
    """Whether the other size stays, why, and the medians before and after it."""

    kept: bool
    reason: str
    before: Sample
    after: Sample


def clocks() -> tuple[float, float]:
    """Return the time, and what this thread has had of the processor."""
    return time.perf_counter(), time.thread_time()


class SizeTrial:
    """Counts what comes, sample by sample, in the thread that receives; nobody else touches the receiver.

    The sizes take turns as in 0 1 1 0, so that what drifts meanwhile counts for neither.
    """

    def __init__(self, sizes: tuple[int, int], meter: Callable[[], tuple[float, float]] = clocks) -> None:
        self.sizes, self._meter = sizes, meter
        self.verdict: Verdict | None = None
        self.samples: list[Sample] = []
        self.thread = 0
        self._pid = os.getpid()
        self._start: tuple[float, float] | None = None
        self._calls = self._bytes = 0

    def size(self) -> int:
        """Return the size for the next call; the trial is over when there is a verdict."""
        if self.verdict is None and len(self.samples) == 2 * PAIRS:
            self.verdict = judge([self.samples[_place(n)] for n in range(2 * PAIRS)])
        if self.verdict is not None:
            return self.sizes[self.verdict.kept]
        if os.getpid() != self._pid:  # a forked child: the samples are the parent's
            self.stop("the process was forked")
            return self.sizes[0]
        return self.sizes[_side(len(self.samples))]

    def begin(self) -> None:
        """Start the clocks if a sample has to begin; before a call."""
        if self.thread != threading.get_ident():
            self.thread, self._start = threading.get_ident(), None
        if self._start is None:
            self._calls = self._bytes = 0
            self._start = self._meter()

    def note(self, count: int) -> None:
        """Count what a call has brought."""
        if self._start is None or self.verdict is not None:
            return
        self._calls += 1
        self._bytes += count
        if self._bytes >= _BYTES or self._calls >= _CALLS:
            now, parts = self._meter(), self._bytes / _MB
            spent = [(after - before) / parts for before, after in zip(self._start, now, strict=True)]
            self.samples.append(Sample(self._calls / parts, *spent))
            self._start = None

    def stop(self, reason: str) -> None:
        """End the trial without a change."""
        if self.verdict is None:
            nothing = Sample(0.0, 0.0, 0.0)
            self.verdict = Verdict(False, reason, nothing, nothing)


def _side(number: int) -> int:
    return (number + number // 2) % 2


def _place(number: int) -> int:
    """Return where the sample stands that is to be at a place of pairs without and with."""
    return number ^ (number // 2 % 2)


def judge(samples: list[Sample]) -> Verdict:
    """Decide by pairs of samples, without and with: a tenth less in nearly all pairs, and nothing worse."""
    before, after = samples[::2], samples[1::2]
    ratios = [
        [b / a if a > 0 else 1.0 for a, b in zip(old, new, strict=True)]
        for old, new in zip(zip(*before, strict=True), zip(*after, strict=True), strict=True)
    ]
    less = [median(r) <= 1 - GAIN and sum(x < 1 for x in r) >= PAIRS - 1 for r in ratios]
    worse = [median(r) > 1 + GAIN / 2 for r in ratios]
    kept = any(less) and not worse[1] and not worse[2]
    middle = [Sample(*map(median, zip(*side, strict=True))) for side in (before, after)]
    old, new = middle
    reason = (
        f"{new.calls:.1f} instead of {old.calls:.1f} calls, {new.seconds * 1e3:.3f} instead of "
        f"{old.seconds * 1e3:.3f} ms a MB"
    )
    return Verdict(kept, reason, old, new)
