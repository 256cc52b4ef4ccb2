"""From counters to rates: what was counted between two looks, or that it cannot be known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Increase", "Rates", "share"]


class Increase(NamedTuple):
    """What was counted in ``seconds``, by name."""

    seconds: float
    counts: dict[str, float]

    def total(self, *names: str) -> float:
        """Return what was counted a second, of all these names together."""
        return sum(self.counts[name] for name in names) / self.seconds


class Rates:
    """Remembers the last look at some counters.

    A look more than ``longest`` seconds after the one before begins anew: an average over the time in which a
    process was stopped tells of no moment in it.

    >>> rates = Rates(longest=3.0)
    >>> rates.since(0.0, {"bytes": 100}), rates.since(1.0, {"bytes": 150})
    (None, Increase(seconds=1.0, counts={'bytes': 50}))
    >>> rates.since(2.0, {"bytes": 0}), rates.since(60.0, {"bytes": 9})
    (None, None)
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._at = float("-inf")
        self._counts: Mapping[str, float] | None = None

    def since(self, now: float, counts: Mapping[str, float] | None) -> Increase | None:
        """Return what was counted since the last look.

        None at the first look, after a gap, and when a counter went back, which only a reset can do. A
        counter that was not there before, or no longer is, is left out.
        """
        before, self._counts = self._counts, counts
        seconds, self._at = now - self._at, now
        if before is None or counts is None or not 0 < seconds <= self._longest:
            return None
        grown = {name: count - before[name] for name, count in counts.items() if name in before}
        return None if min(grown.values(), default=0) < 0 else Increase(seconds, grown)


def share(part: float, whole: float) -> float | None:
    """Return a percentage from 0 to 100; None of nothing."""
    return min(100.0, max(0.0, 100.0 * part / whole)) if whole > 0 else None
