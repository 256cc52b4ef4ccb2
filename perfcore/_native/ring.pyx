"""The flight recorder of samples, over ``src_c/ring.h``."""

import os
from weakref import WeakSet

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.cells cimport pc_bits_of, pc_cell_total
from perfcore._native.c.clock cimport pc_clock_ns
from perfcore._native.c.ring cimport *
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_enrol, pc_lock_release, pc_lock_retire, survive_forks

__all__ = ["SampleRing", "record_type"]

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    enum { PC_GIL = 0 };
    #else
    enum { PC_GIL = 1 };
    #endif
    """
    const bint PC_GIL

cdef object living = WeakSet()
cdef object RECORD = None

cdef enum:
    LONG = 4096        # values in a row that are worth releasing the GIL for
    VERY_LONG = 1 << 18  # slots whose snapshot is: a smaller one takes less time than getting the GIL back would


def record_type():
    """Return the numpy dtype of a sample: ``time_ns`` and ``series`` are int64, ``value`` is float64."""
    global RECORD
    if RECORD is None:
        from numpy import dtype
        RECORD = dtype([("time_ns", "<i8"), ("series", "<i8"), ("value", "<f8")])
    return RECORD


cdef void *zalloc(void *ctx, size_t size) noexcept nogil:
    return PyMem_RawCalloc(1, size)


cdef void release_block(void *ctx, void *block) noexcept nogil:
    PyMem_RawFree(block)


@cython.binding(False)
cdef class SampleRing:
    """SampleRing(capacity=65_536)

    The last ``capacity`` samples ``(time_ns, series, value)``: many writers, the oldest is overwritten, nobody waits.

    ``capacity`` is a power of two from 64 to 2**30; a sample takes 32 bytes. A ``series`` is any 64-bit integer of the
    caller's, a ``value`` any float, NaN too. ``head`` counts the tickets that were taken, and is always ``accepted +
    dropped``: a sample is dropped only when its writer, a thread without the GIL, meets a peer that is a whole lap
    behind. A forked child starts with empty rings.

    >>> ring = SampleRing(64)
    >>> for i in range(100): _ = ring.put(7, i / 10)
    >>> samples = ring.snapshot()
    >>> len(samples), float(samples["value"][0]), float(samples["value"][-1])
    (64, 3.6, 9.9)
    >>> ring.head, ring.accepted, ring.dropped
    (100, 100, 0)
    """

    def __cinit__(self, capacity=65_536, /):
        cdef pc_alloc alloc
        pc_lock_enrol(&self.mutex)
        alloc.zalloc, alloc.release, alloc.ctx = zalloc, release_block, NULL
        if isinstance(capacity, bool) or not isinstance(capacity, int):
            raise TypeError(f"capacity must be an int, not {type(capacity).__name__}")
        if not PC_RING_SMALLEST <= capacity <= PC_RING_LARGEST or capacity & (capacity - 1):
            raise ValueError(f"capacity must be a power of two from {PC_RING_SMALLEST} to 2**30, got {capacity}")
        self.core = pc_ring_create(&alloc, capacity)
        if self.core == NULL:
            raise MemoryError
        living.add(self)

    def __dealloc__(self):
        pc_lock_retire(&self.mutex)
        pc_ring_destroy(self.core)

    def put(self, int64_t series, double value, /):
        """Record a sample with the time of now; False when it was dropped, and counted."""
        return self.record(pc_clock_ns(), <uint64_t>series, pc_bits_of(value))

    def put_at(self, int64_t time_ns, int64_t series, double value, /):
        """Record a sample with a time of the caller's, in nanoseconds of any clock."""
        return self.record(<uint64_t>time_ns, <uint64_t>series, pc_bits_of(value))

    @cython.final
    cdef inline bint record(self, uint64_t time_ns, uint64_t series, uint64_t value) noexcept:
        if PC_GIL:
            return pc_ring_put_locked(self.core, self.away, time_ns, series, value)
        return pc_ring_put(self.core, time_ns, series, value)

    def put_many(self, series, values, /, times=None):
        """Record an array of values, of one series or of an array of them; return how many were accepted.

        ``times`` are nanoseconds; None is now, for all. Raises ValueError when the arrays are not of one length. The
        tickets are taken at once, so the samples lie together. Long arrays are written without the GIL.
        """
        from numpy import ascontiguousarray, broadcast_to, float64, int64
        cdef const double[::1] v = ascontiguousarray(values, dtype=float64).reshape(-1)
        cdef Py_ssize_t n = v.shape[0]
        cdef const int64_t[::1] s = ascontiguousarray(broadcast_to(series, n), dtype=int64)
        cdef const int64_t[::1] t = None
        if times is not None:
            t = ascontiguousarray(times, dtype=int64).reshape(-1)
            if t.shape[0] != n:
                raise ValueError(f"{n} values need as many times, got {t.shape[0]}")
        if n == 0:
            return 0
        if n < LONG:
            return write(self.core, n, &t[0] if t is not None else NULL, &s[0], &v[0])
        cdef uint64_t accepted
        cdef const int64_t *at = &t[0] if t is not None else NULL
        if PC_GIL:
            self.away += 1
        with nogil:
            accepted = write(self.core, n, at, &s[0], &v[0])
        if PC_GIL:
            self.away -= 1
        return accepted

    def snapshot(self):
        """Return the complete samples of the last ``capacity`` tickets, oldest first, as a numpy structured array.

        Never a torn sample, none twice; writers are not delayed and may go on meanwhile.
        """
        from numpy import empty
        found = empty(self.capacity, record_type())
        cdef unsigned char[::1] bytes_ = found.view("u1")
        cdef pc_record *out = <pc_record *>&bytes_[0]
        cdef uint64_t count
        if self.core.mask < VERY_LONG:
            count = pc_ring_snapshot(self.core, out)
        else:
            with nogil:
                count = pc_ring_snapshot(self.core, out)
        return found[:count]

    def drain(self, limit=None, /):
        """Return what no earlier ``drain`` returned, at most ``limit`` samples (None: all), oldest first.

        A sample that is being written at the moment comes with the next call. What was overwritten before it was
        drained is counted in ``missed``. Does not disturb ``snapshot``.
        """
        from numpy import empty
        cdef uint64_t capacity = self.core.mask + 1, room, count
        if limit is not None and limit < 0:
            raise ValueError(f"limit must not be negative, got {limit}")
        room = capacity if limit is None else min(limit, capacity)
        found = empty(room, record_type())
        cdef unsigned char[::1] bytes_ = found.view("u1")
        cdef pc_record *out = <pc_record *>&bytes_[0] if room else NULL
        pc_lock_acquire(&self.mutex)
        count = pc_ring_drain(self.core, &self.reader, out, room)
        pc_lock_release(&self.mutex)
        return found[:count].copy() if count * 2 < room else found[:count]

    @property
    def capacity(self):
        """How many samples are kept."""
        return self.core.mask + 1

    @property
    def head(self):
        """How many tickets were taken: samples that were put, whatever became of them."""
        return pc_cell_total(&self.core.head, 1, 1)

    @property
    def dropped(self):
        """How many samples found no slot."""
        return pc_cell_total(&self.core.dropped, 1, 1)

    @property
    def accepted(self):
        """``head - dropped``; exact when no put is under way."""
        cdef uint64_t dropped = pc_cell_total(&self.core.dropped, 1, 1)  # first: it never exceeds a later head
        return pc_cell_total(&self.core.head, 1, 1) - dropped

    @property
    def missed(self):
        """How many samples ``drain`` will never return, because they were overwritten or dropped before."""
        return self.reader.missed

    @property
    def poisoned_slots(self):
        """Slots with a put under way; one that stays is lost until the ring is made anew."""
        return pc_ring_poisoned(self.core)

    def __sizeof__(self):
        return object.__sizeof__(self) + pc_ring_bytes(self.core)

    def __repr__(self):
        return f"<SampleRing capacity={self.capacity} head={self.head} dropped={self.dropped}>"

    def __reduce__(self):
        raise TypeError("a SampleRing belongs to its process; pickle its snapshot() instead")

    def _check(self):
        """Raise AssertionError unless the ring is consistent; only where no put is under way."""
        if not pc_ring_valid(self.core):
            raise AssertionError("the ring is inconsistent")

    def _reset(self):
        """Forget everything; only where no other thread uses the ring."""
        pc_ring_reset(self.core)
        self.away = 0
        memset(&self.reader, 0, sizeof(self.reader))


cdef uint64_t write(
    pc_ring *core, Py_ssize_t n, const int64_t *times, const int64_t *series, const double *values
) noexcept nogil:
    """Record n samples, all with the time of now when times is NULL; return how many were accepted."""
    cdef uint64_t now = pc_clock_ns(), first = pc_ring_take_tickets(core, n), accepted = 0
    cdef Py_ssize_t i
    for i in range(n):
        accepted += pc_ring_write(
            core, first + i, <uint64_t>times[i] if times != NULL else now, <uint64_t>series[i], pc_bits_of(values[i])
        )
    return accepted


def forget():
    """Empty the rings of a forked child: their samples are the parent's, and a put may have been cut off."""
    for ring in list(living):
        ring._reset()


os.register_at_fork(after_in_child=forget)

survive_forks()
