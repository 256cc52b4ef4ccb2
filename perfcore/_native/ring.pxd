from perfcore._native.c.ring cimport pc_ring, pc_ring_reader
from perfcore._native.lock cimport pc_lock


cdef class SampleRing:
    cdef pc_ring *core
    cdef pc_ring_reader reader  # of drain(), guarded by mutex
    cdef pc_lock mutex
    cdef object __weakref__
