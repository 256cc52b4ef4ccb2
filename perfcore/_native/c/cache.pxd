from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport pc_status
from perfcore._native.c.slots cimport pc_slots
from perfcore._native.c.table cimport pc_table


cdef extern from "cache.h" nogil:
    uint64_t PC_UNBOUNDED
    uint64_t PC_NEVER

    ctypedef enum pc_cause:
        PC_CAUSE_SIZE
        PC_CAUSE_EXPIRED
        PC_CAUSE_EXPLICIT
        PC_CAUSE_REJECTED

    ctypedef struct pc_list:
        uint32_t count

    ctypedef struct pc_cache:
        pc_slots slots
        pc_table table
        pc_list lru, limbo
        uint64_t seed[2]
        uint64_t capacity
        uint64_t version, changes

    pc_status pc_cache_init(pc_cache *c, const pc_alloc *alloc, uint32_t payload_size, uint64_t capacity,
                            bint weighted, const uint64_t *seed)
    void pc_cache_destroy(pc_cache *c)
    pc_status pc_cache_reserve(pc_cache *c, bint timed, bint idle)
    uint32_t pc_cache_insert(pc_cache *c, uint32_t hash, uint32_t weight)
    void pc_cache_hit(pc_cache *c, uint32_t slot)
    void pc_cache_remove(pc_cache *c, uint32_t slot, pc_cause cause)
    void pc_cache_reweigh(pc_cache *c, uint32_t slot, uint32_t weight)
    void pc_cache_resize(pc_cache *c, uint64_t capacity)
    uint32_t pc_cache_victim(const pc_cache *c)
    void pc_cache_set_life(pc_cache *c, uint32_t slot, uint64_t now, uint64_t end, uint64_t grant)
    void pc_cache_prolong(pc_cache *c, uint32_t slot, uint64_t now)
    bint pc_cache_holds(const pc_cache *c, uint32_t slot)
    bint pc_cache_timed(const pc_cache *c, uint32_t slot)
    bint pc_cache_expired(const pc_cache *c, uint32_t slot, uint64_t now)
    uint32_t pc_cache_collect(pc_cache *c, pc_cause *cause)
    void pc_cache_detach(pc_cache *c, pc_slots *slots)
    uint64_t pc_cache_weight(const pc_cache *c)
    size_t pc_cache_bytes(const pc_cache *c)
    bint pc_cache_valid(const pc_cache *c)
