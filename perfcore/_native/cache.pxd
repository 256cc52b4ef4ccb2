from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.cache cimport pc_cache, pc_cause
from perfcore._native.c.policy cimport pc_mode
from perfcore._native.c.slots cimport pc_slots
from perfcore._native.lock cimport pc_lock


# What the core stores for each slot without knowing it: two owned references, both NULL in a free slot.
ctypedef struct entry:
    PyObject *key
    PyObject *value


cdef class Cache:
    cdef pc_cache core
    cdef pc_lock mutex                        # guards core and the counts; no Python code runs under it
    cdef object weigher, timer, on_remove
    cdef uint64_t ttl_ns, tti_ns              # 0 is none
    cdef double jitter                        # the share of a ttl that chance may take off
    cdef uint64_t draws                       # random numbers used for that
    cdef uint64_t hits, misses, evictions, expirations, rejections
    cdef unsigned long settler                # the thread that empties limbo at the moment, or 0
    cdef object __weakref__

    cdef int configure(self, pc_mode mode, uint64_t capacity, bint weighted, object seed) except -1
    cdef void lock(self) noexcept
    cdef void unlock(self) noexcept
    cdef entry *at(self, uint32_t slot) noexcept

    cdef uint32_t find(self, object key, uint32_t hash) except? 0xFFFFFFFF
    cdef uint32_t find_loudly(self, object key, uint32_t hash) except? 0xFFFFFFFF
    cdef int compare(self, object stored, object key) noexcept
    cdef uint32_t find_live(self, object key, uint32_t hash, uint64_t now) except? 0xFFFFFFFF
    cdef uint32_t hash_of(self, object key) except? 0xFFFFFFFF
    cdef uint64_t now(self) except? 0
    cdef uint64_t now_if_timed(self) except? 0

    cdef object lookup(self, object key, object default)
    cdef object look(self, object key, object default)
    cdef int prefetch(self, list keys, Py_ssize_t start, Py_ssize_t end) except -1

    cdef uint32_t weigh(self, object key, object value) except? 0
    cdef uint64_t ttl_of(self, object ttl) except? 0
    cdef uint64_t tti_of(self, object tti) except? 0
    cdef int store(self, object key, object value, object ttl, object tti, bint replace) except -1
    cdef void fill(self, uint32_t slot, object key, object value) noexcept
    cdef object exchange(self, uint32_t slot, object value)
    cdef void set_life(self, uint32_t slot, uint64_t now, uint64_t ttl, uint64_t tti) noexcept

    cdef void settle(self) noexcept
    cdef void account(self, pc_cause cause) noexcept
    cdef void notify(self, object key, object value, object cause) noexcept
    cdef object take(self, object key, object default)
    cdef void release(self, pc_slots *gone) noexcept

    cdef uint32_t count(self) noexcept
    cdef list ranked(self, uint32_t n, bint hottest_first)
    cdef list saved(self)
    cdef tuple saved_entry(self, uint32_t slot, uint64_t now, uint64_t version)
    cdef int restore(self, tuple saved, uint64_t now) except -1


cdef class CacheIterator:
    cdef Cache cache
    cdef uint32_t slot
    cdef uint64_t changes
    cdef int kind
