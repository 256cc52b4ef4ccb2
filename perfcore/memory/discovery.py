"""Finding the types that are made often, without anybody saying so, and whether pooling them would pay."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple
from weakref import ref

from perfcore._native.census import Census, pair_cost, works
from perfcore._native.stopwatch import Stopwatch
from perfcore.memory.economy import PAIR, Economy, mean
from perfcore.memory.kinds import constructor_of, is_ours, name_of

__all__ = ["Discovered", "Discovery", "at_least"]

#: What a window may cost before any time has passed from which a share could be taken, in seconds.
_GRANT = 0.02
#: Caches are colder in a program than in the loop that measures what a window adds to an allocation.
_COLDER = 2.0
#: Fewer objects than this are chance, whatever the window was.
_FEW = 10
#: Stopwatches at a time, and objects that each times.
_TIMED, _TIMES = 8, 64
#: A pool has to save so much of the time, or it is not worth its own code.
_WORTH = 1e-4
#: Names in a report.
_MOST = 32


class Discovered(NamedTuple):
    """A type that is made often although nobody tracks it.

    ``measured`` is the rate a minute and the seconds that its own ``__init__`` (or ``__new__``) takes in the
    mean; a reset is taken to cost nothing, so ``measured.saves`` is the most that a pool could save.
    ``least`` is what the rate is at least, with 95 % confidence, ``dropped`` the share of its objects that
    were let go before a thousand allocations more. ``verdict`` is ``watching`` (its constructor is being
    timed), ``pays``, ``costs``, or ``unknown`` where the constructor is not Python's.
    """

    name: str
    verdict: str
    reason: str
    measured: Economy
    least: float
    dropped: float


@dataclass(slots=True)
class _Kind:
    """What is remembered of a type; that it exists is not: it may die."""

    known: ref[type[Any]]
    made: float = 0.0
    dropped: float = 0.0
    watch: Stopwatch | None = None
    construct: float | None = None

    def settle(self) -> None:
        """Take the time from the stopwatch, if it has one."""
        times = [] if self.watch is None else self.watch.times()
        if times:
            self.construct, self.watch = mean(times), None


class Discovery:
    """Looks at the allocations of the process in windows that take the share ``share`` of its time at most.

    Between two calls of :meth:`step` there is one window. It ends by itself when it has seen as many
    allocations as that share of the time since the beginning pays for, at what one was measured to add; what
    a call itself takes is paid for by the same account. Types of which at least ``frequency`` objects are
    made a minute, with 95 % confidence, are reported, and their constructors timed 64 times.

    Nothing is seen where windows cannot be (:mod:`perfcore._native.census` has the conditions): on builds
    without the GIL, beside other interpreters, and while allocations are traced.

    >>> discovery = Discovery(share=0.01)
    >>> discovery.step()
    []
    >>> discovery.close()
    """

    def __init__(self, share: float = 0.01, frequency: float = 100) -> None:
        if not 0 <= share < 1:
            raise ValueError(f"share must be at least 0 and less than 1, got {share}")
        self._share, self._frequency = share, frequency
        self._began, self._spent = time.perf_counter(), 0.0
        self._price = 0.0
        self._census = Census()
        self._kinds: dict[int, _Kind] = {}
        self._seconds = 0.0

    @property
    def spent(self) -> float:
        """The seconds that looking has cost so far; those of an open window come at its end."""
        return self._spent

    def step(self, tracked: Collection[object] = ()) -> list[Discovered]:
        """Say what the last window showed, except of the types ``tracked``, and open the next one."""
        self.pause()
        start = time.perf_counter()
        skipped = {id(thing) for thing in tracked}
        often = self._often(skipped)
        self._time([kind for kind in often if kind.construct is None])
        found = [self._judge(kind, alive) for kind in often[:_MOST] if (alive := kind.known()) is not None]
        if self._share and self._priced():
            self._census.begin(self._affordable())
        self._spent += time.perf_counter() - start
        return found

    def pause(self) -> None:
        """Close the window until the next step: what comes now is not the program's doing."""
        start = time.perf_counter()
        seen = self._census.end()
        if seen is not None:
            seconds, blocks, counts = seen
            self._forget_half()
            self._seconds += seconds
            self._count(counts)
            self._spent += time.perf_counter() - start + blocks * self._price

    def rate_of(self, kind: object) -> float:
        """Return how many objects of a type are made a minute, as far as has been seen: 0 when none was."""
        known = self._kinds.get(id(kind))
        return 0.0 if known is None or known.known() is not kind else self._rate(known)

    def close(self) -> None:
        """Look no longer, and forget what was seen."""
        self._census.end()
        self._share, self._kinds = 0.0, {}

    def _priced(self) -> bool:
        if not self._price and works():
            self._price = pair_cost() * _COLDER
        return self._price > 0

    def _affordable(self) -> int:
        """Return how many allocations may be seen for what may still be spent."""
        may = _GRANT + self._share * (time.perf_counter() - self._began)
        return max(0, int((may - self._spent) / self._price))

    def _count(self, counts: list[tuple[ref[type[Any]], int, int]]) -> None:
        for known, gone, stayed in counts:
            kind = known()
            if kind is not None and not is_ours(kind):
                entry = self._kinds.setdefault(id(kind), _Kind(known))
                entry.made += gone + stayed
                entry.dropped += gone

    def _forget_half(self) -> None:
        """Let what was seen long ago weigh less, and what has died or is not made any more be forgotten."""
        self._seconds /= 2
        for kind in self._kinds.values():
            kind.made /= 2
            kind.dropped /= 2
        self._kinds = {
            key: kind for key, kind in self._kinds.items() if kind.known() is not None and kind.made >= 0.5
        }

    def _often(self, skipped: set[int]) -> list[_Kind]:
        """Return the types that are surely made often, most often first."""
        found = [
            kind
            for key, kind in self._kinds.items()
            if key not in skipped
            and kind.made >= _FEW
            and at_least(kind.made) / self._seconds * 60 >= self._frequency
        ]
        return sorted(found, key=lambda kind: -kind.made)

    def _rate(self, kind: _Kind) -> float:
        return kind.made / self._seconds * 60 if self._seconds else 0.0

    def _time(self, kinds: list[_Kind]) -> None:
        """Let the constructors of the first few be timed; take the times of those that were."""
        for kind in kinds:
            kind.settle()
        watched = sum(kind.watch is not None for kind in self._kinds.values())
        for kind in kinds:
            alive = kind.known()
            if watched < _TIMED and alive is not None and kind.construct is None and kind.watch is None:
                kind.watch = Stopwatch(constructor_of(alive), alive, _TIMES)
                watched += kind.watch.watching

    def _judge(self, kind: _Kind, alive: type[Any]) -> Discovered:
        measured = Economy(self._rate(kind), kind.construct or 0.0, 0.0)
        verdict, reason = _verdict(kind, measured, constructor_of(alive))
        least = at_least(kind.made) / self._seconds * 60
        return Discovered(name_of(alive), verdict, reason, measured, least, kind.dropped / kind.made)


def _verdict(kind: _Kind, measured: Economy, constructor: object) -> tuple[str, str]:
    if kind.construct is not None:
        took = f"making one takes {kind.construct * 1e6:.1f} µs, a pool {PAIR * 1e6:.2f} µs and the reset"
        if measured.saves > _WORTH * 60:
            return "pays", took
        return "costs", f"{took}: {max(0.0, measured.saves) * 1e3:.1f} ms a minute"
    if constructor is None:
        return "costs", "it has no constructor of its own"
    if kind.watch is None or kind.watch.watching:
        return "watching", "its constructor is being timed"
    return "unknown", "its constructor is not Python's, and was not timed"


def at_least(count: float) -> float:
    """Return the number of events that a Poisson process has in the mean at least, with 95 % confidence, when
    ``count`` were seen (E. B. Wilson and M. M. Hilferty, The Distribution of Chi-Square, PNAS 1931).

    >>> [round(at_least(n), 1) for n in (0, 1, 10, 100)]
    [0.0, 0.0, 5.4, 84.1]
    """
    if count <= 0:
        return 0.0
    return count * max(0.0, 1 - 1 / (9 * count) - 1.645 / (3 * sqrt(count))) ** 3
