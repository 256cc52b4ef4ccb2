from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.cells cimport pc_atomic_u64


cdef extern from "hist.h" nogil:
    enum:
        PC_HIST_SCALE
        PC_HIST_PER_OCTAVE
        PC_HIST_LOWEST
        PC_HIST_HIGHEST
        PC_HIST_SUM
        PC_HIST_ZERO
        PC_HIST_UNDER
        PC_HIST_NEGATIVE
        PC_HIST_NAN
        PC_HIST_OVER
        PC_HIST_BUCKETS

    ctypedef struct pc_hist_shape:
        int low
        uint32_t buckets

    size_t pc_hist_words(pc_hist_shape s)
    size_t pc_hist_stride(pc_hist_shape s)
    void pc_hist_record(pc_atomic_u64 *live, pc_hist_shape s, double value)
    void pc_hist_read(pc_hist_shape s, const pc_atomic_u64 *live, unsigned shards, uint64_t *readout)
    void pc_hist_pour(pc_hist_shape s, pc_atomic_u64 *live, const uint64_t *readout)
    void pc_hist_add(pc_hist_shape s, uint64_t *into, const uint64_t *other)
    bint pc_hist_subtract(pc_hist_shape s, uint64_t *into, const uint64_t *other)
    uint64_t pc_hist_count(pc_hist_shape s, const uint64_t *readout)
    double pc_hist_upper(pc_hist_shape s, uint32_t i)
    double pc_hist_middle(pc_hist_shape s, uint32_t i)
    double pc_hist_quantile(pc_hist_shape s, const uint64_t *readout, double q)
    uint64_t pc_hist_at_most(pc_hist_shape s, const uint64_t *readout, double bound)
