from perfcore._native.engine cimport CacheEngine


cdef class Cache(CacheEngine):
    cdef int prefetch(self, list keys, Py_ssize_t start, Py_ssize_t end) except -1
