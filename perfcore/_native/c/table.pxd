from libc.stdint cimport uint32_t


cdef extern from "table.h" nogil:
    ctypedef struct pc_table:
        pass

    ctypedef struct pc_cursor:
        pass

    uint32_t pc_table_find(const pc_table *t, pc_cursor *cursor, uint32_t hash)
    uint32_t pc_cursor_next(pc_cursor *cursor)
    void pc_table_prefetch(const pc_table *t, uint32_t hash)
