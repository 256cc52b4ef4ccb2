from libc.stdint cimport uint64_t, uintptr_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport pc_status


cdef extern from "census.h" nogil:
    ctypedef struct pc_kind:
        uint64_t gone
        uint64_t stayed

    ctypedef struct pc_census:
        uint64_t born

    pc_status pc_census_init(pc_census *c, const pc_alloc *alloc, size_t kinds)
    void pc_census_destroy(pc_census *c)
    pc_status pc_census_add(pc_census *c, uintptr_t word, size_t place)
    const pc_kind *pc_census_find(const pc_census *c, uintptr_t word)
    void pc_census_end(pc_census *c)
