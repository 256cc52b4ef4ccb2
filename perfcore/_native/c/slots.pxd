from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "slots.h" nogil:
    ctypedef struct pc_node:
        uint32_t hash
        uint8_t queue

    ctypedef struct pc_life:
        uint64_t deadline

    ctypedef struct pc_idle:
        uint64_t grant, end

    ctypedef struct pc_column:
        uint32_t size

    ctypedef struct pc_slots:
        uint32_t used
        pc_column life, idle, weight

    pc_node *pc_slots_node(const pc_slots *s, uint32_t slot)
    void *pc_slots_payload(const pc_slots *s, uint32_t slot)
    uint32_t *pc_slots_weight(const pc_slots *s, uint32_t slot)
    pc_life *pc_slots_life(const pc_slots *s, uint32_t slot)
    pc_idle *pc_slots_idle(const pc_slots *s, uint32_t slot)
    bint pc_slots_in_use(const pc_slots *s, uint32_t slot)
    void pc_slots_give(pc_slots *s, uint32_t slot)
    void pc_slots_destroy(pc_slots *s)
