"""Keys and requests that the parts share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from perfcore import simulate

Loop = Callable[[], None]

#: keys of the realistic mix per entry of the cache
UNIVERSE = 12


def timed(loop: Loop) -> float:
    start = time.perf_counter()
    loop()
    return time.perf_counter() - start


def names(start: int, count: int) -> list[str]:
    return [f"user:{i:09d}" for i in range(start, start + count)]


def fresh(keys: Iterable[str]) -> list[str]:
    """Return equal keys that are other objects, as a service makes them from its requests."""
    return ["".join(list(key)) for key in keys]


def chosen(keys: list[str], count: int, seed: int) -> list[str]:
    return fresh(random.Random(seed).choices(keys, k=count))


class Zipf:
    """Requests by a Zipf law under which an LRU cache of ``size`` entries hits 90 % of the time."""

    def __init__(self, size: int) -> None:
        self.universe = UNIVERSE * size
        self.draw = np.random.default_rng(size)
        low, high = 0.4, 2.0
        for _ in range(12):
            self.exponent = (low + high) / 2
            low, high = (self.exponent, high) if self._lru_hits(size) < 0.9 else (low, self.exponent)
        self.keys = names(0, self.universe)

    def ids(self, count: int) -> Any:
        weights = 1.0 / np.arange(1, self.universe + 1) ** self.exponent
        shares = np.cumsum(weights)
        return np.searchsorted(shares, self.draw.random(count) * shares[-1]).clip(0, self.universe - 1)

    def _lru_hits(self, size: int) -> float:
        """Return the hit ratio of LRU on the second half of some requests; the first half warms it."""
        ids = self.ids(8 * size + 100_000)
        half, whole = (simulate(part, size, "lru") for part in (ids[: len(ids) // 2], ids))
        return (whole.hits - half.hits) / (whole.requests - half.requests)

    def requests(self, count: int) -> list[str]:
        keys = self.keys
        return fresh(keys[i] for i in self.ids(count).tolist())
