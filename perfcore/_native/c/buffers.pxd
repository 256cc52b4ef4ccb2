from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport pc_status


cdef extern from "buffers.h" nogil:
    const unsigned int PC_SMALL, PC_CLASSES, PC_OVERSIZE, PC_PAGE
    const size_t PC_LARGEST

    ctypedef enum pc_clearing:
        PC_CLEAR_ON_RETURN
        PC_CLEAR_ON_ACQUIRE
        PC_CLEAR_NEVER

    ctypedef enum pc_verdict:
        PC_RELEASED
        PC_DEFERRED
        PC_EXPORTED
        PC_STALE

    ctypedef struct pc_block "pc_block":
        unsigned char *memory
        size_t size, asked
        pc_block *next
        unsigned int class_ "class"

    ctypedef struct pc_tally:
        uint64_t reused, made, oversize, returned, discarded, trimmed
        uint64_t lent_bytes, asked_bytes, returned_bytes, unasked_bytes, cleared_bytes

    ctypedef struct pc_rack:
        uint32_t count

    ctypedef struct pc_depot:
        pc_rack racks[64]
        uint64_t idle_bytes
        uint64_t max_bytes
        uint32_t per_class
        size_t largest
        bint closed
        uint32_t recalls, gives
        pc_tally tally

    ctypedef struct pc_magazine:
        uint64_t idle_bytes
        uint32_t counts[4]
        uint32_t recalls, gives
        pc_tally tally

    size_t pc_class_size(unsigned int class_)
    void pc_depot_init(pc_depot *d, const pc_alloc *alloc, size_t alignment, size_t largest, uint64_t max_bytes,
                       uint32_t per_class, pc_clearing clearing)
    void pc_depot_destroy(pc_depot *d)
    unsigned int pc_depot_class(const pc_depot *d, size_t size)
    pc_block *pc_depot_take(pc_depot *d, unsigned int class_)
    pc_block *pc_magazine_take(pc_magazine *m, unsigned int class_)
    void pc_depot_refill(pc_depot *d, pc_magazine *m, unsigned int class_)
    pc_block *pc_depot_spare(pc_depot *d)
    void pc_depot_keep_spare(pc_depot *d, pc_block *spare)
    pc_block *pc_block_new(const pc_depot *d)
    pc_status pc_block_furnish(const pc_depot *d, pc_block *b, unsigned int class_, size_t size)
    size_t pc_block_lend(const pc_depot *d, pc_block *b, size_t asked)
    void pc_block_lent(const pc_block *b, bint fresh, size_t cleared, pc_tally *t)
    size_t pc_block_clean(const pc_depot *d, pc_block *b)
    void pc_block_returned(const pc_block *b, size_t cleared, pc_tally *t)
    pc_block *pc_depot_give(pc_depot *d, pc_block *b)
    bint pc_magazine_give(pc_magazine *m, pc_block *b)
    pc_block *pc_depot_keep(pc_depot *d, pc_magazine *m, pc_block *b)
    pc_block *pc_depot_unload(pc_depot *d, pc_magazine *m, unsigned int class_)
    pc_block *pc_depot_unload_all(pc_depot *d, pc_magazine *m)
    void pc_depot_absorb(pc_depot *d, pc_magazine *m)
    void pc_block_empty(const pc_depot *d, pc_block *b)
    pc_block *pc_depot_trim(pc_depot *d, uint64_t target)
    pc_block *pc_depot_age(pc_depot *d)
    pc_verdict pc_block_release(pc_block *b, uint64_t generation, bint defer)
    bint pc_block_export(pc_block *b, uint64_t generation, size_t reach)
    bint pc_block_unexport(pc_block *b)
    bint pc_block_held(const pc_block *b, uint64_t generation)
    uint64_t pc_block_generation(const pc_block *b)
    uint32_t pc_block_views(const pc_block *b)
    bint pc_depot_valid(const pc_depot *d)
    bint pc_magazine_valid(const pc_magazine *m)
