"""What a cache's hit ratio would be with less room, or more: the miniatures of curve.h beside a live cache."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from perfcore._native.alloc cimport raw_alloc
from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.curve cimport *
from perfcore._native.cache cimport Cache

from typing import NamedTuple

__all__ = ["SIZES", "CurveCounts", "observe", "observed", "unobserve"]

#: the sizes that are played, as shares of the present one; the last two counts are LRU and LFU of the present size
SIZES = tuple([pc_curve_quarters[i] / 4 for i in range(PC_CURVE_SIZES)])


class CurveCounts(NamedTuple):
    """What the miniatures have counted since :func:`observe`; differences of two are about the time between them.

    ``misses`` has for each of the two samples the misses of every miniature, ``expected`` is how many requests a
    sample should have had: one in ``rate`` of ``requests``. Of ``followed`` requests for a key, ``repeated`` were
    followed by the same request as the time before. ``memory`` is in bytes.
    """

    requests: int
    rate: int
    entries: int
    misses: tuple[tuple[int, ...], tuple[int, ...]]
    sampled: tuple[int, int]
    followed: int
    repeated: int
    memory: int

    @property
    def expected(self) -> float:
        """How many requests each sample should have had."""
        return self.requests / self.rate


def observe(Cache cache not None, entries):
    """Begin to play the lookups of ``cache``, which holds about ``entries`` entries, in miniature.

    A lookup then takes some nanoseconds more; what was observed before is dropped. Raises ValueError where
    ``entries`` is not a positive number.
    """
    cdef pc_alloc alloc = raw_alloc()
    cdef pc_curve *made
    cdef uint64_t wanted
    if type(entries) is not int or entries < 1:
        raise ValueError(f"entries must be a positive int, got {entries!r}")
    wanted = min(entries, 1 << 40)
    made = pc_curve_new(&alloc, cache.core.policy.mode, wanted, cache.core.seed)
    if made == NULL:
        raise MemoryError
    exchange(cache, made)


def unobserve(Cache cache not None):
    """End what :func:`observe` began."""
    exchange(cache, NULL)


def observed(Cache cache not None):
    """Return what was counted so far, or None when ``cache`` is not observed."""
    cdef uint64_t sampled[2]
    cdef uint64_t hits[2][PC_CURVE_MINIS]
    cdef pc_curve *curve
    cdef uint64_t requests = 0, entries = 0, followed = 0, repeated = 0
    cdef unsigned rate = 0
    cdef size_t memory = 0
    cdef int h
    cache.lock()
    curve = cache.curve
    if curve != NULL:
        requests, entries, rate = curve.requests, curve.entries, curve.rate
        followed, repeated, memory = curve.followed, curve.repeated, pc_curve_bytes(curve)
        for h in range(PC_CURVE_HALVES):
            sampled[h] = curve.half[h].sampled
            memcpy(hits[h], curve.half[h].hits, sizeof(hits[h]))
    cache.unlock()
    if rate == 0:
        return None
    misses = [tuple([sampled[h] - hits[h][i] for i in range(PC_CURVE_MINIS)]) for h in range(PC_CURVE_HALVES)]
    return CurveCounts(
        requests, 1 << rate, entries, tuple(misses), (sampled[0], sampled[1]), followed, repeated, memory
    )


cdef void exchange(Cache cache, pc_curve *curve) noexcept:
    cdef pc_curve *before
    cache.lock()
    before = cache.curve
    cache.curve = curve
    cache.unlock()
    pc_curve_free(before)
