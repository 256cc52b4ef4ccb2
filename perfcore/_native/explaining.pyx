"""Why a cache does what it does: the policy's state, the order of the entries, and what became of a key."""

from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.c.base cimport PC_NIL
from perfcore._native.c.cache cimport *
from perfcore._native.c.clock cimport PC_SECOND
from perfcore._native.c.policy cimport *
from perfcore._native.c.slots cimport *
from perfcore._native.engine cimport CacheEngine
from perfcore._native.tags cimport is_label, is_stale

from perfcore.types import Explanation, PolicyState

__all__ = ()

cdef tuple POLICIES = ("lru", "lfu", "random", "adaptive")  # indexed by pc_mode
cdef tuple ARMS = ("lirs", "tiny20", "lru", "tiny1")  # indexed by pc_arm
cdef tuple STATES = ("evicted", "expired", "removed", "rejected", "invalidated")  # indexed by pc_cause


cdef object policy_state(CacheEngine cache):
    cdef pc_policy_state state
    cache.lock()
    state = pc_policy_explain(&cache.core.policy)
    cache.unlock()
    duel = state.sample_rate != 0
    return PolicyState(
        policy=POLICIES[<int>cache.core.policy.mode], arm=ARMS[state.arm],
        window=state.window_weight, window_room=state.window_room,
        main=state.main_weight, pinned=state.pinned_count, misses=state.clock, switches=state.switches,
        sample_rate=state.sample_rate,
        hits={arm: state.hits[i] for i, arm in enumerate(ARMS)} if duel else {},
        discord={arm: state.discord[i] for i, arm in enumerate(ARMS)} if duel else {},
    )


cdef list ranked(CacheEngine cache, uint32_t n, bint hottest_first):
    """The up to ``n`` keys that would be evicted last, or first, in that order."""
    cdef list keys = []
    cdef uint64_t now = cache.now()
    cdef uint32_t slot
    cdef pc_policy_walk walk
    cache.lock()
    try:
        walk = pc_policy_walk_from(&cache.core.policy, hottest_first)
        while len(keys) < n:
            slot = pc_policy_walk_next(&cache.core.policy, &walk)
            if slot == PC_NIL:
                break
            if not (pc_cache_expired(&cache.core, slot, now) or
                    (is_label(cache.at(slot).value) and is_stale(cache.at(slot).value))):
                keys.append(<object>cache.at(slot).key)  # appending runs no collection
    finally:
        cache.unlock()
    return keys


cdef object explain(CacheEngine cache, object key):
    cdef uint64_t now = cache.now(), deadline = PC_NEVER
    cdef uint32_t hash = cache.hash_of(key), age = PC_NIL
    cdef uint32_t slot
    cdef unsigned int frequency = 0
    cdef pc_cause cause = PC_CAUSE_SIZE
    cdef bint departed = False
    cache.lock()
    try:
        slot = cache.find_live(key, hash, now)
        if slot != PC_NIL and pc_cache_timed(&cache.core, slot):
            deadline = pc_slots_life(&cache.core.slots, slot).deadline
        departed = pc_cache_departure(&cache.core, hash, &cause)
        age = pc_policy_ghost_age(&cache.core.policy, hash)
        frequency = (pc_policy_absent_frequency(&cache.core.policy, hash) if slot == PC_NIL
                     else pc_policy_frequency(&cache.core.policy, slot))
    finally:
        cache.unlock()
    cache.settle()
    if slot != PC_NIL:
        left = None if deadline == PC_NEVER else (deadline - now) / <double>PC_SECOND
        return Explanation("present", frequency, None, left)
    known = STATES[<int>cause] if departed else "unknown"
    state = "evicted" if age != PC_NIL and not departed else known
    return Explanation(state, frequency, None if age == PC_NIL else age, None)
