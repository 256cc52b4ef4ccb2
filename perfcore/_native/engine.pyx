"""The engine of ``Cache``: Python objects over the C core of ``src_c/cache.h``: finding, reading, storing, leaving.

Three rules hold in every method. Code that Python can run (``__eq__``, ``__hash__``, ``__del__``, weighers, timers,
listeners, allocations that collect) runs before the first change of an operation or after its last one. After foreign
code ran in the middle of a search, the index's version is compared and the search starts again if it moved. And a
slot that left is emptied and given back before its references are released.

``lookup`` and ``put`` are what a service spends its time in. They are written out where that saves a reference count or
a test for an exception; all else goes through ``find_live`` and ``store``.
"""

from os import urandom

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport Py_EQ
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from perfcore._native.arguments cimport duration_ns, timer_ns, weight_of
from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport PC_NIL, PC_OK, pc_hash32, pc_mix64, pc_status
from perfcore._native.c.cache cimport *
from perfcore._native.c.clock cimport pc_clock_ns
from perfcore._native.c.curve cimport pc_curve_free, pc_curve_note
from perfcore._native.c.policy cimport *
from perfcore._native.c.slots cimport *
from perfcore._native.c.table cimport pc_cursor, pc_cursor_next, pc_table_find
from perfcore._native.errors cimport check
from perfcore._native.gc cimport PyTypeObject, inquiry, traverseproc, visitproc
from perfcore._native.compare cimport pc_compares_quietly, pc_key_hash, pc_owned, pc_same_key
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_enrol, pc_lock_release, pc_lock_retire, survive_forks
from perfcore._native.tags cimport Label, TagRegister, is_label, is_stale, value_of

cdef extern from "Python.h":
    int PyObject_RichCompareBool(object a, object b, int op) noexcept  # -1 is for the caller to notice

__all__ = ["CacheEngine"]

cdef object MISSING = object()
cdef tuple CAUSES = ("size", "expired", "explicit", "rejected", "explicit")  # indexed by pc_cause

cdef void *zalloc(void *ctx, size_t size) noexcept nogil:
    return PyMem_RawCalloc(1, size)


cdef void release_block(void *ctx, void *block) noexcept nogil:
    PyMem_RawFree(block)


@cython.binding(False)  # a cyfunction is about twice as slow to call as a method descriptor
@cython.trashcan(True)  # caches nest, and a chain of them must not exhaust the C stack when it dies
cdef class CacheEngine:
    """What ``Cache`` is made of: bounds, lookups, stores, removals, and what the garbage collector sees."""

    def __cinit__(self, *args, **kwargs):
        cdef bytes chance = urandom(16)
        memcpy(self.core.seed, <const char *>chance, 16)
        self.configure(PC_LRU, PC_UNBOUNDED, False, None)
        pc_lock_enrol(&self.mutex)

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
        pc_lock_retire(&self.mutex)
        pc_cache_detach(&self.core, &gone)
        drop(&gone)
        pc_cache_destroy(&self.core)
        pc_curve_free(self.curve)

    # --- finding: with the lock held -------------------------------------------------------------------------

    cdef inline void lock(self) noexcept:
        pc_lock_acquire(&self.mutex)

    cdef inline void unlock(self) noexcept:
        pc_lock_release(&self.mutex)

    cdef inline entry *at(self, uint32_t slot) noexcept:
        return <entry *>pc_slots_payload(&self.core.slots, slot)

    @cython.final
    cdef inline uint32_t seek(self, object key, uint32_t hash) noexcept:
        """The slot of a key, ended or not, PC_NIL, or FAILED with the exception set. May run the keys' ``__eq__``,
        and unlocks for that."""
        cdef pc_cursor cursor
        cdef PyObject *stored
        cdef uint32_t slot = pc_table_find(&self.core.table, &cursor, hash)
        while slot != PC_NIL:
            stored = self.at(slot).key
            if pc_same_key(stored, <PyObject *>key):
                return slot
            if pc_slots_node(&self.core.slots, slot).hash == hash and not (
                    PyUnicode_CheckExact(key) and PyUnicode_CheckExact(<object>stored)):
                return self.seek_loudly(key, hash)
            slot = pc_cursor_next(&cursor)
        return PC_NIL

    @cython.final
    cdef uint32_t seek_loudly(self, object key, uint32_t hash) noexcept:
        """``seek`` where a comparison may run any code: hold the stored key, and start again if the index moved."""
        cdef pc_cursor cursor
        cdef uint64_t version = self.core.version
        cdef uint32_t slot = pc_table_find(&self.core.table, &cursor, hash)
        cdef PyObject *stored
        cdef int equal
        while slot != PC_NIL:
            if pc_slots_node(&self.core.slots, slot).hash == hash:
                stored = self.at(slot).key
                if pc_compares_quietly(stored, <PyObject *>key):
                    equal = PyObject_RichCompareBool(<object>stored, key, Py_EQ)
                else:
                    equal = self.compare(stored, key)
                if equal < 0:
                    return FAILED
                if self.core.version != version:
                    version = self.core.version
                    slot = pc_table_find(&self.core.table, &cursor, hash)
                    continue
                if equal:
                    return slot
            slot = pc_cursor_next(&cursor)
        return PC_NIL

    @cython.final
    cdef int compare(self, PyObject *stored, object key) noexcept:
        """``stored == key`` without the lock; -1 with the exception set when it raises. The reference that keeps
        ``stored`` alive may be the last one by then, and is released before the lock is taken again."""
        Py_INCREF(<object>stored)
        self.unlock()
        cdef int equal = PyObject_RichCompareBool(<object>stored, key, Py_EQ)
        Py_DECREF(<object>stored)
        self.lock()
        return equal

    @cython.final
    cdef inline uint32_t live(self, uint32_t slot, uint64_t now) noexcept:
        """The slot, or PC_NIL after an entry that has ended, or was invalidated, was put in limbo; ``now`` is 0 when
        nobody looked at the clock."""
        if slot >= FAILED:
            return slot
        if now and pc_cache_expired(&self.core, slot, now):
            pc_cache_remove(&self.core, slot, PC_CAUSE_EXPIRED)
            return PC_NIL
        if is_label(self.at(slot).value) and is_stale(self.at(slot).value):
            pc_cache_remove(&self.core, slot, PC_CAUSE_INVALIDATED)
            return PC_NIL
        return slot

    @cython.final
    cdef uint32_t find_live(self, object key, uint32_t hash, uint64_t now) except 0xFFFFFFFE:
        """The slot of a key that has not ended, or PC_NIL."""
        return self.live(self.seek(key, hash), now)

    cdef inline uint32_t hash_of(self, object key) except? 0xFFFFFFFF:
        return pc_hash32(<uint64_t>pc_key_hash(key), self.core.seed)

    cdef uint64_t now(self) except? 0:
        """The time in ns; one more than the clock says, so that 0 is left to mean that nobody looked."""
        return 1 + (pc_clock_ns() if self.timer is None else timer_ns(self.timer()))

    cdef inline uint64_t now_if_timed(self) except? 0:
        return self.now() if self.core.slots.life.size else 0

    # --- reading ---------------------------------------------------------------------------------------------

    @cython.final
    cdef object lookup(self, object key, object default):
        """The value of a key or the default, as a use: counted, and noted by the policy."""
        cdef uint64_t now = 0
        cdef uint32_t slot, hash
        cdef PyObject *value
        cdef bint left
        if self.core.slots.life.size:
            now = self.now()
        hash = self.hash_of(key)
        self.lock()
        slot = self.live(self.seek(key, hash), now)
        if self.curve != NULL:
            pc_curve_note(self.curve, hash)
        if slot < FAILED:
            self.hits += 1
            value = value_of(self.at(slot).value)
            Py_INCREF(<object>value)
            pc_cache_hit(&self.core, slot)
            if self.core.slots.idle.size:
                pc_cache_prolong(&self.core, slot, now)
            self.unlock()
            return pc_owned(value)
        self.misses += slot == PC_NIL
        left = self.core.limbo.count != 0
        self.unlock()
        if slot == FAILED:
            return raised()
        if left:
            self.settle()
        return default

    @cython.final
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
                default = <object>value_of(self.at(slot).value)
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
        missing = getattr(type(self), "__missing__", None)
        if missing is not None:
            return missing(self, key)
        raise KeyError(key)

    def __contains__(self, key):
        return self.look(key, MISSING) is not MISSING

    def peek(self, key, default=None, /):
        """Return the value of a key, or ``default``, without counting it as a use."""
        return self.look(key, default)

    # --- writing ---------------------------------------------------------------------------------------------

    cdef inline uint32_t weigh(self, object key, object value, object weight) except? 0:
        """The weight given for this entry, else what the weigher says."""
        if weight is not None:
            if self.weigher is None:
                raise ValueError("weight is for caches with maxweight or maxbytes")
            return weight_of("weight", weight)
        return 1 if self.weigher is None else weight_of("weigher", self.weigher(key, value))

    cdef uint64_t ttl_of(self, object ttl) except? 0:
        """The ttl of an entry in ns, shortened by the jitter; 0 is none."""
        cdef uint64_t ns = self.ttl_ns if ttl is None else duration_ns("ttl", ttl)
        if ns and self.jitter:
            self.draws += 1
            ns -= <uint64_t>(ns * self.jitter * (pc_mix64(self.core.seed[0] + self.draws) / 18446744073709551616.0))
        return ns

    cdef uint64_t tti_of(self, object tti) except? 0:
        return self.tti_ns if tti is None else duration_ns("tti", tti)

    cdef Label label_of(self, object names):
        """What an entry with these tags is to be stored as, or None without tags."""
        if names is None:
            return None
        if self.tags is None:
            self.tags = TagRegister()
        return self.tags.label(names)

    @cython.final
    cdef int put(self, object key, object value) except -1:
        """``store`` with the cache's own times and weights, and without tags."""
        cdef uint32_t hash, slot
        cdef PyObject *old = NULL
        cdef pc_status status = PC_OK
        cdef bint left
        if not self.plain or self.core.slots.life.size:
            return self.store(key, value, None, None, None, True)
        hash = self.hash_of(key)
        self.lock()
        slot = self.seek(key, hash)
        if slot < FAILED:
            old = self.exchange(slot, value)
            pc_cache_hit(&self.core, slot)
        elif slot == PC_NIL:
            status = pc_cache_reserve(&self.core, 0, False, False)
            if status == PC_OK:
                self.fill(pc_cache_insert(&self.core, hash, 1), key, value)
        left = self.core.limbo.count != 0
        self.unlock()
        if slot == FAILED:
            return -1
        if old != NULL:
            Py_DECREF(<object>old)
        if left:
            self.settle()
        return check(status)

    cdef int store(self, object key, object value, object ttl, object tti, Label label, bint replace,
                   object weight=None) except -1:
        """Store an entry and return 1, or return 0 when it is there and ``replace`` is false."""
        cdef uint64_t ttl_ns = self.ttl_of(ttl), tti_ns = self.tti_of(tti)
        cdef uint32_t heaviness = self.weigh(key, value, weight)
        cdef uint64_t now = self.now() if ttl_ns or tti_ns or self.core.slots.life.size else 0
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        cdef object held_key = None, held = value
        cdef PyObject *old = NULL
        cdef pc_status status = PC_OK
        cdef bint stored = True, left = False
        if label is not None:
            label.value, held = value, label
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if now:
                pc_cache_expire(&self.core, now, PC_CACHE_EXPIRY_BUDGET)
            stored = slot == PC_NIL or replace
            if stored:
                status = pc_cache_reserve(&self.core, now, ttl_ns != 0, tti_ns != 0)
            if stored and status == PC_OK:
                if slot == PC_NIL:
                    slot = pc_cache_insert(&self.core, hash, heaviness)
                    self.fill(slot, key, held)
                else:
                    held_key, old = <object>self.at(slot).key, self.exchange(slot, held)
                    pc_cache_hit(&self.core, slot)
                    pc_cache_reweigh(&self.core, slot, heaviness)
                if now:
                    self.set_life(slot, now, ttl_ns, tti_ns)
            left = self.core.limbo.count != 0
        finally:
            self.unlock()
        if left:
            self.settle()
        if old != NULL:
            if self.on_remove is not None:
                self.notify(held_key, old, "replaced")
            Py_DECREF(<object>old)
        return stored

    cdef inline void fill(self, uint32_t slot, object key, object held) noexcept:
        cdef entry *e = self.at(slot)
        Py_INCREF(key)
        Py_INCREF(held)
        e.key, e.value = <PyObject *>key, <PyObject *>held

    cdef inline PyObject *exchange(self, uint32_t slot, object held) noexcept:
        """Put a value in place of another; the reference to that is the caller's, to be released after the lock."""
        cdef entry *e = self.at(slot)
        cdef PyObject *old = e.value
        Py_INCREF(held)
        e.value = <PyObject *>held
        return old

    cdef inline void set_life(self, uint32_t slot, uint64_t now, uint64_t ttl, uint64_t tti) noexcept:
        cdef uint64_t end = now + ttl if ttl else PC_NEVER
        pc_cache_set_life(&self.core, slot, min(end, now + tti) if tti else end, tti, end)

    def __setitem__(self, key, value):
        self.put(key, value)

    # --- leaving ---------------------------------------------------------------------------------------------

    cdef void settle(self) noexcept:
        """Empty limbo: release what left, and tell the listener. Each round leaves everything consistent.

        What a finalizer or a listener makes leave is left to the loop that called it, or a thousand victims whose
        finalizers use the cache would be a thousand calls deep.
        """
        cdef unsigned long thread = PyThread_get_thread_ident()
        cdef pc_cause cause = PC_CAUSE_SIZE
        cdef uint32_t slot
        cdef entry gone
        self.lock()
        if self.settler == thread:
            self.unlock()
            return
        self.settler = thread
        while True:
            slot = pc_cache_collect(&self.core, &cause)
            if slot == PC_NIL:
                break
            gone = self.at(slot)[0]
            pc_slots_give(&self.core.slots, slot)
            self.account(cause)
            self.unlock()
            if self.on_remove is not None and cause != PC_CAUSE_REJECTED:
                self.notify(<object>gone.key, gone.value, CAUSES[<int>cause])
            Py_DECREF(<object>gone.key)
            Py_DECREF(<object>gone.value)
            self.lock()
        if self.settler == thread:  # another thread's note of itself stays: it is still at work
            self.settler = 0
        self.unlock()

    cdef inline void account(self, pc_cause cause) noexcept:
        if cause == PC_CAUSE_SIZE:
            self.evictions += 1
        elif cause == PC_CAUSE_EXPIRED:
            self.expirations += 1
        elif cause == PC_CAUSE_REJECTED:
            self.rejections += 1
        elif cause == PC_CAUSE_INVALIDATED:
            self.invalidations += 1

    cdef void notify(self, object key, PyObject *held, object cause) noexcept:
        """Call the listener; what it raises goes to ``sys.unraisablehook`` and never to whoever used the cache."""
        self.on_remove(key, <object>value_of(held), cause)

    cdef object take(self, object key, object default):
        """Remove a key and return its value, or ``default``."""
        cdef uint64_t now = self.now_if_timed()
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if slot != PC_NIL:
                default = <object>value_of(self.at(slot).value)
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
                self.notify(<object>payload(gone, slot).key, payload(gone, slot).value, "explicit")
        drop(gone)

    cdef uint32_t count(self) noexcept:
        self.lock()
        cdef uint32_t count = pc_cache_count(&self.core)
        self.unlock()
        return count

    def __len__(self):
        return self.count()

    def __bool__(self):
        return self.count() != 0


cdef object raised():
    """Pass on the exception that a comparison has set."""
    return pc_owned(NULL)


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
    cdef pc_slots *slots = &(<CacheEngine>self).core.slots
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
    pc_cache_detach(&(<CacheEngine>self).core, &gone)  # everything is detached before the first DECREF
    drop(&gone)
    return generated_clear(self)


cdef PyTypeObject *engine_type = <PyTypeObject *>CacheEngine
generated_traverse = engine_type.tp_traverse
generated_clear = engine_type.tp_clear
engine_type.tp_traverse = traverse
engine_type.tp_clear = clear

survive_forks()
