"""Taking a cache's entries out, with all that the policy knows about them, and putting them into another cache."""

from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from perfcore._native.c.base cimport PC_NIL, PC_OK, pc_status
from perfcore._native.c.cache cimport *
from perfcore._native.c.policy cimport *
from perfcore._native.c.slots cimport *
from perfcore._native.engine cimport CacheEngine
from perfcore._native.errors cimport check
from perfcore._native.tags cimport Label, Tag, is_label, is_stale, value_of

__all__ = ()


cdef list saved(CacheEngine cache):
    cdef list slots = [], entries = []
    cdef uint64_t now = cache.now(), version
    cdef uint32_t slot
    cdef pc_policy_walk walk
    cache.lock()
    try:
        version = cache.core.version
        walk = pc_policy_walk_from(&cache.core.policy, False)
        slot = pc_policy_walk_next(&cache.core.policy, &walk)
        while slot != PC_NIL:
            slots.append(slot)  # ints: no collection can run before the walk is over
            slot = pc_policy_walk_next(&cache.core.policy, &walk)
    finally:
        cache.unlock()
    for slot in slots:
        entry_of_slot = saved_entry(cache, slot, now, version)
        if entry_of_slot is not None:
            entries.append(entry_of_slot)
    return entries


cdef tuple saved_entry(CacheEngine cache, uint32_t slot, uint64_t now, uint64_t version):
    """One entry as ``restore`` takes it, or None when it has ended."""
    cdef object key = None, value = None, tags = None
    cdef PyObject *held
    cdef uint64_t deadline = PC_NEVER, grant = 0, end = PC_NEVER
    cdef uint32_t weight = 1
    cdef unsigned int queue = 0, frequency = 0
    cache.lock()
    cdef bint same = cache.core.version == version, stale = False
    if same:
        held = cache.at(slot).value
        key, value = <object>cache.at(slot).key, <object>value_of(held)
        if is_label(held):
            tags, stale = (<Label>held).tags, is_stale(held)
        queue = pc_slots_node(&cache.core.slots, slot).queue
        frequency = pc_policy_frequency(&cache.core.policy, slot)
        if cache.core.slots.weight.size:
            weight = pc_slots_weight(&cache.core.slots, slot)[0]
        if pc_cache_timed(&cache.core, slot):
            deadline = end = pc_slots_life(&cache.core.slots, slot).deadline
            if cache.core.slots.idle.size and pc_slots_idle(&cache.core.slots, slot).grant:
                grant, end = pc_slots_idle(&cache.core.slots, slot).grant, pc_slots_idle(&cache.core.slots, slot).end
    cache.unlock()
    if not same:
        raise RuntimeError("cache changed while it was copied")
    if stale or deadline <= now:
        return None
    return (key, value, weight, queue, frequency, None if deadline == PC_NEVER else deadline - now, grant,
            None if end == PC_NEVER else end - now, None if tags is None else [(<Tag>tag).name for tag in tags])


cdef int restore(CacheEngine cache, tuple saved, uint64_t now) except -1:
    cdef object key, value, names
    cdef uint32_t weight
    cdef uint8_t queue
    cdef unsigned int frequency
    cdef uint64_t grant
    key, value, weight, queue, frequency, remaining, grant, rest, names = saved
    cdef uint64_t deadline = PC_NEVER if remaining is None else now + <uint64_t>remaining
    cdef uint64_t end = PC_NEVER if rest is None else now + <uint64_t>rest
    cdef uint32_t hash = cache.hash_of(key)
    cdef Label label = cache.label_of(names)
    cdef uint32_t slot
    cdef pc_status status = PC_OK
    if label is not None:
        label.value, value = value, label
    cache.lock()
    try:
        if cache.find_live(key, hash, 0) == PC_NIL:  # else two keys have become equal
            status = pc_cache_reserve(&cache.core, now, deadline != PC_NEVER, grant != 0)
            if status == PC_OK:
                slot = pc_cache_restore(&cache.core, hash, weight, queue, frequency)
                cache.fill(slot, key, value)
                pc_cache_set_life(&cache.core, slot, deadline, grant, end)
    finally:
        cache.unlock()
    cache.settle()
    check(status)
    return 0
