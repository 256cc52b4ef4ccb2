"""Finding what grows and never shrinks: types, and lines that allocate, over a series of snapshots."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter, deque
from functools import cache
from typing import Any, NamedTuple, TypeVar

from perfcore._repr import safe_repr
from perfcore.memory.kinds import name_of

__all__ = ["LeakDetector", "Suspect", "rank_probability"]

K = TypeVar("K")
_PIECE = 1 << 14


class Suspect(NamedTuple):
    """What grew: a ``type`` (counted in objects) or a ``site`` (file and line, in bytes).

    ``growth`` is from the first to the last snapshot, ``probability`` that of so steady a growth by chance,
    corrected for the number of things that were looked at, and ``chain`` names what refers to one of the
    objects, from the root on, where objgraph is installed.
    """

    kind: str
    name: str
    growth: int
    probability: float
    chain: tuple[str, ...] = ()


@cache
def _orders(n: int) -> tuple[int, ...]:
    """Return how many orders of n values have each number of inversions (Mann, Econometrica 1945)."""
    counts = [1]
    for size in range(2, n + 1):
        counts = [
            sum(counts[max(0, total - size + 1) : total + 1]) for total in range(len(counts) + size - 1)
        ]
    return tuple(counts)


def rank_probability(values: list[int]) -> float:
    """Return the probability that values in random order rise as steadily as these do: Mann-Kendall, exact.

    Pairs that are equal count as falling, so plateaus make growth less likely to be taken for a leak.

    >>> rank_probability([1, 2, 3, 4, 5]) == 1 / 120
    True
    """
    falls = sum(later <= earlier for i, earlier in enumerate(values) for later in values[i + 1 :])
    orders = _orders(len(values))
    return sum(orders[: falls + 1]) / sum(orders)


class LeakDetector:
    """Takes snapshots and says what grew through all of them.

    ``window`` snapshots are kept (at least 6: fewer prove nothing). A thing is suspected when it grew by at
    least ``least`` objects, and less than ``significance`` speaks for chance after correction for the number
    of things that grew at all (Bonferroni). With ``sites=True`` lines are compared too, as long as
    tracemalloc is running: start it in a window, for it makes every allocation dearer.

    A snapshot walks all objects that the collector knows, a millisecond per ten thousand or so, with a full
    collection before it, so that garbage is no suspect.

    >>> detector, held = LeakDetector(), []
    >>> class Session: ...
    >>> for _ in range(8):
    ...     held += [Session() for _ in range(50)]
    ...     detector.snapshot()
    >>> [suspect.name.rpartition(".")[2] for suspect in detector.suspects() if suspect.growth == 350]
    ['Session']
    """

    def __init__(
        self, window: int = 8, least: int = 20, significance: float = 0.01, sites: bool = False
    ) -> None:
        if window < 6:
            raise ValueError(f"window must be at least 6, got {window}")
        if least < 1 or not 0 < significance < 1:
            raise ValueError("least must be positive, and significance between 0 and 1")
        self._least, self._significance, self._sites = least, significance, sites
        self._types: deque[Counter[int]] = deque(maxlen=window)
        self._lines: deque[Counter[str]] = deque(maxlen=window)
        self._frozen: Counter[int] = Counter()

    @safe_repr
    def __repr__(self) -> str:
        return f"<LeakDetector: {len(self._types)} of {self._types.maxlen} snapshots>"

    def snapshot(self, collect: bool = True) -> None:
        """Count the objects of each type, and where it is traced the bytes of each line.

        Who has collected garbage at this moment need not ``collect`` it again.
        """
        if collect:
            gc.collect()
        self._types.append(_count_types() + self._frozen)
        if self._sites and tracemalloc.is_tracing():
            taken = tracemalloc.take_snapshot().filter_traces(
                [tracemalloc.Filter(False, tracemalloc.__file__)]
            )
            lines: Counter[str] = Counter()
            for statistic in taken.statistics("lineno"):
                frame = statistic.traceback[0]
                lines[f"{frame.filename}:{frame.lineno}"] = statistic.size
            self._lines.append(lines)

    def froze(self) -> None:
        """Count on what the last snapshot saw: it was frozen since (``gc.freeze``), and is listed no more.

        What of it dies later goes on being counted, which makes no growth.
        """
        self._frozen = self._types[-1] if self._types else Counter()

    def thawed(self) -> None:
        """Count what is listed, as before :meth:`froze`."""
        self._frozen = Counter()

    def suspects(self) -> list[Suspect]:
        """Return what grew beyond chance, what grew most first; empty before the window is full."""
        found = [
            Suspect("site", line, growth, chance)
            for line, growth, chance in self._grown(self._lines, self._least * 64)
        ]
        for key, growth, chance in self._grown(self._types, self._least):
            youngest = next((thing for thing in reversed(gc.get_objects()) if id(type(thing)) == key), None)
            if youngest is not None:
                kind = type(youngest)
                found.append(Suspect("type", name_of(kind), growth, chance, _chain(youngest)))
        return sorted(found, key=lambda suspect: -suspect.growth)

    def _grown(self, snapshots: deque[Counter[K]], least: int) -> list[tuple[K, int, float]]:
        if len(snapshots) < (snapshots.maxlen or 0):
            return []
        first, last = snapshots[0], snapshots[-1]
        grown = [thing for thing in last if last[thing] > first[thing]]
        found = []
        for thing in grown:
            growth = last[thing] - first[thing]
            chance = min(1.0, rank_probability([snapshot[thing] for snapshot in snapshots]) * len(grown))
            if growth >= least and chance < self._significance:
                found.append((thing, growth, chance))
        return found


def _count_types() -> Counter[int]:
    """Count all objects by the address of their type, which need not have a hash.

    A piece at a time: counting is C code that lets no other thread run, 7 ms for each 100 000 objects.
    """
    objects, counted = gc.get_objects(), Counter[int]()
    for start in range(0, len(objects), _PIECE):
        counted.update(map(id, map(type, objects[start : start + _PIECE])))
    return counted


def _chain(suspect: Any) -> tuple[str, ...]:
    """Return the types on the way from a root to an object, if objgraph can tell."""
    try:
        import objgraph  # type: ignore[import-untyped]
    except ImportError:
        return ()
    chain = objgraph.find_backref_chain(suspect, objgraph.is_proper_module)
    return tuple(
        f"module {link.__name__}" if objgraph.is_proper_module(link) else name_of(type(link))
        for link in chain
    )
