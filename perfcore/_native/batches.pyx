"""Many keys at once: what up to 64 lookups need of memory is asked for together, so that they wait for it once."""

from libc.stdint cimport uint32_t

from perfcore._native.c.base cimport PC_NIL, PC_PREFETCH
from perfcore._native.c.slots cimport pc_slots_node
from perfcore._native.c.table cimport pc_cursor, pc_table_find, pc_table_prefetch
from perfcore._native.engine cimport CacheEngine

__all__ = ()

cdef enum:
    BATCH = 64


cdef int prefetch(CacheEngine cache, list keys, Py_ssize_t start, Py_ssize_t end) except -1:
    """Ask for the buckets, then the entries, then the values of up to BATCH keys: each wave overlaps its misses."""
    cdef uint32_t hashes[BATCH]
    cdef uint32_t slots[BATCH]
    cdef pc_cursor cursor
    cdef Py_ssize_t i, n = end - start
    for i in range(n):
        hashes[i] = cache.hash_of(keys[start + i])  # may run anything; nothing below does
    cache.lock()
    for i in range(n):
        pc_table_prefetch(&cache.core.table, hashes[i])
    for i in range(n):
        slots[i] = pc_table_find(&cache.core.table, &cursor, hashes[i])
        if slots[i] != PC_NIL:
            PC_PREFETCH(cache.at(slots[i]))
            PC_PREFETCH(pc_slots_node(&cache.core.slots, slots[i]))
    for i in range(n):
        if slots[i] != PC_NIL:
            PC_PREFETCH(cache.at(slots[i]).value)
    cache.unlock()
    return 0


cdef list get_many(CacheEngine cache, list keys, object default):
    cdef list found = []
    cdef Py_ssize_t start, i, end
    for start in range(0, len(keys), BATCH):
        end = min(start + BATCH, len(keys))
        prefetch(cache, keys, start, end)
        for i in range(start, end):
            found.append(cache.lookup(keys[i], default))
    return found


cdef int set_many(CacheEngine cache, object pairs, object ttl, object tti, object tags, object weight) except -1:
    cdef list keys = [], values = []
    cdef Py_ssize_t start, i, end
    cdef bint bare = ttl is None and tti is None and tags is None and weight is None
    for key, value in pairs:
        keys.append(key)
        values.append(value)
    if tags is not None and not isinstance(tags, (str, bytes)):
        tags = tuple(tags)  # one that can be read only once holds for all items
    for start in range(0, len(keys), BATCH):
        end = min(start + BATCH, len(keys))
        prefetch(cache, keys, start, end)
        for i in range(start, end):
            if bare:
                cache.put(keys[i], values[i])
            else:
                cache.store(keys[i], values[i], ttl, tti, cache.label_of(tags), True, weight)
    return 0
