from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

from perfcore._native.c.buffers cimport pc_block, pc_depot, pc_magazine, pc_tally
from perfcore._native.lock cimport pc_lock


cdef class Depot:
    cdef pc_depot core
    cdef pc_lock mutex                  # guards core and the list of keepers; nothing Python runs under it
    cdef PyObject *keepers              # borrowed: the magazines that threads hold of this depot
    cdef uint64_t id                    # never used again in this process, unlike an address
    cdef uint64_t age_ns, next_age, gives
    cdef bint per_thread

    cdef pc_magazine *known_magazine(self) noexcept
    cdef pc_magazine *magazine(self) except? NULL
    cdef void empty(self, pc_magazine *m) noexcept
    cdef void turn_out(self, pc_magazine *m) noexcept
    cdef pc_block *obtain(self, pc_magazine *m, size_t size, bint *fresh) noexcept
    cdef pc_block *make(self, unsigned int kind, size_t size) noexcept
    cdef void lend(self, pc_magazine *m, pc_block *block, size_t size, bint fresh) noexcept
    cdef void recover(self, pc_magazine *m, pc_block *block) noexcept
    cdef pc_block *give(self, pc_magazine *m, pc_block *block) noexcept
    cdef void drop(self, pc_block *chain) noexcept
    cdef void put(self, pc_block *block) noexcept
    cdef uint64_t trim(self, uint64_t goal) except? 0
    cdef uint64_t sum_up(self, pc_tally *sums) noexcept
    cdef bint valid(self) except -1
    cdef void close(self) noexcept


cdef class Keeper:
    cdef Depot depot
    cdef pc_magazine magazine
    cdef PyObject *previous
    cdef PyObject *following
