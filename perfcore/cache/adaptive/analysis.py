"""What an analysis of accesses says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from perfcore.cache.adaptive.curve import MissRatioCurve

__all__ = ["AccessAnalysis", "TierWorth", "tiers_of"]


class TierWorth(NamedTuple):
    """What a tier has answered since it was opened, what it takes, and its hits for each megabyte of that."""

    hits: int
    bytes: int

    @property
    def hits_per_megabyte(self) -> float:
        """Return the hits for each megabyte that the tier takes."""
        return self.hits / max(self.bytes / (1 << 20), 1e-9)


@dataclass(frozen=True, slots=True)
class AccessAnalysis:
    """How a cache is used, from the sampled keys, over the lookups since the analysis before.

    ``l1_hit_rate`` is the share of lookups that the memory tier answered, 0 to 1, as are the localities:

    * ``temporal_locality``: of the lookups that a cache four times as large would answer, the share that LRU
      of the present size answers. What was asked for last is asked for again.
    * ``frequency_locality``: the same for LFU (aged TinyLFU). What is asked for often is asked for again.
    * ``spatial_locality``: of the lookups for a key that was asked for before, the share after which the
      same key is asked for next as the time before. Keys have no neighbours but in time.

    ``curve`` is the estimated miss-ratio curve from a quarter to four times the present size, with its error;
    None until there were lookups. ``tiers`` says what each tier earns.
    """

    l1_hit_rate: float
    temporal_locality: float
    frequency_locality: float
    spatial_locality: float
    curve: MissRatioCurve | None
    tiers: dict[str, TierWorth]

    @property
    def requests(self) -> int:
        """How many lookups this is about."""
        return 0 if self.curve is None else self.curve.requests


def tiers_of(cache: Any) -> dict[str, TierWorth]:
    """Return what each tier of a manager, or a plain cache as ``memory``, has answered and takes."""
    stats = cache.stats()
    tiers = getattr(stats, "tiers", None) or {"memory": stats}
    return {name: TierWorth(_count(each, "hits"), _size(each)) for name, each in tiers.items()}


def _count(stats: Any, name: str) -> int:
    return int(getattr(stats, name, 0) or 0)


def _size(stats: Any) -> int:
    return _count(stats, "bytes") or _count(stats, "weight")
