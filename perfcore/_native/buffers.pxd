from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

from perfcore._native.c.buffers cimport pc_block
from perfcore._native.depot cimport Depot


cdef class BufferPool:
    cdef Depot depot
    cdef readonly int leak_sampling
    cdef readonly size_t alignment
    cdef readonly str clear
    cdef uint64_t leaked, deferred      # with the depot's lock
    cdef PyObject *lost[16]             # sites of leaks not yet told, owned; with the depot's lock
    cdef int lost_count
    cdef dict sites                     # site -> leaks
    cdef object __weakref__

    cdef void recover(self, pc_block *block) noexcept
    cdef void note_leak(self, PyObject *site) noexcept
    cdef int tell_leaks(self) except -1
    cdef PooledBuffer lend(self, size_t size)


cdef class PooledBuffer:
    cdef readonly BufferPool pool
    cdef pc_block *block                # lives as long as the pool, so a stale generation is always noticed
    cdef uint64_t generation
    cdef size_t size
    cdef tuple site                     # where it was acquired, when that is noted

    cdef int fill(self, Py_buffer *view, size_t reach, int flags) except -1
