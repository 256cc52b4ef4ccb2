from libc.stdint cimport uint64_t

from perfcore._native.engine cimport CacheEngine

cdef list saved(CacheEngine cache)
cdef int restore(CacheEngine cache, tuple saved, uint64_t now) except -1
