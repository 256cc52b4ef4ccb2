from libc.stdint cimport uint64_t

from perfcore._native.c.cells cimport pc_atomic_u64
from perfcore._native.lock cimport pc_lock


cdef class Words:
    cdef pc_atomic_u64 *at
    cdef void *block            # what the allocator gave, or NULL where `home` holds the words
    cdef const unsigned char[::1] home
    cdef readonly Py_ssize_t count
    cdef uint64_t *merged       # a readout of what was merged into a histogram, guarded by mutex; NULL: nothing
    cdef pc_lock mutex


cdef class Instrument:
    cdef pc_atomic_u64 *at      # NULL: has labels, and counts only through its children
    cdef unsigned shards
    cdef Words words
    cdef readonly object family
    cdef readonly tuple label_values
    cdef object __weakref__

    cdef int refuse(self) except -1


cdef class Counter(Instrument):
    cdef int add(self, object amount) except -1


cdef class Gauge(Instrument):
    cdef int note(self) noexcept


cpdef unsigned shards_here()
