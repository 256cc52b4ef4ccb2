from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport pc_status
from perfcore._native.c.policy cimport pc_mode, pc_policy_state


cdef extern from "alloc.h" nogil:
    pc_alloc pc_alloc_system()


cdef extern from "ids.h" nogil:
    ctypedef struct pc_ids:
        uint32_t count

    pc_status pc_ids_init(pc_ids *d, const pc_alloc *alloc, uint64_t seed)
    void pc_ids_destroy(pc_ids *d)
    pc_status pc_ids_number(pc_ids *d, const uint64_t *ids, uint32_t *numbers, size_t count)


cdef extern from "replay.h" nogil:
    ctypedef struct pc_replay_counts:
        uint64_t requests, hits, weight, weight_hit, evictions

    ctypedef struct pc_replay:
        pc_replay_counts counts

    pc_status pc_replay_init(pc_replay *r, const pc_alloc *alloc, pc_mode mode, uint64_t capacity, bint weighted,
                             uint32_t ids, uint64_t seed)
    void pc_replay_destroy(pc_replay *r)
    pc_status pc_replay_feed(pc_replay *r, const uint32_t *ids, const uint32_t *weights, size_t count)
    pc_policy_state pc_replay_explain(const pc_replay *r)
