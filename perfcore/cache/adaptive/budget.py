"""``CacheBudget``: one amount of room for several caches, divided so that it buys most hits."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from threading import Lock
from time import time
from types import TracebackType
from typing import Any, NamedTuple, Self

from perfcore._log import logger
from perfcore._native.cache import Cache
from perfcore._repr import safe_repr
from perfcore.cache.adaptive.curve import MissRatioCurve
from perfcore.cache.adaptive.observation import Observation

__all__ = ["CacheBudget", "Division"]

log = logger("cache")

#: The budget is handed out in so many parts.
_PARTS = 100
#: A division that promises less than this share of all lookups more is left as it is.
_WORTHWHILE = 0.002
#: The curves of so many times are taken together: one alone is about a part of the keys that were asked for.
_REMEMBERED = 8


class Division(NamedTuple):
    """One division of a budget: what each cache had, has now, and what that promises.

    ``predicted`` is by how much the share of all lookups that hit was expected to grow; ``applied`` is false
    where that was too little, or only advice was wanted.
    """

    before: dict[str, int]
    after: dict[str, int]
    predicted: float
    applied: bool
    at: float


class CacheBudget:
    """Divides ``total`` among ``caches`` by what their miss-ratio curves say that room is worth to each.

    All are bounded in the same unit. At first each keeps its share of what they have. :meth:`divide` moves
    room when that pays: in parts, each to the cache and in the amount that gains most hits for each part (the
    lookahead algorithm of Qureshi and Patt, MICRO 2006, which does not stop at plateaus). It goes by the
    curves of the last eight times together, and room is moved only where both samples of keys say that it
    pays, and half the way at a time. No cache gets less than ``least``.

    Raises ValueError for fewer than two caches, mixed units, or a total too small for all.

    >>> from perfcore.cache import Cache
    >>> budget = CacheBudget({"users": Cache(500), "pages": Cache(500)}, total=1000)
    >>> sorted(budget.sizes().items())
    [('pages', 500), ('users', 500)]
    >>> budget.close()
    """

    def __init__(
        self,
        caches: Mapping[str, Cache[Any, Any]],
        total: int,
        *,
        least: int | None = None,
        apply: bool = True,
        evidence: int = 10_000,
    ) -> None:
        if len(caches) < 2:
            raise ValueError("a budget is divided among at least two caches")
        if len({cache.maxsize is None for cache in caches.values()}) > 1:
            raise ValueError("the caches of a budget are bounded in one unit: entries, or weight or bytes")
        self._least = max(1, total // (4 * _PARTS)) if least is None else least
        if not 0 < self._least * len(caches) <= total:
            raise ValueError(f"{total!r} is not enough for {len(caches)} caches of at least {self._least}")
        self._total, self._apply, self._evidence = total, apply, evidence
        self._caches = dict(caches)
        self._observed = {name: Observation(cache) for name, cache in caches.items()}
        self._curves: dict[str, deque[MissRatioCurve]] = {name: deque(maxlen=_REMEMBERED) for name in caches}
        self._lock = Lock()
        self._divisions: deque[Division] = deque(maxlen=256)
        held = sum(self.sizes().values())
        self._resize({name: max(self._least, size * total // held) for name, size in self.sizes().items()})

    @safe_repr
    def __repr__(self) -> str:
        return f"<CacheBudget: {self._total} for {', '.join(self._caches)}>"

    def sizes(self) -> dict[str, int]:
        """Return what each cache has."""
        return {name: observation.capacity for name, observation in self._observed.items()}

    def divisions(self) -> list[Division]:
        """Return the last 256 divisions, oldest first."""
        return list(self._divisions)

    def divide(self) -> Division | None:
        """Divide anew by the lookups since the last time; None before there were ``evidence`` of them."""
        with self._lock:
            wanted = max(self._evidence, 2 * sum(each.entries for each in self._observed.values()))
            if sum(each.lookups() for each in self._observed.values()) < wanted:
                return None
            needs = [need for need in map(self._need, self._observed) if need is not None]
            before = self.sizes()
            # half the way: the estimate is off by a point, and entries that are let go of are lost at once
            best = _divided(self._total, self._least, before, needs)
            after = {name: (size + best[name]) // 2 for name, size in before.items()}
            gains = [_gain(before, after, needs, half) for half in (0, 1)]
            applied = self._apply and min(gains) > _WORTHWHILE
            if applied:
                self._resize(after)
                log.info("a budget was divided anew: %s", after)
            division = Division(before, after, sum(gains) / 2, applied, time())
            self._divisions.append(division)
            return division

    def _need(self, name: str) -> _Need | None:
        observation, curves = self._observed[name], self._curves[name]
        curve = observation.take()[1]
        if curve is not None:
            curves.append(curve)
        return _Need(name, observation.weight_of_one, tuple(curves)) if curves else None

    def _resize(self, sizes: dict[str, int]) -> None:
        present = self.sizes()
        for name in sorted(sizes, key=lambda name: sizes[name] - present[name]):  # who gives, first
            if sizes[name] != present[name]:
                self._caches[name].resize(sizes[name])

    def close(self) -> None:
        """Observe no longer; the caches stay as they are."""
        for observation in self._observed.values():
            observation.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Need(NamedTuple):
    """What is known of one cache: what an entry weighs, and its latest curves."""

    name: str
    unit: float
    curves: tuple[MissRatioCurve, ...]

    @property
    def requests(self) -> int:
        return sum(curve.requests for curve in self.curves)

    def hits(self, size: float, half: int | None = None) -> float:
        """Return how many of these requests would have been hits with ``size``."""
        entries = size / self.unit
        return sum(curve.requests * (1 - curve.at(entries, half)) for curve in self.curves)


def _gain(before: dict[str, int], after: dict[str, int], needs: list[_Need], half: int) -> float:
    """The share of all lookups that one sample promises for a division."""
    gained = sum(need.hits(after[need.name], half) - need.hits(before[need.name], half) for need in needs)
    return gained / max(1, sum(need.requests for need in needs))


def _divided(total: int, least: int, before: dict[str, int], needs: list[_Need]) -> dict[str, int]:
    """Hand ``total`` out in parts; caches of which nothing is known keep what they have."""
    known = {need.name for need in needs}
    sizes = {name: least if name in known else size for name, size in before.items()}
    part = max(1, (total - sum(sizes.values())) // _PARTS)
    while (left := (total - sum(sizes.values())) // part) > 0 and needs:
        found = [(*_best_gain(need, sizes[need.name], part, left), need.name) for need in needs]
        _, parts, name = max(found)
        sizes[name] += parts * part
    sizes[max(sizes, key=lambda name: sizes[name])] += total - sum(sizes.values())
    return sizes


def _best_gain(need: _Need, size: int, part: int, left: int) -> tuple[float, int]:
    """The most hits for each part more, and how many parts it takes to get them; one where nothing gains."""
    now = need.hits(size)
    return max(((need.hits(size + parts * part) - now) / parts, parts) for parts in range(1, left + 1))
