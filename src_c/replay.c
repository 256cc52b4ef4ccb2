#include "replay.h"

#include <string.h>

#define AHEAD 16 /* requests between the prefetch of an id's place and its lookup */

pc_status pc_replay_init(pc_replay *r, const pc_alloc *alloc, pc_mode mode, uint64_t capacity, bool weighted,
                         uint32_t ids, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    r->ids = ids;
    r->plain = mode == PC_LRU && !weighted;
    if (r->plain)
        return pc_recency_init(&r->recency, alloc, capacity, ids);
    r->seed[0] = pc_mix64(seed + 1);
    r->seed[1] = pc_mix64(seed + 2) | 1;
    pc_status status = pc_slots_init(&r->slots, alloc, 0);
    if (status == PC_OK && weighted)
        status = pc_slots_want_weights(&r->slots);
    if (status == PC_OK)
        status = pc_policy_init(&r->policy, &r->slots, alloc, mode, capacity, pc_mix64(seed + 3));
    r->slot_of = pc_zalloc(alloc, (size_t)ids + 1, sizeof *r->slot_of);
    r->id_of = pc_zalloc(alloc, (size_t)ids + 1, sizeof *r->id_of);
    if (r->slot_of == NULL || r->id_of == NULL)
        status = PC_NO_MEMORY;
    if (status != PC_OK)
        pc_replay_destroy(r);
    return status;
}

void pc_replay_destroy(pc_replay *r)
{
    if (r->plain) {
        pc_recency_destroy(&r->recency);
        return;
    }
    pc_policy_destroy(&r->policy);
    pc_release(&r->slots.alloc, r->slot_of);
    pc_release(&r->slots.alloc, r->id_of);
    r->slot_of = r->id_of = NULL;
    pc_slots_destroy(&r->slots);
}

/* The slots by the one pointer that the policy uses too: so the compiler knows that they are the same. */
static inline pc_slots *slots_of(pc_replay *r)
{
    return r->policy.queues.slots;
}

static inline void evict(pc_replay *r, uint32_t newcomer)
{
    for (uint32_t slot; (slot = pc_policy_victim(&r->policy)) != PC_NIL;) {
        r->counts.evictions += slot != newcomer;
        r->slot_of[r->id_of[slot]] = 0;
        pc_slots_give(slots_of(r), slot);
    }
}

static inline void hit(pc_replay *r, uint32_t slot, uint32_t weight, bool weighted)
{
    r->counts.hits++;
    pc_policy_note_hit(&r->policy, slot);
    if (!weighted)
        return;
    r->counts.weight_hit += weight;
    if (*pc_slots_weight(slots_of(r), slot) != weight) {
        pc_policy_reweigh(&r->policy, slot, weight);
        evict(r, PC_NIL);
    }
}

static inline pc_status reserve(pc_replay *r)
{
    pc_status status = pc_slots_reserve(slots_of(r));
    return status == PC_OK && r->policy.mode == PC_RANDOM ? pc_policy_reserve(&r->policy) : status;
}

static inline pc_status miss(pc_replay *r, uint32_t id, uint32_t weight, bool weighted)
{
    if (weight > r->policy.queues.capacity)
        return PC_OK;
    uint32_t hash = pc_hash32(id, r->seed);
    pc_policy_prefetch(&r->policy, hash);
    pc_status status = reserve(r);
    if (status != PC_OK)
        return status;
    uint32_t slot = pc_slots_take(slots_of(r), hash);
    if (weighted)
        *pc_slots_weight(slots_of(r), slot) = weight;
    r->id_of[slot] = id;
    r->slot_of[id] = slot + 1;
    pc_policy_insert(&r->policy, slot);
    evict(r, slot);
    return PC_OK;
}

/* Inlined once for each kind of trace. */
static inline pc_status play(pc_replay *r, const uint32_t *ids, const uint32_t *weights, size_t count, bool weighted)
{
    pc_status status = PC_OK;
    size_t i = 0;
    for (; i < count && status == PC_OK; i++) {
        if (PC_LIKELY(i + AHEAD < count))
            PC_PREFETCH(&r->slot_of[ids[i + AHEAD]]);
        PC_ASSERT(ids[i] < r->ids);
        uint32_t weight = weighted ? weights[i] : 1, place = r->slot_of[ids[i]];
        if (weighted)
            r->counts.weight += weight;
        if (place != 0)
            hit(r, place - 1, weight, weighted);
        else
            status = miss(r, ids[i], weight, weighted);
    }
    r->counts.requests += i;
    return status;
}

pc_status pc_replay_feed(pc_replay *r, const uint32_t *ids, const uint32_t *weights, size_t count)
{
    if (r->plain) {
        r->counts.requests += count;
        r->counts.hits += pc_recency_feed(&r->recency, ids, count);
        if (r->recency.capacity > 0)
            r->counts.evictions = r->counts.requests - r->counts.hits - r->recency.used;
        return PC_OK;
    }
    return r->slots.weight.size != 0 ? play(r, ids, weights, count, true) : play(r, ids, NULL, count, false);
}

pc_policy_state pc_replay_explain(const pc_replay *r)
{
    return r->plain ? (pc_policy_state){.mode = PC_LRU, .arm = PC_ARM_LRU} : pc_policy_explain(&r->policy);
}

bool pc_replay_valid(const pc_replay *r)
{
    if (r->plain)
        return pc_recency_valid(&r->recency);
    uint32_t found = 0;
    for (uint32_t id = 0; id < r->ids; id++)
        if (r->slot_of[id] != 0) {
            found++;
            if (!pc_slots_in_use(&r->slots, r->slot_of[id] - 1) || r->id_of[r->slot_of[id] - 1] != id)
                return false;
        }
    return found == r->slots.live && pc_slots_valid(&r->slots) && pc_policy_valid(&r->policy) &&
           pc_policy_weight(&r->policy) <= r->policy.queues.capacity;
}
