"""Which calls are looked at: one in so many on average, at random distances.

Every tenth call would lock onto whatever repeats in tens. The distance to the next sample of a coin that is
thrown at each call has a geometric distribution; drawing the distance makes the calls in between cost next to
nothing: they take a ticket from an iterator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from math import log, log1p
from random import Random
from threading import Lock

__all__ = ["Gate"]

_FAR = 1 << 40


class Gate:
    """Samples calls with probability ``rate``; the weight of a sample is ``1 / rate`` calls.

    A caller asks ``for _ in gate.skips`` first, which yields for all that are not to be sampled and is safe
    under threads, and :meth:`sampled` only when that yields nothing.

    >>> gate = Gate(1.0)
    >>> list(gate.skips), gate.sampled(), gate.weight
    ([], True, 1.0)
    """

    __slots__ = ("__weakref__", "_lock", "_paused", "_random", "drawn", "rate", "skips", "weight")

    def __init__(self, rate: float, random: Callable[[], float] | None = None) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"a sampling rate is from 0 to 1, got {rate!r}")
        self.rate, self.weight = rate, 1 / rate if rate else 0.0
        self._paused = False
        #: Called with new tickets, for somebody who keeps them at hand.
        self.drawn: Callable[[Iterator[None]], object] | None = None
        self.forked()
        if random is not None:
            self._random = random
        self.skips: Iterator[None] = self._draw()

    def forked(self) -> None:
        """Take a new lock, which may have been held, and a new order, lest the child repeats its parent's."""
        self._lock = Lock()
        self._random = Random().random

    def pause(self) -> None:
        """Sample nothing until :meth:`resume`."""
        with self._lock:
            self._paused = True
            self._hand_out()

    def resume(self, rate: float | None = None) -> None:
        """Sample again, from now on with probability ``rate`` if one is given."""
        with self._lock:
            self._paused = False
            if rate is not None:
                self.rate, self.weight = rate, 1 / rate if rate else 0.0
            self._hand_out()

    def sampled(self) -> bool:
        """Say whether a call that found no ticket is to be sampled: it is, unless others were faster."""
        while True:
            spent = self.skips
            for _ in spent:
                return False
            with self._lock:
                if self.skips is spent:
                    self._hand_out()
                    return True

    def _hand_out(self) -> None:
        self.skips = self._draw()
        if self.drawn is not None:
            self.drawn(self.skips)

    def _draw(self) -> Iterator[None]:
        if self.rate == 0 or self._paused:
            return repeat(None)
        if self.rate == 1:
            return repeat(None, 0)
        distance = log(1 - self._random()) / log1p(-self.rate)
        return repeat(None, int(min(distance, _FAR)))
