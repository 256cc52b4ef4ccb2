"""How often would a cache of this size hit? Replays a trace of requests through the real policies.

The module is not named after :func:`simulate`, because importing it would then put itself in the place of the
function in ``perfcore``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import index
from time import perf_counter
from typing import Any, Literal, TypeAlias, cast, overload

import numpy as np
import numpy.typing as npt

from perfcore._native.simulate import POLICIES, Numbering, Replay, distinct

__all__ = ["SimulationResult", "simulate"]

_Policy: TypeAlias = Literal["lru", "lfu", "random", "adaptive"]
_Ids: TypeAlias = npt.NDArray[np.uint32]
_Progress: TypeAlias = Callable[[int, int], object]

#: requests played without the GIL before signals and the progress callback are looked after: about 0.1 s
_PIECE = 1 << 20
#: ids may be so many times sparser than the trace is long before it pays to number them anew
_SPARSE = 2
_LARGEST_SIZE = 2**32 - 1


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What one simulated cache did; ``capacity`` and weights are bytes given sizes, else entries."""

    policy: str
    capacity: int
    requests: int
    hits: int
    weight_requested: int
    weight_hit: int
    evictions: int
    distinct: int
    arm: str
    switches: int
    seed: int
    seconds: float

    @property
    def hit_ratio(self) -> float:
        """Hits per request, from 0 to 1."""
        return self.hits / self.requests if self.requests else 0.0

    @property
    def weight_hit_ratio(self) -> float:
        """Share of the requested bytes that hits delivered; the hit ratio where there are no sizes."""
        return self.weight_hit / self.weight_requested if self.weight_requested else 0.0


@overload
def simulate(
    trace: Iterable[Any],
    capacity: int,
    policy: _Policy = ...,
    sizes: Iterable[int] | None = ...,
    *,
    seed: int = ...,
    progress: _Progress | None = ...,
) -> SimulationResult: ...
@overload
def simulate(
    trace: Iterable[Any],
    capacity: Sequence[int] | npt.NDArray[np.integer[Any]],
    policy: _Policy = ...,
    sizes: Iterable[int] | None = ...,
    *,
    seed: int = ...,
    progress: _Progress | None = ...,
) -> list[SimulationResult]: ...
def simulate(
    trace: Iterable[Any],
    capacity: int | Sequence[int] | npt.NDArray[np.integer[Any]],
    policy: _Policy = "adaptive",
    sizes: Iterable[int] | None = None,
    *,
    seed: int = 0,
    progress: _Progress | None = None,
) -> SimulationResult | list[SimulationResult]:
    """Replay a trace of requests through the policy of :class:`perfcore.Cache` and count the hits.

    ``trace`` holds one key per request: an array of any integer type (fastest), or any iterable of hashable
    keys; floats and bools are refused, they are rarely meant. ``capacity`` is in entries, or in bytes when
    ``sizes`` gives the size of each request's object (0 to 2**32 - 1; what has size 0 is never evicted); a
    sequence of capacities gives a list of results, the points of a hit-ratio curve. ``seed`` decides what
    is left to chance: same seed, same result. ``progress(done, total)`` is called now and then and may
    raise to stop. The GIL is released in between. Raises :exc:`TypeError` or :exc:`ValueError` naming the
    argument.

    >>> simulate([1, 2, 3] * 100, 2, "lru").hits
    0
    >>> [result.hit_ratio for result in simulate(["a", "b", "a", "b"], [1, 2], "lru")]
    [0.0, 0.5]
    """
    capacities = _capacities(capacity)
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(map(repr, POLICIES))}, got {policy!r}")
    seed = _whole("seed", seed)
    ids, known = _dense(trace)
    weights = None if sizes is None else _weights(sizes, len(ids))
    steps = _Steps(progress, len(ids) * len(capacities))
    results = [_play(ids, weights, known, size, policy, seed, steps) for size in capacities]
    return results if np.ndim(capacity) else results[0]


def _play(
    ids: _Ids,
    weights: _Ids | None,
    known: int,
    capacity: int,
    policy: _Policy,
    seed: int,
    steps: _Steps,
) -> SimulationResult:
    bound = int(ids.max()) + 1 if len(ids) else 0
    start = perf_counter()
    replay = Replay(policy, min(capacity, 2**63), bound, weights is not None, seed % 2**64)
    for at in range(0, len(ids), _PIECE):
        piece = slice(at, at + _PIECE)
        replay.feed(ids[piece], None if weights is None else weights[piece])
        steps.done(len(ids[piece]))
    seconds = perf_counter() - start
    arm, switches = replay.state()
    return SimulationResult(policy, capacity, *replay.counts(), known, arm, switches, seed, seconds)


class _Steps:
    """Tells a progress callback how many of all requests have been played."""

    def __init__(self, callback: _Progress | None, total: int) -> None:
        self.callback = callback
        self.total = total
        self.played = 0

    def done(self, count: int) -> None:
        self.played += count
        if self.callback is not None:
            self.callback(self.played, self.total)


# --- arguments ----------------------------------------------------------------------------------------------


def _whole(name: str, value: object) -> int:
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = index(value)
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {number}")
    return number


def _capacities(capacity: object) -> list[int]:
    if isinstance(capacity, (str, bytes)) or not isinstance(capacity, (Sequence, np.ndarray)):
        return [_whole("capacity", capacity)]
    return [_whole("capacity", size) for size in capacity]


def _array_of(values: Iterable[Any]) -> npt.NDArray[Any] | None:
    """Return what numpy can look at without guessing at types, or None."""
    if isinstance(values, np.ndarray) or hasattr(values, "__array__"):
        return np.asarray(values)
    if isinstance(values, (str, bytes, bytearray)):
        return None
    try:
        return np.asarray(memoryview(cast("Any", values)))
    except TypeError:
        return None


def _integers(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, not {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got {array.ndim}")
    return array


def _weights(sizes: Iterable[int], requests: int) -> _Ids:
    array = _array_of(sizes)
    if array is None:
        array = np.array([_whole("sizes", size) for size in sizes], object)
    elif array.dtype.kind != "O":
        array = _integers("sizes", array)
    if len(array) != requests:
        raise ValueError(f"sizes must be as many as there are requests ({requests}), got {len(array)}")
    if len(array) and (array.min() < 0 or array.max() > _LARGEST_SIZE):
        raise ValueError(f"sizes must be from 0 to {_LARGEST_SIZE}, got {array.min()} to {array.max()}")
    return array.astype(np.uint32)


# --- keys as dense numbers ----------------------------------------------------------------------------------


def _dense(trace: Iterable[Any]) -> tuple[_Ids, int]:
    """Return the trace as small numbers, in a copy that nobody else can change, and how many differ."""
    if isinstance(trace, (str, bytes, bytearray)):
        raise TypeError(f"trace must be an array or an iterable of keys, not {type(trace).__name__}")
    array = _array_of(trace)
    if array is None or array.dtype.kind == "O":
        return _numbered_keys(list(trace if array is None else array))
    return _numbered_ids(_integers("trace", array))


def _numbered_ids(ids: npt.NDArray[Any]) -> tuple[_Ids, int]:
    if not len(ids):
        return np.empty(0, np.uint32), 0
    if ids.min() >= 0 and ids.max() < _SPARSE * len(ids):
        dense = ids.astype(np.uint32)
        return dense, distinct(dense, _SPARSE * len(ids))
    numbering, dense = Numbering(), np.empty(len(ids), np.uint32)
    for at in range(0, len(ids), _PIECE):
        piece = slice(at, at + _PIECE)
        numbering.number(ids[piece].astype(np.uint64), dense[piece])
    return dense, len(numbering)


def _numbered_keys(keys: list[Any]) -> tuple[_Ids, int]:
    kinds = set(map(type, keys))
    for kind in kinds:
        if issubclass(kind, (bool, np.bool_, float, np.floating, complex)):
            raise TypeError(f"trace must hold keys such as int or str, not {kind.__name__}")
    if kinds == {int}:
        try:
            return _numbered_ids(np.array(keys, np.int64))
        except OverflowError:
            pass  # beyond 64 bits: keys like any others
    numbers: dict[Any, int] = {}
    dense = np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), np.uint32, len(keys))
    return dense, len(numbers)
