from libc.stdint cimport uint64_t

from perfcore._native.cache cimport Cache


cdef class Guarded:
    cdef readonly object value, source
    cdef readonly tuple marks, files
    cdef readonly double fresh
    cdef uint64_t seen        # the front's `moves` when the marks were last found current, or 0


cdef class Front:
    cdef Cache cache
    cdef object prefix        # None, or what stands before each key in the memory tier
    cdef object words         # keeps what `word` points into
    cdef uint64_t *word       # moves when another process changed something
    cdef uint64_t seen        # the word when that was last taken notice of
    cdef uint64_t moves       # how often stamps have moved
    cdef uint64_t none        # the word where there is none to look at
    cdef object __weakref__
