"""The in-memory cache: Python objects over the C core of ``src_c/cache.h``.

Three rules hold in every method. Code that Python can run (``__eq__``, ``__hash__``, ``__del__``, weighers, timers,
listeners, allocations that collect) runs before the first change of an operation or after its last one. After foreign
code ran in the middle of a search, the index's version is compared and the search starts again if it moved. And a
slot that left is emptied and given back before its references are released.
"""

import copy
import copyreg
from collections.abc import KeysView, Mapping, MutableMapping
from os import urandom
from types import GenericAlias

cimport cython
from cpython.bytes cimport PyBytes_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport Py_EQ, PyObject_Hash
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.unicode cimport PyUnicode_CheckExact, PyUnicode_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from perfcore._native.arguments cimport bound, bytes_of, duration_ns, optional_callable, share_of, timer_ns, weight_of
from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport PC_NIL, PC_PREFETCH, pc_hash32, pc_mix64
from perfcore._native.c.cache cimport *
from perfcore._native.c.clock cimport PC_SECOND, pc_clock_ns
from perfcore._native.c.policy cimport *
from perfcore._native.c.slots cimport *
from perfcore._native.c.table cimport pc_cursor, pc_cursor_next, pc_table_find, pc_table_prefetch
from perfcore._native.errors cimport check
from perfcore._native.gc cimport PyTypeObject, inquiry, traverseproc, visitproc
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_release

cdef extern from "Python.h":
    int PyObject_RichCompareBool(object a, object b, int op) noexcept  # -1 is for the caller to notice

from perfcore._native.views import CacheItems, CacheValues
from perfcore.types import CacheStats, Explanation, PolicyState

__all__ = ["Cache", "CacheStats"]

cdef object MISSING = object()
cdef tuple CAUSES = ("size", "expired", "explicit", "rejected")  # indexed by pc_cause
cdef tuple POLICIES = ("lru", "lfu", "random", "adaptive")  # indexed by pc_mode
cdef tuple ARMS = ("lirs", "tiny20", "lru", "tiny1")  # indexed by pc_arm

cdef enum:
    BATCH = 64  # keys of get_many whose memory is asked for at once


cdef void *zalloc(void *ctx, size_t size) noexcept nogil:
    return PyMem_RawCalloc(1, size)


cdef void release_block(void *ctx, void *block) noexcept nogil:
    PyMem_RawFree(block)


cdef inline bint same_str(PyObject *a, PyObject *b) noexcept:
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(<object>a)
    cdef int kind = PyUnicode_KIND(<object>a)
    return (
        length == PyUnicode_GET_LENGTH(<object>b)
        and kind == PyUnicode_KIND(<object>b)
        and memcmp(PyUnicode_DATA(<object>a), PyUnicode_DATA(<object>b), length * kind) == 0
    )


cdef inline bint compares_quietly(PyObject *a, PyObject *b) noexcept:
    """Whether == on these two runs no foreign code: both are exactly int, or both exactly bytes."""
    return (PyLong_CheckExact(<object>a) and PyLong_CheckExact(<object>b)) or (
        PyBytes_CheckExact(<object>a) and PyBytes_CheckExact(<object>b)
    )


cdef pc_mode mode_of(object policy) except *:
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(map(repr, POLICIES))}, got {policy!r}")
    return <pc_mode><int>POLICIES.index(policy)


cdef object pairs_of(object items):
    if hasattr(items, "items"):
        return items.items()
    if hasattr(items, "keys"):
        return [(key, items[key]) for key in items.keys()]
    return items


@cython.binding(False)  # a cyfunction is about twice as slow to call as a method descriptor
@cython.trashcan(True)  # caches nest, and a chain of them must not exhaust the C stack when it dies
cdef class Cache:
    """Cache(maxsize=None, *, policy="adaptive", maxweight=None, weigher=None, maxbytes=None, ttl=None, tti=None,
    jitter=0, timer=None, on_remove=None)

    A bounded mapping that keeps what will be asked for again.

    One of three bounds: ``maxsize`` entries (None: no bound, 0: nothing is stored), ``maxweight`` as the sum of
    ``weigher(key, value)`` (a non-negative int; 0 pins an entry), or ``maxbytes``, bytes or a string such as
    ``"256MB"``, as estimated by :func:`perfcore.sizing.weigh`. ``policy`` is ``"lru"``, ``"lfu"``, ``"random"`` or
    ``"adaptive"``, and can be changed later. ``ttl`` and ``tti`` are seconds, or timedeltas, after which an entry
    ends, counted from its last write and from its last use; ``jitter`` shortens each ttl by a random share of up
    to that much, from 0 to 1, so that what was stored together does not end together. ``timer`` returns seconds and
    replaces the monotonic clock. ``on_remove(key, value, cause)`` is called after an entry left, with the cause
    ``"size"``, ``"expired"``, ``"explicit"`` or ``"replaced"``; an exception in it goes to ``sys.unraisablehook``.

    Raises TypeError or ValueError, naming the argument, when one of them makes no sense.

    >>> cache = Cache(2, policy="lru")
    >>> cache["a"] = 1; cache["b"] = 2
    >>> cache["a"]
    1
    >>> cache["c"] = 3
    >>> sorted(cache)
    ['a', 'c']
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __cinit__(self, *args, **kwargs):
        cdef bytes chance = urandom(16)
        memcpy(self.core.seed, <const char *>chance, 16)
        self.configure(PC_LRU, PC_UNBOUNDED, False, None)

    def __init__(self, maxsize=None, *, policy="adaptive", maxweight=None, weigher=None, maxbytes=None, ttl=None,
                 tti=None, jitter=0, timer=None, on_remove=None, _seed=None):
        if (maxsize is not None) + (maxweight is not None) + (maxbytes is not None) > 1:
            raise ValueError("maxsize, maxweight and maxbytes exclude each other")
        if (weigher is None) != (maxweight is None):
            raise ValueError("maxweight and weigher go together")
        cdef bint weighted = maxweight is not None or maxbytes is not None
        cdef pc_mode mode = mode_of(policy)
        cdef uint64_t capacity
        if maxbytes is not None:
            from perfcore.sizing import weigh as weigher
            capacity = bytes_of("maxbytes", maxbytes)
        else:
            name, value = ("maxweight", maxweight) if weighted else ("maxsize", maxsize)
            capacity = bound(name, value, PC_UNBOUNDED)
        optional_callable("weigher", weigher)
        optional_callable("timer", timer)
        optional_callable("on_remove", on_remove)
        cdef uint64_t ttl_ns = 0 if ttl is None else duration_ns("ttl", ttl)
        cdef uint64_t tti_ns = 0 if tti is None else duration_ns("tti", tti)
        cdef double share = share_of("jitter", jitter)
        cdef pc_slots gone
        self.lock()
        try:
            pc_cache_detach(&self.core, &gone)  # nothing, unless this is a second __init__
            pc_cache_destroy(&self.core)
            self.configure(mode, capacity, weighted, _seed)
        finally:
            self.unlock()
        self.release(&gone)
        self.weigher, self.timer, self.on_remove = weigher, timer, on_remove
        self.ttl_ns, self.tti_ns, self.jitter = ttl_ns, tti_ns, share

    cdef int configure(self, pc_mode mode, uint64_t capacity, bint weighted, object seed) except -1:
        cdef pc_alloc alloc = pc_alloc(zalloc, release_block, NULL)
        cdef uint64_t version = self.core.version + 1, changes = self.core.changes + 1
        cdef uint64_t[2] secret = [self.core.seed[0], self.core.seed[1]]  # a hash may be on its way to a second __init__
        if seed is not None:  # for tests that want the same victims again
            secret = [pc_mix64(seed), pc_mix64(pc_mix64(seed) + 1)]
        check(pc_cache_init(&self.core, &alloc, sizeof(entry), mode, capacity, weighted, secret))
        self.core.version, self.core.changes = version, changes  # a search or an iterator may be under way
        return 0

    def __dealloc__(self):
        cdef pc_slots gone
        pc_cache_detach(&self.core, &gone)
        drop(&gone)
        pc_cache_destroy(&self.core)

    # --- finding: with the lock held -------------------------------------------------------------------------

    cdef inline void lock(self) noexcept:
        pc_lock_acquire(&self.mutex)

    cdef inline void unlock(self) noexcept:
        pc_lock_release(&self.mutex)

    cdef inline entry *at(self, uint32_t slot) noexcept:
        return <entry *>pc_slots_payload(&self.core.slots, slot)

    cdef uint32_t find(self, object key, uint32_t hash) except? 0xFFFFFFFF:
        """The slot of a key, expired or not, or PC_NIL. May run the keys' ``__eq__``, and unlocks for that."""
        cdef pc_cursor cursor
        cdef PyObject *stored
        cdef bint is_str = PyUnicode_CheckExact(key)
        cdef uint32_t slot = pc_table_find(&self.core.table, &cursor, hash)
        while slot != PC_NIL:
            stored = self.at(slot).key
            if stored == <PyObject *>key:
                return slot
            if pc_slots_node(&self.core.slots, slot).hash == hash:
                if is_str and PyUnicode_CheckExact(<object>stored):
                    if same_str(stored, <PyObject *>key):
                        return slot
                elif compares_quietly(stored, <PyObject *>key):
                    if PyObject_RichCompareBool(<object>stored, key, Py_EQ) == 1:
                        return slot
                else:
                    return self.find_loudly(key, hash)
            slot = pc_cursor_next(&cursor)
        return PC_NIL

    cdef uint32_t find_loudly(self, object key, uint32_t hash) except? 0xFFFFFFFF:
        """``find`` where a comparison may run any code: hold the stored key, and start again if the index moved."""
        cdef pc_cursor cursor
        cdef uint64_t version = self.core.version
        cdef uint32_t slot = pc_table_find(&self.core.table, &cursor, hash)
        cdef int equal
        while slot != PC_NIL:
            if pc_slots_node(&self.core.slots, slot).hash == hash:
                equal = self.compare(<object>self.at(slot).key, key)
                if equal < 0:
                    return PC_NIL  # with the exception set
                if self.core.version != version:
                    version = self.core.version
                    slot = pc_table_find(&self.core.table, &cursor, hash)
                    continue
                if equal:
                    return slot
            slot = pc_cursor_next(&cursor)
        return PC_NIL

    cdef int compare(self, object stored, object key) noexcept:
        """``stored == key`` without the lock; -1 with the exception set when it raises. The caller's reference to
        ``stored`` may be the last one by then, and dies before the lock is taken again."""
        self.unlock()
        cdef int equal = PyObject_RichCompareBool(stored, key, Py_EQ)
        stored = None
        self.lock()
        return equal

    cdef uint32_t find_live(self, object key, uint32_t hash, uint64_t now) except? 0xFFFFFFFF:
        """``find``, where an entry that has ended is put in limbo; ``now`` is 0 when nobody looked at the clock."""
        cdef uint32_t slot = self.find(key, hash)
        if slot != PC_NIL and now and pc_cache_expired(&self.core, slot, now):
            pc_cache_remove(&self.core, slot, PC_CAUSE_EXPIRED)
            return PC_NIL
        return slot

    cdef inline uint32_t hash_of(self, object key) except? 0xFFFFFFFF:
        return pc_hash32(<uint64_t>PyObject_Hash(key), self.core.seed)

    cdef uint64_t now(self) except? 0:
        """The time in ns; one more than the clock says, so that 0 is left to mean that nobody looked."""
        return 1 + (pc_clock_ns() if self.timer is None else timer_ns(self.timer()))

    cdef inline uint64_t now_if_timed(self) except? 0:
        return self.now() if self.core.slots.life.size else 0

    # --- reading ---------------------------------------------------------------------------------------------

    cdef object lookup(self, object key, object default):
        """The value of a key or the default, as a use: counted, and noted by the policy."""
        cdef uint64_t now = self.now_if_timed()
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        cdef bint left = False
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if slot != PC_NIL:
                self.hits += 1
                default = <object>self.at(slot).value
                pc_cache_hit(&self.core, slot)
                if self.core.slots.idle.size:
                    pc_cache_prolong(&self.core, slot, now)
            else:
                self.misses += 1
                left = self.core.limbo.count != 0
        finally:
            self.unlock()
        if left:
            self.settle()
        return default

    cdef object look(self, object key, object default):
        """The value of a key or the default, as no use."""
        cdef uint64_t now = self.now_if_timed()
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        cdef bint left
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if slot != PC_NIL:
                default = <object>self.at(slot).value
            left = self.core.limbo.count != 0
        finally:
            self.unlock()
        if left:
            self.settle()
        return default

    def get(self, key, default=None, /):
        """Return the value of a key, or ``default``; it counts as a use.

        >>> Cache().get("absent", 0)
        0
        """
        return self.lookup(key, default)

    def __getitem__(self, key):
        value = self.lookup(key, MISSING)
        if value is not MISSING:
            return value
        if type(self) is not Cache:
            missing = getattr(type(self), "__missing__", None)
            if missing is not None:
                return missing(self, key)
        raise KeyError(key)

    def __contains__(self, key):
        return self.look(key, MISSING) is not MISSING

    def peek(self, key, default=None, /):
        """Return the value of a key, or ``default``, without counting it as a use."""
        return self.look(key, default)

    def expires_in(self, key, /):
        """Return the seconds until a key ends, or None when it never does; KeyError when it is absent."""
        cdef uint64_t now = self.now(), deadline = PC_NEVER
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if slot != PC_NIL and pc_cache_timed(&self.core, slot):
                deadline = pc_slots_life(&self.core.slots, slot).deadline
        finally:
            self.unlock()
        self.settle()
        if slot == PC_NIL:
            raise KeyError(key)
        return None if deadline == PC_NEVER else (deadline - now) / <double>PC_SECOND

    def get_many(self, keys, default=None, /):
        """Return the values of many keys, in order, with ``default`` where there is none; each counts as a use.

        Cheaper per key than ``get``: the memory that up to 64 lookups need is asked for at once.

        >>> cache = Cache()
        >>> cache.update(a=1, b=2)
        >>> cache.get_many(["b", "x", "a"], 0)
        [2, 0, 1]
        """
        cdef list wanted = list(keys), found = []
        cdef Py_ssize_t start, i, end
        for start in range(0, len(wanted), BATCH):
            end = min(start + BATCH, len(wanted))
            self.prefetch(wanted, start, end)
            for i in range(start, end):
                found.append(self.lookup(wanted[i], default))
        return found

    cdef int prefetch(self, list keys, Py_ssize_t start, Py_ssize_t end) except -1:
        """Ask for the buckets, then the entries, then the values of up to BATCH keys: each wave overlaps its misses."""
        cdef uint32_t hashes[BATCH]
        cdef uint32_t slots[BATCH]
        cdef pc_cursor cursor
        cdef Py_ssize_t i, n = end - start
        for i in range(n):
            hashes[i] = self.hash_of(keys[start + i])  # may run anything; nothing below does
        self.lock()
        for i in range(n):
            pc_table_prefetch(&self.core.table, hashes[i])
        for i in range(n):
            slots[i] = pc_table_find(&self.core.table, &cursor, hashes[i])
            if slots[i] != PC_NIL:
                PC_PREFETCH(self.at(slots[i]))
                PC_PREFETCH(pc_slots_node(&self.core.slots, slots[i]))
        for i in range(n):
            if slots[i] != PC_NIL:
                PC_PREFETCH(self.at(slots[i]).value)
        self.unlock()
        return 0

    # --- writing ---------------------------------------------------------------------------------------------

    cdef inline uint32_t weigh(self, object key, object value) except? 0:
        return 1 if self.weigher is None else weight_of(self.weigher(key, value))

    cdef uint64_t ttl_of(self, object ttl) except? 0:
        """The ttl of an entry in ns, shortened by the jitter; 0 is none."""
        cdef uint64_t ns = self.ttl_ns if ttl is None else duration_ns("ttl", ttl)
        if ns and self.jitter:
            self.draws += 1
            ns -= <uint64_t>(ns * self.jitter * (pc_mix64(self.core.seed[0] + self.draws) / 18446744073709551616.0))
        return ns

    cdef uint64_t tti_of(self, object tti) except? 0:
        return self.tti_ns if tti is None else duration_ns("tti", tti)

    cdef int store(self, object key, object value, object ttl, object tti, bint replace) except -1:
        """Store an entry and return 1, or return 0 when it is there and ``replace`` is false."""
        cdef uint64_t ttl_ns = self.ttl_of(ttl), tti_ns = self.tti_of(tti)
        cdef uint32_t weight = self.weigh(key, value)
        cdef uint64_t now = self.now() if ttl_ns or tti_ns or self.core.slots.life.size else 0
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        cdef object held = None, old = MISSING
        cdef bint stored = True, left = False
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if now:
                pc_cache_expire(&self.core, now, PC_CACHE_EXPIRY_BUDGET)
            stored = slot == PC_NIL or replace
            if stored:
                check(pc_cache_reserve(&self.core, now, ttl_ns != 0, tti_ns != 0))
                if slot == PC_NIL:
                    slot = pc_cache_insert(&self.core, hash, weight)
                    self.fill(slot, key, value)
                else:
                    held, old = <object>self.at(slot).key, self.exchange(slot, value)
                    pc_cache_hit(&self.core, slot)
                    pc_cache_reweigh(&self.core, slot, weight)
                if now:
                    self.set_life(slot, now, ttl_ns, tti_ns)
            left = self.core.limbo.count != 0
        finally:
            self.unlock()
        if left:
            self.settle()
        if old is not MISSING and self.on_remove is not None:
            self.notify(held, old, "replaced")
        return stored

    cdef inline void fill(self, uint32_t slot, object key, object value) noexcept:
        cdef entry *e = self.at(slot)
        Py_INCREF(key)
        Py_INCREF(value)
        e.key, e.value = <PyObject *>key, <PyObject *>value

    cdef inline object exchange(self, uint32_t slot, object value):
        """Put a value in place of another, which is returned: its release is the caller's, after the lock."""
        cdef object old = <object>self.at(slot).value
        Py_INCREF(value)
        self.at(slot).value = <PyObject *>value
        Py_DECREF(old)  # the cache's reference; `old` holds another
        return old

    cdef inline void set_life(self, uint32_t slot, uint64_t now, uint64_t ttl, uint64_t tti) noexcept:
        cdef uint64_t end = now + ttl if ttl else PC_NEVER
        pc_cache_set_life(&self.core, slot, min(end, now + tti) if tti else end, tti, end)

    def __setitem__(self, key, value):
        self.store(key, value, None, None, True)

    def set(self, key, value, *, ttl=None, tti=None):
        """Store a value; ``ttl`` and ``tti``, in seconds, replace the cache's own for this entry.

        >>> cache = Cache()
        >>> cache.set("session", 7, ttl=60)
        >>> 59 < cache.expires_in("session") <= 60
        True
        """
        self.store(key, value, ttl, tti, True)

    def set_many(self, items, *, ttl=None, tti=None):
        """Store all items of a mapping or of an iterable of pairs."""
        for key, value in pairs_of(items):
            self.store(key, value, ttl, tti, True)

    def add(self, key, value, *, ttl=None, tti=None):
        """Store a value only if the key is absent; say whether it was stored."""
        return bool(self.store(key, value, ttl, tti, False))

    def setdefault(self, key, default=None, /):
        """Return the value of a key, after storing ``default`` if it is absent."""
        value = self.lookup(key, MISSING)
        if value is not MISSING:
            return value
        self.store(key, default, None, None, False)
        return self.look(key, default)

    def get_or_set(self, key, factory, *, ttl=None, tti=None):
        """Return the value of a key, or store and return what ``factory()`` gives; what it raises is not stored."""
        value = self.lookup(key, MISSING)
        if value is MISSING:
            value = factory()
            self.store(key, value, ttl, tti, True)
        return value

    async def aget_or_set(self, key, factory, *, ttl=None, tti=None):
        """``get_or_set`` for a factory that returns an awaitable."""
        value = self.get(key, MISSING)
        if value is MISSING:
            value = await factory()
            self.set(key, value, ttl=ttl, tti=tti)
        return value

    def touch(self, key, *, ttl=None, tti=None):
        """Count a key as used and let its time start anew; say whether it is there."""
        cdef uint64_t ttl_ns = self.ttl_of(ttl), tti_ns = self.tti_of(tti), now = self.now()
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if slot != PC_NIL:
                check(pc_cache_reserve(&self.core, now, ttl_ns != 0, tti_ns != 0))
                self.set_life(slot, now, ttl_ns, tti_ns)
                pc_cache_hit(&self.core, slot)
        finally:
            self.unlock()
        self.settle()
        return slot != PC_NIL

    def update(self, other=(), /, **kwargs):
        """Store all items of a mapping or of an iterable of pairs."""
        for key, value in pairs_of(other):
            self.store(key, value, None, None, True)
        for key, value in kwargs.items():
            self.store(key, value, None, None, True)

    # --- leaving ---------------------------------------------------------------------------------------------

    cdef void settle(self) noexcept:
        """Empty limbo: release what left, and tell the listener. Each round leaves everything consistent.

        What a finalizer or a listener makes leave is left to the loop that called it, or a thousand victims whose
        finalizers use the cache would be a thousand calls deep.
        """
        cdef unsigned long thread = PyThread_get_thread_ident()
        cdef pc_cause cause = PC_CAUSE_SIZE
        cdef uint32_t slot = 0
        cdef object key = None, value = None
        self.lock()
        cdef bint nested = self.settler == thread
        self.settler = thread
        self.unlock()
        while slot != PC_NIL and not nested:
            key = value = None  # what the last round released dies here, between two whole steps
            self.lock()
            slot = pc_cache_collect(&self.core, &cause)
            if slot != PC_NIL:
                key, value = <object>self.at(slot).key, <object>self.at(slot).value
                Py_DECREF(key)  # the slot's references; key and value hold others
                Py_DECREF(value)
                pc_slots_give(&self.core.slots, slot)
                self.account(cause)
            elif self.settler == thread:  # another thread's note of itself stays: it is still at work
                self.settler = 0
            self.unlock()
            if slot != PC_NIL and self.on_remove is not None and cause != PC_CAUSE_REJECTED:
                self.notify(key, value, CAUSES[<int>cause])

    cdef void account(self, pc_cause cause) noexcept:
        if cause == PC_CAUSE_SIZE:
            self.evictions += 1
        elif cause == PC_CAUSE_EXPIRED:
            self.expirations += 1
        elif cause == PC_CAUSE_REJECTED:
            self.rejections += 1

    cdef void notify(self, object key, object value, object cause) noexcept:
        """Call the listener; what it raises goes to ``sys.unraisablehook`` and never to whoever used the cache."""
        self.on_remove(key, value, cause)

    cdef object take(self, object key, object default):
        """Remove a key and return its value, or ``default``."""
        cdef uint64_t now = self.now_if_timed()
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if slot != PC_NIL:
                default = <object>self.at(slot).value
                pc_cache_remove(&self.core, slot, PC_CAUSE_EXPLICIT)
        finally:
            self.unlock()
        self.settle()
        return default

    def delete(self, key, /):
        """Remove a key; say whether it was there.

        >>> Cache().delete("absent")
        False
        """
        return self.take(key, MISSING) is not MISSING

    def __delitem__(self, key):
        if self.take(key, MISSING) is MISSING:
            raise KeyError(key)

    def pop(self, key, default=MISSING, /):
        """Remove a key and return its value, or ``default``; without one raise KeyError."""
        value = self.take(key, default)
        if value is MISSING:
            raise KeyError(key)
        return value

    def popitem(self):
        """Remove the entry that would be evicted next and return ``(key, value)``; KeyError when empty."""
        cdef object key = None, value = None
        cdef pc_policy_walk walk
        cdef uint32_t slot
        self.expire()
        self.lock()
        walk = pc_policy_walk_from(&self.core.policy, False)
        slot = pc_policy_walk_next(&self.core.policy, &walk)
        if slot != PC_NIL:
            key, value = <object>self.at(slot).key, <object>self.at(slot).value
            pc_cache_remove(&self.core, slot, PC_CAUSE_EXPLICIT)
        self.unlock()
        self.settle()
        if slot == PC_NIL:
            raise KeyError("the cache is empty")
        return key, value

    def clear(self):
        """Remove all entries, in one step: what their release runs finds an empty cache."""
        cdef pc_slots gone
        self.lock()
        pc_cache_detach(&self.core, &gone)
        self.unlock()
        self.release(&gone)

    cdef void release(self, pc_slots *gone) noexcept:
        """Release the entries of detached slots and tell the listener of each."""
        cdef uint32_t slot
        for slot in range(gone.used if self.on_remove is not None else 0):
            if payload(gone, slot).key != NULL:
                self.notify(<object>payload(gone, slot).key, <object>payload(gone, slot).value, "explicit")
        drop(gone)

    def expire(self):
        """Remove what has ended and return how many entries that were."""
        cdef uint64_t now = self.now_if_timed(), before = self.expirations
        cdef uint32_t slot
        self.lock()
        for slot in range(self.core.slots.used if now else 0):
            if pc_cache_holds(&self.core, slot) and pc_cache_expired(&self.core, slot, now):
                pc_cache_remove(&self.core, slot, PC_CAUSE_EXPIRED)
        self.unlock()
        self.settle()
        return self.expirations - before

    def resize(self, capacity):
        """Change the bound (entries, weight or bytes, whichever the cache has), evicting at once what is too much."""
        cdef uint64_t limit = (bytes_of("maxbytes", capacity) if isinstance(capacity, str) and self.weigher is not None
                               else bound("maxsize" if self.weigher is None else "maxweight", capacity, PC_UNBOUNDED))
        self.lock()
        status = pc_cache_resize(&self.core, limit)
        self.unlock()
        self.settle()
        check(status)

    # --- looking around --------------------------------------------------------------------------------------

    cdef uint32_t count(self) noexcept:
        self.lock()
        cdef uint32_t count = pc_cache_count(&self.core)
        self.unlock()
        return count

    def __len__(self):
        return self.count()

    def __bool__(self):
        return self.count() != 0

    def __iter__(self):
        return iterate(self, KEYS)

    def _values(self):
        return iterate(self, VALUES)

    def _items(self):
        return iterate(self, ITEMS)

    def keys(self):
        """Return a view of the keys."""
        return KeysView(self)

    def values(self):
        """Return a view of the values; looking at them is no use."""
        return CacheValues(self)

    def items(self):
        """Return a view of the ``(key, value)`` pairs; looking at them is no use."""
        return CacheItems(self)

    def __eq__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.items()) == dict(other.items())

    __hash__ = None

    def __repr__(self):
        return f"<{type(self).__name__}: {len(self)} entries, weight {self.weight} of {self.capacity}>"

    def __sizeof__(self):
        """Return the bytes of the cache itself, without its keys and values."""
        return object.__sizeof__(self) + pc_cache_bytes(&self.core) - sizeof(pc_cache)

    @property
    def capacity(self):
        """The bound: entries, or weight where there is a weigher; None for no bound."""
        return None if self.core.capacity == PC_UNBOUNDED else self.core.capacity

    @property
    def maxsize(self):
        """The bound on the number of entries, or None."""
        return self.capacity if self.weigher is None else None

    @property
    def maxweight(self):
        """The bound on the sum of the weights, or None."""
        return None if self.weigher is None else self.capacity

    @property
    def weight(self):
        """The sum of the weights; the number of entries where there is no weigher."""
        self.lock()
        cdef uint64_t weight = pc_cache_weight(&self.core)
        self.unlock()
        return weight

    @property
    def currsize(self):
        """The number of entries, under functools' name."""
        return self.count()

    def stats(self):
        """Return the counts since the beginning or the last ``reset_stats`` as a ``CacheStats``."""
        return CacheStats(
            hits=self.hits, misses=self.misses, evictions=self.evictions, expirations=self.expirations,
            rejections=self.rejections, entries=self.count(), weight=self.weight,
        )

    def reset_stats(self):
        """Set the counts to zero."""
        self.hits = self.misses = self.evictions = self.expirations = self.rejections = 0

    # --- the policy ------------------------------------------------------------------------------------------

    @property
    def policy(self):
        """The eviction policy, ``"lru"``, ``"lfu"``, ``"random"`` or ``"adaptive"``; assign to switch, losing nothing."""
        return POLICIES[<int>self.core.policy.mode]

    @policy.setter
    def policy(self, name):
        cdef pc_mode mode = mode_of(name)
        self.lock()
        status = pc_cache_set_mode(&self.core, mode)
        self.unlock()
        check(status)

    def policy_state(self):
        """Return why the policy does what it does, as a ``PolicyState``."""
        cdef pc_policy_state state
        self.lock()
        state = pc_policy_explain(&self.core.policy)
        self.unlock()
        duel = state.sample_rate != 0
        return PolicyState(
            policy=self.policy, arm=ARMS[state.arm], window=state.window_weight, window_room=state.window_room,
            main=state.main_weight, pinned=state.pinned_count, misses=state.clock, switches=state.switches,
            sample_rate=state.sample_rate,
            hits={arm: state.hits[i] for i, arm in enumerate(ARMS)} if duel else {},
            discord={arm: state.discord[i] for i, arm in enumerate(ARMS)} if duel else {},
        )

    def hottest(self, n):
        """Return the up to ``n`` keys that would be evicted last, hottest first."""
        return self.ranked(n, True)

    def coldest(self, n):
        """Return the up to ``n`` keys that would be evicted first, coldest first."""
        return self.ranked(n, False)

    cdef list ranked(self, uint32_t n, bint hottest_first):
        cdef list keys = []
        cdef uint64_t now = self.now()
        cdef uint32_t slot
        cdef pc_policy_walk walk
        self.lock()
        try:
            walk = pc_policy_walk_from(&self.core.policy, hottest_first)
            while len(keys) < n:
                slot = pc_policy_walk_next(&self.core.policy, &walk)
                if slot == PC_NIL:
                    break
                if not pc_cache_expired(&self.core, slot, now):
                    keys.append(<object>self.at(slot).key)  # appending runs no collection
        finally:
            self.unlock()
        return keys

    def explain(self, key, /):
        """Return what became of a key, as an ``Explanation``, as far as the cache remembers.

        >>> cache = Cache(1, policy="lru")
        >>> cache["a"] = 1; cache["b"] = 2
        >>> cache.explain("a").state, cache.explain("b").state, cache.explain("c").state
        ('evicted', 'present', 'unknown')
        """
        cdef uint64_t now = self.now(), deadline = PC_NEVER
        cdef uint32_t hash = self.hash_of(key), age = PC_NIL
        cdef uint32_t slot
        cdef pc_cause cause = PC_CAUSE_SIZE
        cdef bint departed = False
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if slot != PC_NIL and pc_cache_timed(&self.core, slot):
                deadline = pc_slots_life(&self.core.slots, slot).deadline
            departed = pc_cache_departure(&self.core, hash, &cause)
            age = pc_policy_ghost_age(&self.core.policy, hash)
            frequency = pc_policy_frequency(&self.core.policy, hash)
        finally:
            self.unlock()
        self.settle()
        if slot != PC_NIL:
            left = None if deadline == PC_NEVER else (deadline - now) / <double>PC_SECOND
            return Explanation("present", frequency, None, left)
        known = ("evicted", "expired", "removed", "rejected")[<int>cause] if departed else "unknown"
        state = "evicted" if age != PC_NIL and not departed else known
        return Explanation(state, frequency, None if age == PC_NIL else age, None)

    # --- copying ---------------------------------------------------------------------------------------------

    def copy(self):
        """Return a copy with the same entries, order and remaining times; keys and values are shared."""
        return copy.copy(self)

    def __reduce_ex__(self, protocol):
        return copyreg.__newobj__, (type(self),), self.__getstate__()

    def __getstate__(self):
        """The arguments, and the entries with the policy's knowledge of them, coldest first; times are remainders."""
        cdef bint by_bytes = self.weigher is not None and getattr(self.weigher, "__module__", "") == "perfcore.sizing"
        arguments = {
            "policy": self.policy, "maxsize": self.maxsize, "maxweight": None if by_bytes else self.maxweight,
            "weigher": None if by_bytes else self.weigher, "maxbytes": self.maxweight if by_bytes else None,
            "ttl": self.ttl_ns / 1e9 or None, "tti": self.tti_ns / 1e9 or None, "jitter": self.jitter,
            "timer": self.timer, "on_remove": self.on_remove,
        }
        return arguments, self.saved(), getattr(self, "__dict__", None)

    cdef list saved(self):
        cdef list slots = [], entries = []
        cdef uint64_t now = self.now(), version
        cdef uint32_t slot
        cdef pc_policy_walk walk
        self.lock()
        try:
            version = self.core.version
            walk = pc_policy_walk_from(&self.core.policy, False)
            slot = pc_policy_walk_next(&self.core.policy, &walk)
            while slot != PC_NIL:
                slots.append(slot)  # ints: no collection can run before the walk is over
                slot = pc_policy_walk_next(&self.core.policy, &walk)
        finally:
            self.unlock()
        for slot in slots:
            entry_of_slot = self.saved_entry(slot, now, version)
            if entry_of_slot is not None:
                entries.append(entry_of_slot)
        return entries

    cdef tuple saved_entry(self, uint32_t slot, uint64_t now, uint64_t version):
        """One entry as ``restore`` takes it, or None when it has ended."""
        cdef object key = None, value = None
        cdef uint64_t deadline = PC_NEVER, grant = 0, end = PC_NEVER
        cdef uint32_t hash = 0, weight = 1
        cdef unsigned int queue = 0, frequency = 0
        self.lock()
        cdef bint same = self.core.version == version
        if same:
            key, value = <object>self.at(slot).key, <object>self.at(slot).value
            queue = pc_slots_node(&self.core.slots, slot).queue
            hash = pc_slots_node(&self.core.slots, slot).hash
            frequency = pc_policy_frequency(&self.core.policy, hash)
            if self.core.slots.weight.size:
                weight = pc_slots_weight(&self.core.slots, slot)[0]
            if pc_cache_timed(&self.core, slot):
                deadline = end = pc_slots_life(&self.core.slots, slot).deadline
                if self.core.slots.idle.size and pc_slots_idle(&self.core.slots, slot).grant:
                    grant, end = pc_slots_idle(&self.core.slots, slot).grant, pc_slots_idle(&self.core.slots, slot).end
        self.unlock()
        if not same:
            raise RuntimeError("cache changed while it was copied")
        if deadline <= now:
            return None
        return (key, value, weight, queue, frequency, None if deadline == PC_NEVER else deadline - now, grant,
                None if end == PC_NEVER else end - now)

    def __setstate__(self, state):
        arguments, entries, attributes = state
        Cache.__init__(self, **arguments)
        cdef uint64_t now = self.now()
        for saved in entries:
            self.restore(saved, now)
        if attributes:
            self.__dict__.update(attributes)

    cdef int restore(self, tuple saved, uint64_t now) except -1:
        cdef object key, value
        cdef uint32_t weight
        cdef uint8_t queue
        cdef unsigned int frequency
        cdef uint64_t grant
        key, value, weight, queue, frequency, remaining, grant, rest = saved
        cdef uint64_t deadline = PC_NEVER if remaining is None else now + <uint64_t>remaining
        cdef uint64_t end = PC_NEVER if rest is None else now + <uint64_t>rest
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        self.lock()
        try:
            if self.find(key, hash) == PC_NIL:  # else two keys have become equal
                check(pc_cache_reserve(&self.core, now, deadline != PC_NEVER, grant != 0))
                slot = pc_cache_restore(&self.core, hash, weight, queue, frequency)
                self.fill(slot, key, value)
                pc_cache_set_life(&self.core, slot, deadline, grant, end)
        finally:
            self.unlock()
        self.settle()
        return 0

    def _check(self):
        """Verify every invariant of the structure, O(n); AssertionError when one does not hold."""
        cdef uint32_t slot
        self.lock()
        try:
            assert pc_cache_valid(&self.core), "index, policy, wheel, limbo and weights disagree"
            assert pc_cache_weight(&self.core) <= self.core.capacity, "over the bound"
            for slot in range(self.core.slots.used):
                assert (self.at(slot).key != NULL) == pc_slots_in_use(&self.core.slots, slot), "a slot without references"
        finally:
            self.unlock()


# --- iteration -----------------------------------------------------------------------------------------------

cdef enum:
    KEYS, VALUES, ITEMS


cdef CacheIterator iterate(Cache cache, int kind):
    cdef CacheIterator it = CacheIterator.__new__(CacheIterator)
    it.cache, it.kind, it.changes = cache, kind, cache.core.changes
    return it


@cython.final
@cython.auto_pickle(False)
cdef class CacheIterator:
    """Iterates over a cache in slot order; RuntimeError when the set of keys changed, expiry aside."""

    def __iter__(self):
        return self

    def __next__(self):
        cdef Cache cache = self.cache
        cdef object key = None, value = None
        cdef bint changed = False, found = False
        if cache is None:
            raise StopIteration
        cdef uint64_t now = cache.now_if_timed()
        cache.lock()
        changed = cache.core.changes != self.changes
        while not changed and not found and self.slot < cache.core.slots.used:
            found = pc_cache_holds(&cache.core, self.slot) and not pc_cache_expired(&cache.core, self.slot, now)
            if found:
                key, value = <object>cache.at(self.slot).key, <object>cache.at(self.slot).value
            self.slot += 1
        cache.unlock()
        if changed:
            raise RuntimeError("cache changed during iteration")
        if not found:
            self.cache = None
            raise StopIteration
        return key if self.kind == KEYS else value if self.kind == VALUES else (key, value)


MutableMapping.register(Cache)


# --- garbage collection --------------------------------------------------------------------------------------
#
# Cython generates tp_traverse and tp_clear from the declared attributes and cannot see references in C arrays
# (cython #2737). Both slots are replaced here, once, at import; each chains to the generated one.

cdef inline entry *payload(pc_slots *slots, uint32_t slot) noexcept:
    return <entry *>pc_slots_payload(slots, slot)


cdef void drop(pc_slots *gone) noexcept:
    """Release the references of detached slots, then the slots."""
    cdef uint32_t slot
    cdef entry *e
    for slot in range(gone.used):
        e = payload(gone, slot)
        if e.key != NULL:
            Py_DECREF(<object>e.key)
            Py_DECREF(<object>e.value)
    pc_slots_destroy(gone)


cdef traverseproc generated_traverse
cdef inquiry generated_clear


cdef int traverse(PyObject *self, visitproc visit, void *arg) noexcept:
    cdef pc_slots *slots = &(<Cache>self).core.slots
    cdef uint32_t slot
    cdef entry *e
    cdef int stop
    for slot in range(slots.used):
        e = payload(slots, slot)
        if e.key != NULL:
            stop = visit(e.key, arg) or visit(e.value, arg)
            if stop:
                return stop
    return generated_traverse(self, visit, arg)


cdef int clear(PyObject *self) noexcept:
    cdef pc_slots gone
    pc_cache_detach(&(<Cache>self).core, &gone)  # everything is detached before the first DECREF
    drop(&gone)
    return generated_clear(self)


cdef PyTypeObject *cache_type = <PyTypeObject *>Cache
generated_traverse = cache_type.tp_traverse
generated_clear = cache_type.tp_clear
cache_type.tp_traverse = traverse
cache_type.tp_clear = clear
