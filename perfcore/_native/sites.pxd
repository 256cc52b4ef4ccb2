# Where something was acquired, noted for one acquisition in some.
from libc.stdint cimport uint32_t, uint64_t


cdef extern from *:
    """
    /* Whether the golden ratio draws this number: one in n, and with no rhythm that a caller could have. */
    static inline int pc_number_drawn(uint64_t number, uint32_t n)
    {
        return n != 0 && (uint64_t)(uint32_t)((uint32_t)number * 0x9e3779b9u) * n >> 32 == 0;
    }
    """
    bint pc_number_drawn(uint64_t number, uint32_t n)


cdef inline str call_site():
    """Where the caller stands: file, line and function, innermost first, four frames at most."""
    from sys import _getframe
    frame, found = _getframe(), []
    while frame is not None and len(found) < 4:
        found.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(found)
