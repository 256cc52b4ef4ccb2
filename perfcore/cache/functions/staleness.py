"""When a result is fresh, due for a refresh, stale, or over.

The words are those of RFC 5861: after its ``ttl`` a result is stale; while the *window* lasts it is served as
it is and refreshed behind, and for longer, where that was asked for, it is kept in case refreshing it fails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import random
from typing import NamedTuple

__all__ = ["ALWAYS", "Age", "Freshness"]


class Age(NamedTuple):
    """What may be done with a result.

    ``fresh``: hand it out; ``due``: and begin a refresh; ``may_serve``: it is stale, and may be handed out
    before it is refreshed; ``may_excuse``: or because refreshing it failed.
    """

    fresh: bool
    due: bool
    may_serve: bool
    may_excuse: bool


#: The age of a result that has no end of its own.
ALWAYS = Age(fresh=True, due=False, may_serve=False, may_excuse=False)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long results are fresh (None: for ever), and what happens before and after that, in seconds."""

    ttl: float | None
    ahead: float
    window: float
    on_error: float
    jitter: float

    @property
    def after(self) -> float:
        """How long a stale result is of use."""
        return max(self.window, self.on_error)

    @property
    def margin(self) -> float:
        """How long before it is given up a result has to be looked at, in seconds; infinite: always."""
        return self.ahead + self.after

    def kept(self, ttl: float) -> float | None:
        """Return how long a result that is fresh for ``ttl`` is kept, in seconds; None is for ever."""
        return None if math.isinf(self.after) else ttl + self.after

    def ahead_of(self, ttl: float) -> float:
        """Return how long before its end a result with a ``ttl`` of its own is due: the same share of it."""
        return self.ahead * min(1.0, ttl / self.ttl) if self.ttl else 0.0

    def shortened(self, ttl: float) -> float:
        """Return the ttl less a random share of up to ``jitter``: what came together shall not end so."""
        return ttl * (1 - self.jitter * random()) if self.jitter else ttl

    def age(self, past: float) -> Age:
        """Return what may be done with a result that became stale ``past`` seconds ago (negative: will)."""
        return Age(past < 0, -self.ahead <= past < 0, 0 <= past < self.window, 0 <= past < self.on_error)
