"""Replays of traces over the C core of ``src_c/replay.h``; :mod:`perfcore.simulation` is the front of it."""

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport pc_status
from perfcore._native.c.policy cimport pc_mode, pc_policy_state
from perfcore._native.c.replay cimport *
from perfcore._native.errors cimport check

__all__ = ["ARMS", "POLICIES", "Numbering", "Replay", "distinct"]

POLICIES = ("lru", "lfu", "random", "adaptive")  # indexed by pc_mode
ARMS = ("lirs", "tiny20", "lru", "tiny1")  # indexed by pc_arm


@cython.final
cdef class Numbering:
    """Dense numbers for 64-bit ids, in order of first appearance."""

    cdef pc_ids core

    def __cinit__(self, uint64_t seed=0):
        cdef pc_alloc alloc = pc_alloc_system()
        check(pc_ids_init(&self.core, &alloc, seed))

    def __dealloc__(self):
        pc_ids_destroy(&self.core)

    def __len__(self):
        return self.core.count

    def number(self, const uint64_t[::1] ids not None, uint32_t[::1] numbers not None, /):
        """Write the number of each of ``ids`` into ``numbers``, which is as long.

        >>> from array import array
        >>> numbers, numbering = array("I", [0] * 4), Numbering()
        >>> numbering.number(array("Q", [70, 2**60, 70, 3]), numbers)
        >>> numbers.tolist(), len(numbering)
        ([0, 1, 0, 2], 3)
        """
        if numbers.shape[0] != ids.shape[0]:
            raise ValueError(f"numbers must be as long as ids ({ids.shape[0]}), got {numbers.shape[0]}")
        if ids.shape[0] > 0:
            check(pc_ids_number(&self.core, &ids[0], &numbers[0], ids.shape[0]))


@cython.final
cdef class Replay:
    """One cache without values, to which requests for the ids below ``ids`` are fed."""

    cdef pc_replay core
    cdef uint32_t ids
    cdef bint weighted, feeding

    def __cinit__(self, str policy not None, uint64_t capacity, uint32_t ids, bint weighted, uint64_t seed):
        cdef pc_alloc alloc = pc_alloc_system()
        cdef pc_mode mode = <pc_mode><int>POLICIES.index(policy)
        self.ids = ids
        self.weighted = weighted
        check(pc_replay_init(&self.core, &alloc, mode, capacity, weighted, ids, seed))

    def __dealloc__(self):
        pc_replay_destroy(&self.core)

    def feed(self, const uint32_t[::1] ids not None, const uint32_t[::1] weights=None, /):
        """Play requests, with the weight of each object where the replay is weighted. Releases the GIL.

        >>> from array import array
        >>> replay = Replay("lru", 2, 3, False, 0)
        >>> replay.feed(array("I", [0, 1, 0, 2, 0, 1]))
        >>> replay.counts()
        (6, 2, 6, 2, 2)
        """
        cdef size_t count = ids.shape[0]
        cdef pc_status status
        if (weights is not None) != self.weighted or (self.weighted and <size_t>weights.shape[0] != count):
            raise ValueError("a weighted replay takes as many weights as ids, any other none")
        if count == 0:
            return
        if largest(&ids[0], count) >= self.ids:
            raise ValueError(f"every id must be below {self.ids}")
        if self.feeding:
            raise RuntimeError("another thread is feeding this replay")
        self.feeding = True
        cdef const uint32_t *weight = &weights[0] if self.weighted else NULL
        with nogil:
            status = pc_replay_feed(&self.core, &ids[0], weight, count)
        self.feeding = False
        check(status)

    def counts(self):
        """Return requests, hits, their weights (of unit weight each unless weighted), and evictions."""
        cdef pc_replay_counts c = self.core.counts
        if self.weighted:
            return c.requests, c.hits, c.weight, c.weight_hit, c.evictions
        return c.requests, c.hits, c.requests, c.hits, c.evictions

    def state(self):
        """Return the arm that is played and how often it changed."""
        cdef pc_policy_state state = pc_replay_explain(&self.core)
        return ARMS[state.arm], state.switches


def distinct(const uint32_t[::1] ids not None, uint32_t bound, /):
    """Return how many different ids there are; all of them are below ``bound``.

    >>> from array import array
    >>> distinct(array("I", [5, 0, 5]), 6)
    2
    """
    cdef size_t count = ids.shape[0], i
    cdef uint32_t found = 0
    if count == 0:
        return 0
    if largest(&ids[0], count) >= bound:
        raise ValueError(f"every id must be below {bound}")
    cdef const uint32_t *at = &ids[0]
    cdef bytearray flags = bytearray(bound)
    cdef unsigned char *seen = flags
    with nogil:
        for i in range(count):
            found += not seen[at[i]]
            seen[at[i]] = 1
    return found


cdef uint32_t largest(const uint32_t *ids, size_t count) noexcept nogil:
    cdef uint32_t found = 0
    cdef size_t i
    for i in range(count):
        found = max(found, ids[i])
    return found
