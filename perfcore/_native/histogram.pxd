from libc.stdint cimport uint64_t

from perfcore._native.c.hist cimport pc_hist_shape
from perfcore._native.metrics cimport Instrument


cdef class HistogramSnapshot:
    cdef uint64_t *words
    cdef pc_hist_shape shape

    cdef int own(self, pc_hist_shape shape) except -1


cdef class Histogram(Instrument):
    cdef pc_hist_shape shape

    cdef int keep(self, Histogram live, HistogramSnapshot taken) except -1
    cdef HistogramSnapshot read(self)
