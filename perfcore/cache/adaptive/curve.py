"""The miss-ratio curve of a live cache, from the miniatures that play along with it."""

from __future__ import annotations

from bisect import bisect_left
from math import sqrt
from typing import NamedTuple

from perfcore._native.curve import SIZES, CurveCounts

__all__ = ["MissRatioCurve", "curve_between"]


class MissRatioCurve(NamedTuple):
    """What share of the lookups would miss at each of ``entries``.

    ``lru`` and ``lfu`` are what would miss at ``present``, the size that was observed, under these policies.

    ``error`` is by how much these are off on average, as shares: half the difference between two disjoint
    samples of the keys (root mean square over the sizes). ``requests`` is how many lookups it is about.
    """

    entries: tuple[int, ...]
    miss_ratios: tuple[float, ...]
    error: float
    requests: int
    present: int
    lru: float
    lfu: float
    halves: tuple[tuple[float, ...], ...] = ()

    def at(self, entries: float, half: int | None = None) -> float:
        """Return the miss ratio at a size between those that were played, by linear interpolation.

        Nothing stored is a miss always; beyond the largest size nothing is known to improve. ``half`` is 0 or
        1 for what one of the two samples says alone.

        >>> MissRatioCurve((100, 200), (0.5, 0.3), 0.01, 1000, 100, 0.5, 0.5).at(150)
        0.4
        """
        sizes, ratios = (0, *self.entries), (1.0, *(self.miss_ratios if half is None else self.halves[half]))
        if entries >= sizes[-1]:
            return ratios[-1]
        right = max(1, bisect_left(sizes, entries))
        share = (entries - sizes[right - 1]) / (sizes[right] - sizes[right - 1])
        return ratios[right - 1] + share * (ratios[right] - ratios[right - 1])


def curve_between(before: CurveCounts | None, now: CurveCounts) -> MissRatioCurve | None:
    """Return the curve of the lookups between two counts of one observation; None when there were none.

    Misses in a sample are held against the requests that it should have had (SHARDS-adj: Waldspurger, Park,
    Garthwaite and Ahmad, FAST 2015), so that a hot key more or less in it changes little.
    """
    if before is None or before.entries != now.entries or before.requests > now.requests:
        nothing = (0,) * len(now.misses[0])
        before = now._replace(requests=0, misses=(nothing, nothing))
    requests = now.requests - before.requests
    if requests == 0:
        return None
    halves = [
        [min(1.0, (late - early) * now.rate / requests) for early, late in zip(*counts, strict=True)]
        for counts in zip(before.misses, now.misses, strict=True)
    ]
    ratios = [sum(pair) / 2 for pair in zip(*halves, strict=True)]
    differences = [(one - other) / 2 for one, other in zip(*halves, strict=True)]
    return MissRatioCurve(
        tuple(max(1, round(now.entries * size)) for size in SIZES),
        tuple(ratios[: len(SIZES)]),
        sqrt(sum(difference**2 for difference in differences) / len(differences)),
        requests,
        now.entries,
        ratios[len(SIZES)],
        ratios[len(SIZES) + 1],
        tuple(tuple(half[: len(SIZES)]) for half in halves),
    )
