from libc.stdint cimport uint64_t


cdef extern from "clock.h" nogil:
    uint64_t PC_SECOND
    uint64_t PC_CLOCK_LAG
    uint64_t pc_clock_ns()
    uint64_t pc_clock_coarse_ns()
