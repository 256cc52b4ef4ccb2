"""Iteration over a cache, in slot order."""

cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

from perfcore._native.c.cache cimport pc_cache_expired, pc_cache_holds
from perfcore._native.engine cimport CacheEngine
from perfcore._native.tags cimport is_label, is_stale, value_of

__all__ = ["CacheIterator"]


cdef CacheIterator iterate(CacheEngine cache, int kind):
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
        cdef CacheEngine cache = self.cache
        cdef object key = None, value = None
        cdef PyObject *held
        cdef bint changed = False, found = False
        if cache is None:
            raise StopIteration
        cdef uint64_t now = cache.now_if_timed()
        cache.lock()
        changed = cache.core.changes != self.changes
        while not changed and not found and self.slot < cache.core.slots.used:
            found = pc_cache_holds(&cache.core, self.slot) and not pc_cache_expired(&cache.core, self.slot, now)
            held = cache.at(self.slot).value
            if found and is_label(held):
                found = not is_stale(held)
            if found:
                key, value = <object>cache.at(self.slot).key, <object>value_of(held)
            self.slot += 1
        cache.unlock()
        if changed:
            raise RuntimeError("cache changed during iteration")
        if not found:
            self.cache = None
            raise StopIteration
        return key if self.kind == KEYS else value if self.kind == VALUES else (key, value)
