from perfcore._native.engine cimport CacheEngine


cdef class Cache(CacheEngine):
    pass
