from libc.stdint cimport uint64_t

from perfcore._native.c.ring cimport pc_ring, pc_ring_reader
from perfcore._native.lock cimport pc_lock


cdef class SampleRing:
    cdef pc_ring *core
    cdef uint64_t away          # puts under way without the GIL; changed with it, and not used where there is none
    cdef pc_ring_reader reader  # of drain(), guarded by mutex
    cdef pc_lock mutex
    cdef object __weakref__

    cdef bint record(self, uint64_t time_ns, uint64_t series, uint64_t value) noexcept
