from libc.stdint cimport uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.cells cimport pc_atomic_u64


cdef extern from "ring.h" nogil:
    const uint64_t PC_RING_SMALLEST
    const uint64_t PC_RING_LARGEST

    ctypedef struct pc_ring:
        pc_atomic_u64 head
        pc_atomic_u64 dropped
        uint64_t mask

    ctypedef struct pc_record:
        uint64_t word[3]

    ctypedef struct pc_ring_reader:
        uint64_t next
        uint64_t missed
        unsigned unsettled_count

    pc_ring *pc_ring_create(const pc_alloc *alloc, uint64_t capacity)
    void pc_ring_destroy(pc_ring *r)
    void pc_ring_reset(pc_ring *r)
    uint64_t pc_ring_snapshot(const pc_ring *r, pc_record *out)
    uint64_t pc_ring_drain(const pc_ring *r, pc_ring_reader *reader, pc_record *out, uint64_t room)
    uint64_t pc_ring_poisoned(const pc_ring *r)
    bint pc_ring_valid(const pc_ring *r)
    size_t pc_ring_bytes(const pc_ring *r)
    uint64_t pc_ring_take_tickets(pc_ring *r, uint64_t count)
    bint pc_ring_write(pc_ring *r, uint64_t ticket, uint64_t a, uint64_t b, uint64_t c)
    bint pc_ring_put(pc_ring *r, uint64_t a, uint64_t b, uint64_t c)
    bint pc_ring_put_locked(pc_ring *r, uint64_t away, uint64_t a, uint64_t b, uint64_t c)
