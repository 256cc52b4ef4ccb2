# Finding the entry of a call in a Cache, by the rules of engine.pyx: with the lock held, quietly as far as possible;
# where a comparison may run any code, without the lock, and again from the start if the index moved meanwhile.
# References are counted by hand, as in call.pxd.
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.base cimport PC_NIL
from perfcore._native.c.cache cimport PC_NEVER, pc_cache, pc_cache_timed
from perfcore._native.c.clock cimport PC_CLOCK_LAG, pc_clock_coarse_ns
from perfcore._native.c.curve cimport pc_curve_note
from perfcore._native.c.slots cimport pc_slots_idle, pc_slots_life, pc_slots_node, pc_slots_payload
from perfcore._native.c.table cimport pc_cursor, pc_cursor_next, pc_table_find
from perfcore._native.cache cimport Cache
from perfcore._native.call cimport LOUD, None_, call_matches, decref, pc_call, pc_new_ref, same, same_loudly
from perfcore._native.engine cimport FAILED, entry
from perfcore._native.lock cimport pc_lock, pc_lock_acquire, pc_lock_release


cdef enum:
    UNSURE = 0xFFFFFFFD  # of a search: no slot, but a stored key that must be asked whether it is equal


# What is known of a call; what it points to belongs to the caller, but for `made`.
ctypedef struct request:
    pc_call call
    PyObject *key       # the key where it is an object already, or NULL: a sole str or int, or what `key` returned ...
    PyObject *made      # ... which is released at the end
    uint32_t hash
    uint64_t now        # what the cache's own timer says; 0 where there is none
    uint64_t version    # of the index, when the key was not found in it


cdef inline uint64_t time_of(Cache cache) except 0:
    return cache.now()


cdef inline void watch(Cache cache, uint32_t hash) noexcept:
    """Let whoever observes the cache know of a lookup; with the lock."""
    if cache.curve != NULL:
        pc_curve_note(cache.curve, hash)


cdef inline entry *entry_at(pc_cache *core, uint32_t slot) noexcept:
    return <entry *>pc_slots_payload(&core.slots, slot)


cdef inline uint32_t search(Cache cache, request *r) noexcept:
    """The slot of the key, PC_NIL or FAILED."""
    cdef uint32_t slot
    if r.key == NULL:
        return search_call(&cache.core, &cache.mutex, r)
    slot = search_key(&cache.core, r.key, r.hash)
    return slot if slot != UNSURE else cache.seek_loudly(<object>r.key, r.hash)


cdef inline uint32_t search_key(pc_cache *core, PyObject *key, uint32_t hash) noexcept:
    """The slot of a key, PC_NIL or UNSURE. Calls nothing."""
    cdef pc_cursor cursor
    cdef PyObject *stored
    cdef int verdict
    cdef uint32_t slot = pc_table_find(&core.table, &cursor, hash)
    while slot != PC_NIL:
        stored = entry_at(core, slot).key
        verdict = same(stored, key)  # before the hash is compared, which would fetch the node: a hit needs it later
        if verdict == 1:
            return slot
        if verdict == LOUD and pc_slots_node(&core.slots, slot).hash == hash:
            return <uint32_t>UNSURE
        slot = pc_cursor_next(&cursor)
    return PC_NIL


cdef inline uint32_t search_call(pc_cache *core, pc_lock *mutex, request *r) noexcept:
    """The slot of a key that is not built, PC_NIL or FAILED."""
    cdef pc_cursor cursor
    cdef uint64_t version = core.version
    cdef int verdict
    cdef uint32_t slot = pc_table_find(&core.table, &cursor, r.hash)
    while slot != PC_NIL:
        if pc_slots_node(&core.slots, slot).hash == r.hash:
            verdict = call_matches(&r.call, entry_at(core, slot).key, same)
            if verdict == LOUD:
                verdict = match_loudly(mutex, &r.call, entry_at(core, slot).key)
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


cdef inline int match_loudly(pc_lock *mutex, const pc_call *call, PyObject *stored) noexcept:
    """``call_matches`` with the objects' own ``==``, without the lock; -1 when one raises."""
    pc_new_ref(stored)
    pc_lock_release(mutex)
    cdef int verdict = call_matches(call, stored, same_loudly)
    decref(stored)
    pc_lock_acquire(mutex)
    return verdict


cdef inline bint has_timer(PyObject *cache) noexcept:
    """Whether the cache asks a clock of its own, which may run any code, instead of the system's."""
    return <PyObject *>(<Cache>cache).timer != None_


cdef inline bint surely_alive(PyObject *cache, uint32_t slot, uint64_t margin) noexcept:
    """Whether an entry has more than a margin left and no use prolongs it, as far as a cheap look at the clock tells."""
    cdef pc_cache *core = &(<Cache>cache).core
    if not pc_cache_timed(core, slot):
        return True
    return (core.slots.idle.size == 0 and not has_timer(cache)
            and pc_slots_life(&core.slots, slot).deadline > pc_clock_coarse_ns() + PC_CLOCK_LAG + margin)


cdef inline uint64_t time_left(pc_cache *core, uint32_t slot, uint64_t now) noexcept:
    """The ns until an entry ends, not counting what uses may grant: PC_NEVER when it does not, 0 when it has."""
    if not pc_cache_timed(core, slot):
        return PC_NEVER
    cdef uint64_t end = pc_slots_life(&core.slots, slot).deadline
    if end <= now:
        return 0
    if core.slots.idle.size and pc_slots_idle(&core.slots, slot).grant:
        end = pc_slots_idle(&core.slots, slot).end
    return PC_NEVER if end == PC_NEVER else end - now
