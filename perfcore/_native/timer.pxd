from libc.stdint cimport uint64_t

from perfcore._native.histogram cimport Histogram


cdef class Timer(Histogram):
    cdef unsigned long entered  # counts with-blocks, to notice an __exit__ without one


cdef class Span:
    cdef Timer timer
    cdef uint64_t start
    cdef unsigned long entered
    cdef bint asynchronous, checked

    cdef double elapsed(self) noexcept
