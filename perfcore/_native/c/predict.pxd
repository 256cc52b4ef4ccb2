from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport pc_status


cdef extern from "judge.h" nogil:
    const unsigned PC_GRADES
    const unsigned PC_JUDGE_TABLES
    const unsigned PC_JUDGE_CELLS

    ctypedef struct pc_judge:
        pass

    bint pc_judge_valid(const pc_judge *j)


cdef extern from "predict.h" nogil:
    const unsigned PC_PREDICT_LISTED

    ctypedef struct pc_foreseen:
        uint32_t row
        uint32_t tag
        uint32_t made
        float confidence

    ctypedef struct pc_predict_counts:
        uint64_t issued
        uint64_t arrived
        uint64_t used
        uint64_t late
        uint64_t wasted
        uint64_t failed
        uint64_t pauses

    ctypedef struct pc_predict:
        uint32_t capacity
        uint32_t used
        uint32_t now
        uint32_t held_count
        bint paused
        float stay
        float lead
        pc_judge judge
        pc_predict_counts counts

    ctypedef struct pc_visited:
        uint32_t row
        bint fresh

    pc_status pc_predict_init(pc_predict *p, const pc_alloc *alloc, uint32_t size, uint32_t rows, uint32_t visits,
                              uint32_t contexts, float threshold, const uint64_t *seed)
    void pc_predict_destroy(pc_predict *p)
    pc_visited pc_predict_visit(pc_predict *p, uint64_t hash, uint64_t context, int hit)
    unsigned pc_predict_list(const pc_predict *p, pc_foreseen *out, unsigned room)
    bint pc_predict_begin(pc_predict *p, pc_foreseen *f)
    void pc_predict_fail(pc_predict *p, const pc_foreseen *f)
    uint32_t pc_predict_arrive(pc_predict *p, const pc_foreseen *f)
    void pc_predict_present(pc_predict *p, const pc_foreseen *f)
    uint32_t pc_predict_recent(const pc_predict *p, uint32_t *rows, uint32_t room)
    float pc_predict_precision(const pc_predict *p)
    bint pc_predict_open(pc_predict *p)
    bint pc_predict_valid(const pc_predict *p)
    size_t pc_predict_bytes(const pc_predict *p)
