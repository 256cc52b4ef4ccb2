# The core's memory comes from Python's raw allocator, so that tracemalloc sees it and no lock of Python's is needed.
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree

from perfcore._native.c.alloc cimport pc_alloc


cdef inline void *raw_zalloc(void *ctx, size_t size) noexcept nogil:
    return PyMem_RawCalloc(1, size)


cdef inline void raw_release(void *ctx, void *block) noexcept nogil:
    PyMem_RawFree(block)


cdef inline pc_alloc raw_alloc() noexcept:
    return pc_alloc(raw_zalloc, raw_release, NULL)
