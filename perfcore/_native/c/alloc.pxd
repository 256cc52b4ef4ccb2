cdef extern from "alloc.h" nogil:
    ctypedef struct pc_alloc:
        void *(*zalloc)(void *ctx, size_t size) noexcept nogil
        void (*release)(void *ctx, void *block) noexcept nogil
        void *ctx
