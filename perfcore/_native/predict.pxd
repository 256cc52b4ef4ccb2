from perfcore._native.c.predict cimport pc_foreseen, pc_predict
from perfcore._native.lock cimport pc_lock


cdef class Foreseen:
    cdef readonly object key
    cdef pc_foreseen core


cdef class Predictor:
    cdef pc_predict core
    cdef list keys   # of the rows
    cdef object cache
    cdef pc_lock mutex
    cdef object __weakref__

    cdef int visit(self, object key, object context, int hit) except -1
