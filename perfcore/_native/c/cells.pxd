from libc.stdint cimport uint64_t


cdef extern from "cells.h" nogil:
    ctypedef struct pc_atomic_u64:  # opaque: only the core looks inside
        pass

    const size_t PC_CELL_STRIDE
    const size_t PC_COUNTER_WORDS
    const size_t PC_GAUGE_WORDS

    double pc_double_of(uint64_t bits)
    uint64_t pc_bits_of(double value)
    void pc_cell_count(pc_atomic_u64 *word, uint64_t amount)
    void pc_cell_add(pc_atomic_u64 *word, double amount)
    void pc_cell_set(pc_atomic_u64 *word, double value)
    uint64_t pc_cell_total(const pc_atomic_u64 *word, unsigned shards, size_t stride)
    double pc_cell_sum(const pc_atomic_u64 *word, unsigned shards, size_t stride)
