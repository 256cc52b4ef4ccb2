from perfcore._native.engine cimport CacheEngine

cdef list get_many(CacheEngine cache, list keys, object default)
cdef int set_many(CacheEngine cache, object pairs, object ttl, object tti, object tags, object weight) except -1
