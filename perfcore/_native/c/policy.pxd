from libc.stdint cimport uint8_t, uint32_t, uint64_t

from perfcore._native.c.base cimport pc_status


cdef extern from "policy.h" nogil:
    uint64_t PC_UNBOUNDED
    enum: PC_ARMS

    ctypedef enum pc_mode:
        PC_LRU
        PC_LFU
        PC_RANDOM
        PC_ADAPTIVE

    ctypedef struct pc_policy:
        pc_mode mode

    ctypedef struct pc_policy_walk:
        pass

    ctypedef struct pc_policy_state:
        int arm
        uint64_t window_room, window_weight, main_weight, pinned_count
        uint32_t clock, switches, sample_rate
        double hits[4]
        double discord[4]

    void pc_policy_catch_up(pc_policy *p)
    void pc_policy_prefetch(const pc_policy *p, uint32_t hash)
    unsigned int pc_policy_frequency(const pc_policy *p, uint32_t slot)
    unsigned int pc_policy_absent_frequency(const pc_policy *p, uint32_t hash)
    uint32_t pc_policy_ghost_age(const pc_policy *p, uint32_t hash)
    pc_policy_walk pc_policy_walk_from(pc_policy *p, bint hottest_first)
    uint32_t pc_policy_walk_next(const pc_policy *p, pc_policy_walk *walk)
    pc_policy_state pc_policy_explain(const pc_policy *p)
