"""A cache under observation: its curve over the last while, and its size in entries and in its own unit."""

from __future__ import annotations

from typing import Any

from perfcore._native.cache import Cache
from perfcore._native.curve import CurveCounts, observe, observed, unobserve
from perfcore.cache.adaptive.curve import MissRatioCurve, curve_between

__all__ = ["Observation"]

#: A size of which the miniatures are so far from the present one tells too little about its neighbours.
_FAR = 2.5


class Observation:
    """Plays the lookups of ``cache`` in miniature from now until :meth:`close`.

    A lookup takes 10 to 100 ns more on average, the smaller the cache the more, and up to 1.5 MB are used.
    Raises ValueError for a cache without a bound, of which there is nothing to ask.
    """

    def __init__(self, cache: Cache[Any, Any]) -> None:
        if cache.capacity is None or cache.capacity == 0:
            raise ValueError("only a cache with a bound, and not of nothing, can be observed")
        self._cache = cache
        self._counts: CurveCounts | None = None
        self._hits = self._misses = 0
        self.restart()

    def restart(self) -> None:
        """Begin anew, at the present size."""
        observe(self._cache, self.entries)
        self._mark()

    def _mark(self) -> None:
        stats = self._cache.stats()
        self._hits, self._misses = stats.hits, stats.misses
        self._counts = observed(self._cache)

    @property
    def entries(self) -> int:
        """How many entries the cache holds when it is full, as far as can be told from those it holds now."""
        return max(1, round(self.capacity / self.weight_of_one))

    @property
    def capacity(self) -> int:
        """The bound, in the unit of the cache: entries, weight or bytes."""
        return self._cache.capacity or 1

    @property
    def weight_of_one(self) -> float:
        """What an entry weighs on average; one where entries are counted."""
        held = len(self._cache)
        if self._cache.maxsize is not None or held == 0:
            return 1.0
        return max(1.0, self._cache.weight / held)

    def lookups(self) -> int:
        """Return how many lookups there were since :meth:`take`."""
        stats = self._cache.stats()
        return max(0, stats.hits - self._hits) + max(0, stats.misses - self._misses)

    def take(self) -> tuple[float, MissRatioCurve | None]:
        """Return the hit ratio and the curve since the last time, and begin the next while."""
        stats, counts = self._cache.stats(), observed(self._cache)
        hits, misses = max(0, stats.hits - self._hits), max(0, stats.misses - self._misses)
        curve = None if counts is None else curve_between(self._counts, counts)
        if counts is None or not 1 / _FAR <= self.entries / counts.entries <= _FAR:
            self.restart()
        else:
            self._mark()
        return hits / max(1, hits + misses), curve

    def followers(self) -> float:
        """Return the share of lookups that come after the same one as the time before (see the analysis)."""
        counts = observed(self._cache)
        return 0.0 if counts is None or counts.followed == 0 else counts.repeated / counts.followed

    def close(self) -> None:
        """Observe no longer."""
        unobserve(self._cache)
