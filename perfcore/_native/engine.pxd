from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.cache cimport pc_cache, pc_cause
from perfcore._native.c.curve cimport pc_curve
from perfcore._native.c.policy cimport pc_mode
from perfcore._native.c.slots cimport pc_slots
from perfcore._native.lock cimport pc_lock
from perfcore._native.tags cimport Label, TagRegister


# What the core stores for each slot without knowing it: two owned references, both NULL in a free slot.
ctypedef struct entry:
    PyObject *key
    PyObject *value  # or a Label with the value in it (tags.pxd)


cdef enum:
    FAILED = 0xFFFFFFFE  # a slot that is none: a comparison has raised; one less than PC_NIL


cdef class CacheEngine:
    cdef pc_cache core
    cdef pc_lock mutex                        # guards core and the counts; no Python code runs under it
    cdef object weigher, timer, on_remove
    cdef uint64_t ttl_ns, tti_ns              # 0 is none
    cdef double jitter                        # the share of a ttl that chance may take off
    cdef uint64_t draws                       # random numbers used for that
    cdef uint64_t hits, misses, evictions, expirations, rejections, invalidations
    cdef unsigned long settler                # the thread that empties limbo at the moment, or 0
    cdef TagRegister tags                     # None until the first entry with tags
    cdef pc_curve *curve                      # NULL unless somebody observes
    cdef bint plain                           # no weigher, no times, no listener of the cache's own
    cdef object __weakref__

    cdef int configure(self, pc_mode mode, uint64_t capacity, bint weighted, object seed) except -1
    cdef void lock(self) noexcept
    cdef void unlock(self) noexcept
    cdef entry *at(self, uint32_t slot) noexcept

    cdef uint32_t seek(self, object key, uint32_t hash) noexcept
    cdef uint32_t seek_loudly(self, object key, uint32_t hash) noexcept
    cdef int compare(self, PyObject *stored, object key) noexcept
    cdef uint32_t live(self, uint32_t slot, uint64_t now) noexcept
    cdef uint32_t find_live(self, object key, uint32_t hash, uint64_t now) except 0xFFFFFFFE
    cdef uint32_t hash_of(self, object key) except? 0xFFFFFFFF
    cdef uint64_t now(self) except? 0
    cdef uint64_t now_if_timed(self) except? 0

    cdef object lookup(self, object key, object default)
    cdef object look(self, object key, object default)

    cdef uint32_t weigh(self, object key, object value, object weight) except? 0
    cdef uint64_t ttl_of(self, object ttl) except? 0
    cdef uint64_t tti_of(self, object tti) except? 0
    cdef Label label_of(self, object names)
    cdef int put(self, object key, object value) except -1
    cdef int store(self, object key, object value, object ttl, object tti, Label label, bint replace,
                   object weight=*) except -1
    cdef void fill(self, uint32_t slot, object key, object held) noexcept
    cdef PyObject *exchange(self, uint32_t slot, object held) noexcept
    cdef void set_life(self, uint32_t slot, uint64_t now, uint64_t ttl, uint64_t tti) noexcept

    cdef void settle(self) noexcept
    cdef void account(self, pc_cause cause) noexcept
    cdef void notify(self, object key, PyObject *held, object cause) noexcept
    cdef object take(self, object key, object default)
    cdef void release(self, pc_slots *gone) noexcept
    cdef uint32_t count(self) noexcept
