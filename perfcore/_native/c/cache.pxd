from libc.stdint cimport uint8_t, uint32_t, uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport pc_status
from perfcore._native.c.policy cimport pc_mode, pc_policy
from perfcore._native.c.slots cimport pc_slots
from perfcore._native.c.table cimport pc_table


cdef extern from "cache.h" nogil:
    uint64_t PC_NEVER
    uint32_t PC_CACHE_EXPIRY_BUDGET

    ctypedef enum pc_cause:
        PC_CAUSE_SIZE
        PC_CAUSE_EXPIRED
        PC_CAUSE_EXPLICIT
        PC_CAUSE_REJECTED
        PC_CAUSE_INVALIDATED

    ctypedef struct pc_list:
        uint32_t count

    ctypedef struct pc_cache:
        pc_slots slots
        pc_table table
        pc_policy policy
        pc_list limbo
        uint64_t seed[2]
        uint64_t capacity
        uint64_t version, changes

    pc_status pc_cache_init(pc_cache *c, const pc_alloc *alloc, uint32_t payload_size, pc_mode mode,
                            uint64_t capacity, bint weighted, const uint64_t *seed)
    void pc_cache_destroy(pc_cache *c)
    pc_status pc_cache_reserve(pc_cache *c, uint64_t now, bint timed, bint idle)
    uint32_t pc_cache_insert(pc_cache *c, uint32_t hash, uint32_t weight)
    uint32_t pc_cache_restore(pc_cache *c, uint32_t hash, uint32_t weight, uint8_t queue, unsigned int frequency)
    void pc_cache_hit(pc_cache *c, uint32_t slot)
    void pc_cache_remove(pc_cache *c, uint32_t slot, pc_cause cause)
    void pc_cache_expire(pc_cache *c, uint64_t now, uint32_t budget)
    bint pc_cache_departure(const pc_cache *c, uint32_t hash, pc_cause *cause)
    void pc_cache_reweigh(pc_cache *c, uint32_t slot, uint32_t weight)
    pc_status pc_cache_resize(pc_cache *c, uint64_t capacity)
    pc_status pc_cache_set_mode(pc_cache *c, pc_mode mode)
    void pc_cache_set_life(pc_cache *c, uint32_t slot, uint64_t deadline, uint64_t grant, uint64_t end)
    void pc_cache_prolong(pc_cache *c, uint32_t slot, uint64_t now)
    bint pc_cache_holds(const pc_cache *c, uint32_t slot)
    bint pc_cache_timed(const pc_cache *c, uint32_t slot)
    bint pc_cache_expired(const pc_cache *c, uint32_t slot, uint64_t now)
    uint32_t pc_cache_collect(pc_cache *c, pc_cause *cause)
    void pc_cache_detach(pc_cache *c, pc_slots *slots)
    uint32_t pc_cache_count(const pc_cache *c)
    uint64_t pc_cache_weight(const pc_cache *c)
    size_t pc_cache_bytes(const pc_cache *c)
    bint pc_cache_valid(const pc_cache *c)
