# The one place where a status of the core becomes an exception.
from perfcore._native.c.base cimport PC_OK, PC_TOO_LARGE, pc_status


cdef inline int check(pc_status status) except -1:
    if status == PC_OK:
        return 0
    if status == PC_TOO_LARGE:
        raise OverflowError("a cache holds at most 2**30 entries")
    raise MemoryError
