# Which shard of an instrument this thread counts in. With the GIL there is one; without it every thread is given the
# next number when it first counts, so that as many threads as there are shards never share a cache line.
cdef extern from * nogil:
    """
    #include <stdatomic.h>
    #ifdef Py_GIL_DISABLED
    #define PC_SHARDS_AT_MOST 64u
    static _Atomic unsigned pc_shard_next;
    static _Thread_local unsigned pc_shard_mine; /* 1 and up; 0: none yet */
    static unsigned pc_shard_take(void)
    {
        return pc_shard_mine = 1 + atomic_fetch_add_explicit(&pc_shard_next, 1, memory_order_relaxed);
    }
    static inline unsigned pc_shard(unsigned shards)
    {
        unsigned mine = pc_shard_mine;
        return ((mine ? mine : pc_shard_take()) - 1) & (shards - 1);
    }
    #else
    #define PC_SHARDS_AT_MOST 1u
    #define pc_shard(shards) 0u
    #endif
    """
    const unsigned PC_SHARDS_AT_MOST
    unsigned pc_shard(unsigned shards)
