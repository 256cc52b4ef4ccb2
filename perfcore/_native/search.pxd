# Finding the entry of a call in a Cache, by the rules of engine.pyx: with the lock held, quietly as far as possible;
# where a comparison may run any code, without the lock, and again from the start if the index moved meanwhile.
# References are counted by hand, as in call.pxd.
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.base cimport PC_NIL
from perfcore._native.c.cache cimport PC_NEVER, pc_cache
from perfcore._native.c.slots cimport pc_slots_idle, pc_slots_life, pc_slots_node, pc_slots_payload
from perfcore._native.c.table cimport pc_cursor, pc_cursor_next, pc_table_find
from perfcore._native.cache cimport Cache
from perfcore._native.call cimport LOUD, call_matches, decref, pc_call, pc_new_ref, same, same_loudly
from perfcore._native.engine cimport FAILED, entry
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_release


# What is known of a call; what it points to belongs to the caller, but for `made`.
ctypedef struct request:
    pc_call call
    PyObject *key       # the key where it is an object already, or NULL: a sole str or int, or what `key` returned ...
    PyObject *made      # ... which is released at the end
    uint32_t hash
    uint64_t now        # 0 when nobody needed the clock
    uint64_t version    # of the index, when the key was not found in it


cdef inline entry *entry_at(pc_cache *core, uint32_t slot) noexcept:
    return <entry *>pc_slots_payload(&core.slots, slot)


cdef inline uint32_t search(Cache cache, request *r) noexcept:
    """The slot of the key, PC_NIL or FAILED."""
    if r.key == NULL:
        return search_call(cache, r)
    return search_key(cache, r)


cdef inline uint32_t search_key(Cache cache, request *r) noexcept:
    cdef pc_cache *core = &cache.core
    cdef pc_cursor cursor
    cdef PyObject *stored
    cdef int verdict
    cdef uint32_t slot = pc_table_find(&core.table, &cursor, r.hash)
    while slot != PC_NIL:
        stored = entry_at(core, slot).key
        if stored == r.key:
            return slot
        if pc_slots_node(&core.slots, slot).hash == r.hash:
            verdict = same(stored, r.key)
            if verdict == 1:
                return slot
            if verdict == LOUD:
                return cache.seek_loudly(<object>r.key, r.hash)
        slot = pc_cursor_next(&cursor)
    return PC_NIL


cdef inline uint32_t search_call(Cache cache, request *r) noexcept:
    cdef pc_cache *core = &cache.core
    cdef pc_cursor cursor
    cdef PyObject *stored
    cdef uint64_t version = core.version
    cdef int verdict
    cdef uint32_t slot = pc_table_find(&core.table, &cursor, r.hash)
    while slot != PC_NIL:
        stored = entry_at(core, slot).key
        if pc_slots_node(&core.slots, slot).hash == r.hash:
            verdict = call_matches(&r.call, stored, same)
            if verdict == LOUD:
                verdict = match_loudly(cache, &r.call, stored)
                if verdict < 0:
                    return FAILED
                if core.version != version:
                    version = core.version
                    slot = pc_table_find(&core.table, &cursor, r.hash)
                    continue
            if verdict:
                return slot
        slot = pc_cursor_next(&cursor)
    return PC_NIL


cdef inline int match_loudly(Cache cache, const pc_call *call, PyObject *stored) noexcept:
    """``call_matches`` with the objects' own ``==``, without the lock; -1 when one raises."""
    pc_new_ref(stored)
    pc_lock_release(&cache.mutex)
    cdef int verdict = call_matches(call, stored, same_loudly)
    decref(stored)
    pc_lock_acquire(&cache.mutex)
    return verdict


cdef inline uint64_t time_left(pc_cache *core, uint32_t slot, uint64_t now) noexcept:
    """The ns until an entry with a deadline ends, not counting what uses may grant; 0 when it has ended."""
    cdef uint64_t end = pc_slots_life(&core.slots, slot).deadline
    if end > now and core.slots.idle.size and pc_slots_idle(&core.slots, slot).grant:
        end = pc_slots_idle(&core.slots, slot).end
    return PC_NEVER if end == PC_NEVER else end - now if end > now else 0
