# Where a status of the core becomes an exception, and an exception that nobody can catch is told.
from cpython.exc cimport PyErr_SetObject, PyErr_WriteUnraisable

from perfcore._native.c.base cimport PC_OK, PC_TOO_LARGE, pc_status


cdef inline int check(pc_status status) except -1:
    if status == PC_OK:
        return 0
    if status == PC_TOO_LARGE:
        raise OverflowError("a cache holds at most 2**30 entries")
    raise MemoryError


cdef inline void report(object error) noexcept:
    """An exception that cannot be raised goes where those of finalizers go: to ``sys.unraisablehook``."""
    PyErr_SetObject(type(error), error)
    PyErr_WriteUnraisable(error)
