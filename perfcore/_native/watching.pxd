cdef extern from *:
    """
    #include <stdatomic.h>

    typedef _Atomic long pc_watchers;

    /* Nothing is published by this number: who is asked whether somebody watches may learn it a moment later. */
    static inline void pc_watchers_add(pc_watchers *watchers, long change)
    {
        atomic_fetch_add_explicit(watchers, change, memory_order_relaxed);
    }

    static inline long pc_watchers_count(pc_watchers *watchers)
    {
        return atomic_load_explicit(watchers, memory_order_relaxed);
    }
    """
    ctypedef struct pc_watchers:
        pass
    void pc_watchers_add(pc_watchers *watchers, long change) noexcept nogil
    long pc_watchers_count(pc_watchers *watchers) noexcept nogil


cdef class Watchers:
    cdef pc_watchers number
