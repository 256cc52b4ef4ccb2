from libc.stdint cimport uint32_t

from perfcore._native.engine cimport CacheEngine

cdef object policy_state(CacheEngine cache)
cdef list ranked(CacheEngine cache, uint32_t n, bint hottest_first)
cdef object explain(CacheEngine cache, object key)
