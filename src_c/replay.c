#include "replay.h"

#include <string.h>

#define AHEAD 8 /* requests between the prefetch of an id's bucket and its lookup */

pc_status pc_replay_init(pc_replay *r, const pc_alloc *alloc, pc_mode mode, uint64_t capacity, bool weighted,
                         uint64_t seed)
{
    memset(r, 0, sizeof *r);
    r->seed[0] = pc_mix64(seed + 1);
    r->seed[1] = pc_mix64(seed + 2) | 1;
    pc_table_init(&r->table, alloc);
    pc_status status = pc_slots_init(&r->slots, alloc, sizeof(uint64_t));
    if (status == PC_OK && weighted)
        status = pc_slots_want_weights(&r->slots);
    if (status == PC_OK)
        status = pc_policy_init(&r->policy, &r->slots, alloc, mode, capacity, pc_mix64(seed + 3));
    return status;
}

void pc_replay_destroy(pc_replay *r)
{
    pc_policy_destroy(&r->policy);
    pc_table_destroy(&r->table);
    pc_slots_destroy(&r->slots);
}

static uint64_t *id_of(const pc_replay *r, uint32_t slot)
{
    return pc_slots_payload(&r->slots, slot);
}

static uint32_t find(const pc_replay *r, uint32_t hash, uint64_t id)
{
    pc_cursor cursor;
    uint32_t slot = pc_table_find(&r->table, &cursor, hash);
    while (slot != PC_NIL && *id_of(r, slot) != id)
        slot = pc_cursor_next(&cursor);
    return slot;
}

static void drop(pc_replay *r, uint32_t slot)
{
    pc_table_remove(&r->table, &r->slots, slot);
    pc_slots_give(&r->slots, slot);
}

static void evict(pc_replay *r, uint32_t newcomer)
{
    for (uint32_t slot; (slot = pc_policy_victim(&r->policy)) != PC_NIL;) {
        r->counts.evictions += slot != newcomer;
        r->counts.refusals += slot == newcomer;
        drop(r, slot);
    }
}

static void hit(pc_replay *r, uint32_t slot, uint32_t weight)
{
    r->counts.hits++;
    r->counts.weight_hit += weight;
    pc_policy_note_hit(&r->policy, slot);
    if (r->slots.weight.size && *pc_slots_weight(&r->slots, slot) != weight) {
        pc_policy_reweigh(&r->policy, slot, weight);
        evict(r, PC_NIL);
    }
}

static pc_status miss(pc_replay *r, uint32_t hash, uint64_t id, uint32_t weight)
{
    if (weight > r->policy.queues.capacity) {
        r->counts.refusals++;
        return PC_OK;
    }
    pc_policy_prefetch(&r->policy, hash);
    pc_status status = pc_slots_reserve(&r->slots);
    if (status == PC_OK)
        status = pc_table_reserve(&r->table);
    if (status == PC_OK)
        status = pc_policy_reserve(&r->policy);
    if (status != PC_OK)
        return status;
    uint32_t slot = pc_slots_take(&r->slots, hash);
    *id_of(r, slot) = id;
    if (r->slots.weight.size)
        *pc_slots_weight(&r->slots, slot) = weight;
    pc_table_insert(&r->table, &r->slots, slot);
    pc_policy_insert(&r->policy, slot);
    evict(r, slot);
    return PC_OK;
}

static uint32_t hash_id(const pc_replay *r, uint64_t id)
{
    return pc_hash32(id, r->seed);
}

static inline pc_status request(pc_replay *r, uint64_t id, uint32_t weight)
{
    uint32_t hash = hash_id(r, id), slot = find(r, hash, id);
    r->counts.requests++;
    r->counts.weight += weight;
    if (slot == PC_NIL)
        return miss(r, hash, id, weight);
    hit(r, slot, weight);
    return PC_OK;
}

pc_status pc_replay_feed32(pc_replay *r, const uint32_t *ids, const uint32_t *weights, size_t count)
{
    pc_status status = PC_OK;
    for (size_t i = 0; i < count && status == PC_OK; i++) {
        if (i + AHEAD < count)
            pc_table_prefetch(&r->table, hash_id(r, ids[i + AHEAD]));
        status = request(r, ids[i], weights ? weights[i] : 1);
    }
    return status;
}

pc_status pc_replay_feed64(pc_replay *r, const uint64_t *ids, const uint32_t *weights, size_t count)
{
    pc_status status = PC_OK;
    for (size_t i = 0; i < count && status == PC_OK; i++) {
        if (i + AHEAD < count)
            pc_table_prefetch(&r->table, hash_id(r, ids[i + AHEAD]));
        status = request(r, ids[i], weights ? weights[i] : 1);
    }
    return status;
}

bool pc_replay_valid(const pc_replay *r)
{
    return pc_slots_valid(&r->slots) && pc_table_valid(&r->table, &r->slots) && pc_policy_valid(&r->policy) &&
           pc_policy_weight(&r->policy) <= r->policy.queues.capacity;
}
