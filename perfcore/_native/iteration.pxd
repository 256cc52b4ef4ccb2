from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.engine cimport CacheEngine


cdef enum:
    KEYS, VALUES, ITEMS


cdef class CacheIterator:
    cdef CacheEngine cache
    cdef uint32_t slot
    cdef uint64_t changes
    cdef int kind


cdef CacheIterator iterate(CacheEngine cache, int kind)
