from libc.stdint cimport uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.cells cimport pc_atomic_u64


cdef extern from "queue.h" nogil:
    const uint64_t PC_QUEUE_LARGEST

    ctypedef struct pc_queue:
        pc_atomic_u64 head
        pc_atomic_u64 tail
        pc_atomic_u64 dropped
        uint64_t mask

    pc_queue *pc_queue_create(const pc_alloc *alloc, uint64_t capacity)
    void pc_queue_destroy(pc_queue *q)
    void pc_queue_reset(pc_queue *q)
    bint pc_queue_peek(const pc_queue *q, uint64_t position, void **item)
    bint pc_queue_valid(const pc_queue *q)
    bint pc_queue_put(pc_queue *q, void *item)
    bint pc_queue_take(pc_queue *q, void **item)
    uint64_t pc_queue_count(const pc_queue *q)
