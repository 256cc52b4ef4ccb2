from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.policy cimport pc_mode


cdef extern from "curve.h" nogil:
    enum:
        PC_CURVE_SIZES
        PC_CURVE_MINIS
        PC_CURVE_HALVES

    const uint32_t pc_curve_quarters[]

    ctypedef struct pc_curve_half:
        uint64_t sampled
        uint64_t *hits

    ctypedef struct pc_curve:
        pc_curve_half *half
        unsigned rate
        uint64_t entries, requests, followed, repeated

    pc_curve *pc_curve_new(const pc_alloc *alloc, pc_mode mode, uint64_t entries, const uint64_t *seed)
    void pc_curve_free(pc_curve *c)
    void pc_curve_note(pc_curve *c, uint32_t hash)
    size_t pc_curve_bytes(const pc_curve *c)
    bint pc_curve_valid(const pc_curve *c)
