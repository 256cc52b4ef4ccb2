from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

from perfcore._native.lock cimport pc_lock
from perfcore._native.shelf cimport pc_shelf
from perfcore._native.spares cimport pc_spares


cdef class ObjectPool:
    cdef object factory, reset, validate, destroy
    cdef uint64_t max_age               # in ns; 0 is none
    cdef bint overflow
    cdef bint plain, unchecked          # nothing is to be run before an object is lent, or as it comes back
    cdef uint64_t draws                 # not guarded: a lost one is no harm
    cdef readonly int leak_sampling
    cdef pc_lock mutex                  # guards what follows; no Python code runs under it
    cdef pc_shelf idle
    cdef Py_ssize_t least, most, total
    cdef PyObject *first
    cdef PyObject *last                 # borrowed: the queue of waiters, who leave it before they die
    cdef uint64_t epoch                 # moves on in a forked child: what is older belongs to the parent
    cdef uint64_t reused, made, ahead, released, refused, expired, discarded, waited, timeouts, leaked
    cdef Py_ssize_t queued
    cdef pc_spares spares               # released leases
    cdef list relics                    # the parent's idle objects, kept alive and untouched
    cdef dict sites
    cdef object __weakref__

    cdef void count(self, uint64_t *what) noexcept
    cdef PyObject *blank(self) except NULL
    cdef void spare(self, Lease lease) noexcept
    cdef bint pop(self, PyObject *lease) noexcept
    cdef int claim(self, Lease lease, Waiter waiter) noexcept
    cdef Lease attempt(self, Lease lease)
    cdef Lease acquire_slowly(self, Lease lease, bint drawn, uint64_t limit)
    cdef bint settled(self, Lease lease, int claimed) except -1
    cdef int create(self, Lease lease) except -1
    cdef bint fit(self, Lease lease) except -1
    cdef Lease wait(self, Lease lease, uint64_t limit)
    cdef bint put_back(self, Lease lease) noexcept
    cdef bint redeem(self, Waiter waiter, Lease lease) noexcept
    cdef int finish(self, Lease lease, bint keep) except -1
    cdef void park(self, object value, uint64_t born, uint64_t epoch) noexcept
    cdef void scrap(self, object value, uint64_t epoch) noexcept
    cdef void vacate(self, uint64_t epoch) noexcept
    cdef Waiter next_waiter(self)
    cdef void unlink(self, Waiter waiter) noexcept
    cdef bint call_waiter(self, Waiter waiter) noexcept
    cdef object coldest(self, Py_ssize_t keep)


cdef class Lease:
    cdef PyObject *pool                 # owned: an ObjectPool, or NULL for a spare
    cdef PyObject *value                # owned; NULL once released
    cdef uint64_t born, epoch
    cdef tuple site                     # where it was acquired, when that is noted


cdef class Waiter:
    cdef ObjectPool pool
    cdef object value, wake
    cdef uint64_t born, epoch
    cdef int grant                      # what it was given: one of the claims
    cdef bint queued
    cdef PyObject *previous
    cdef PyObject *following

    cpdef void abandon(self) noexcept
