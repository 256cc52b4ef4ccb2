#include "cache.h"

#include <string.h>

pc_status pc_cache_init(pc_cache *c, const pc_alloc *alloc, uint32_t payload_size, pc_mode mode, uint64_t capacity,
                        bool weighted, const uint64_t seed[2])
{
    memset(c, 0, sizeof *c);
    c->capacity = capacity;
    c->seed[0] = seed[0];
    c->seed[1] = seed[1] | 1;
    pc_table_init(&c->table, alloc);
    pc_list_init(&c->limbo, PC_QUEUE_LIMBO);
    pc_status status = pc_slots_init(&c->slots, alloc, payload_size);
    if (status == PC_OK && weighted)
        status = pc_slots_want_weights(&c->slots);
    return status == PC_OK ? pc_policy_init(&c->policy, &c->slots, alloc, mode, capacity, seed[0] ^ seed[1]) : status;
}

void pc_cache_destroy(pc_cache *c)
{
    pc_policy_destroy(&c->policy);
    pc_table_destroy(&c->table);
    pc_release(&c->slots.alloc, c->wheel);
    pc_release(&c->slots.alloc, c->departed);
    c->wheel = NULL;
    c->departed = NULL;
    pc_slots_destroy(&c->slots);
}

static pc_status want_wheel(pc_cache *c, uint64_t now)
{
    if (c->wheel != NULL)
        return PC_OK;
    c->wheel = pc_zalloc(&c->slots.alloc, 1, sizeof *c->wheel);
    if (c->wheel == NULL)
        return PC_NO_MEMORY;
    pc_wheel_init(c->wheel, now);
    return PC_OK;
}

static pc_status reserve_time(pc_cache *c, uint64_t now, bool idle)
{
    pc_status status = want_wheel(c, now);
    if (status == PC_OK)
        status = pc_slots_want_lives(&c->slots);
    return status == PC_OK && idle ? pc_slots_want_idles(&c->slots) : status;
}

pc_status pc_cache_reserve(pc_cache *c, uint64_t now, bool timed, bool idle)
{
    pc_status status = timed || idle ? reserve_time(c, now, idle) : PC_OK;
    if (status == PC_OK)
        status = pc_slots_reserve(&c->slots);
    if (status == PC_OK)
        status = pc_policy_reserve(&c->policy);
    return status == PC_OK ? pc_table_reserve(&c->table) : status;
}

static uint32_t *departure_of(const pc_cache *c, uint32_t hash)
{
    return &c->departed[hash & (PC_CACHE_DEPARTED - 1)];
}

bool pc_cache_departure(const pc_cache *c, uint32_t hash, pc_cause *cause)
{
    if (c->departed == NULL)
        return false;
    uint32_t held = *departure_of(c, hash);
    *cause = (pc_cause)((held & 0xff) - 1);
    return held != 0 && held >> 8 == hash >> 8;
}

/* Not to be able to remember it is no reason to fail. */
static void remember(pc_cache *c, uint32_t slot, pc_cause cause)
{
    if (c->departed == NULL)
        c->departed = pc_zalloc(&c->slots.alloc, PC_CACHE_DEPARTED, sizeof *c->departed);
    uint32_t hash = pc_slots_node(&c->slots, slot)->hash;
    if (c->departed != NULL)
        *departure_of(c, hash) = (hash & ~UINT32_C(0xff)) | ((uint32_t)cause + 1);
}

static void banish(pc_cache *c, uint32_t slot, pc_cause cause)
{
    pc_slots_node(&c->slots, slot)->stamp = cause; /* that is of no more use to the policy */
    remember(c, slot, cause);
    pc_list_push(&c->limbo, &c->slots, slot);
}

static bool banished(const pc_cache *c, uint32_t slot)
{
    return pc_slots_node(&c->slots, slot)->queue == PC_QUEUE_LIMBO;
}

/* Takes a slot that the policy let go out of everything else. */
static void leave(pc_cache *c, uint32_t slot, pc_cause cause)
{
    if (pc_cache_timed(c, slot))
        pc_wheel_remove(c->wheel, &c->slots, slot);
    pc_table_remove(&c->table, &c->slots, slot);
    banish(c, slot, cause);
    c->version++;
    c->changes += cause != PC_CAUSE_EXPIRED && cause != PC_CAUSE_INVALIDATED;
}

void pc_cache_remove(pc_cache *c, uint32_t slot, pc_cause cause)
{
    pc_policy_remove(&c->policy, slot);
    leave(c, slot, cause);
    PC_CHECK_VALID(pc_cache_valid(c), c->slots.used, c->version);
}

static void evict(pc_cache *c)
{
    for (uint32_t slot; (slot = pc_policy_victim(&c->policy)) != PC_NIL;)
        leave(c, slot, PC_CAUSE_SIZE);
    PC_CHECK_VALID(pc_cache_valid(c), c->slots.used, c->version);
}

void pc_cache_expire(pc_cache *c, uint64_t now, uint32_t budget)
{
    if (c->wheel == NULL)
        return;
    for (uint32_t slot; (slot = pc_wheel_due(c->wheel, &c->slots, now, &budget)) != PC_NIL;) {
        pc_wheel_add(c->wheel, &c->slots, slot); /* for a moment: every slot leaves by the same way */
        pc_cache_remove(c, slot, PC_CAUSE_EXPIRED);
    }
}

/* A slot for a newcomer, in the index; in limbo instead when it is heavier than the whole cache. */
static uint32_t admit(pc_cache *c, uint32_t hash, uint32_t weight)
{
    uint32_t slot = pc_slots_take(&c->slots, hash);
    if (c->slots.weight.size)
        *pc_slots_weight(&c->slots, slot) = weight;
    if (pc_list_weigh(&c->slots, slot) > c->capacity || c->capacity == 0) {
        banish(c, slot, PC_CAUSE_REJECTED);
        return slot;
    }
    pc_table_insert(&c->table, &c->slots, slot);
    c->version++;
    c->changes++;
    return slot;
}

uint32_t pc_cache_insert(pc_cache *c, uint32_t hash, uint32_t weight)
{
    uint32_t slot = admit(c, hash, weight);
    if (!banished(c, slot)) {
        pc_policy_insert(&c->policy, slot);
        evict(c);
    }
    return slot;
}

uint32_t pc_cache_restore(pc_cache *c, uint32_t hash, uint32_t weight, uint8_t queue, unsigned frequency)
{
    uint32_t slot = admit(c, hash, weight);
    if (!banished(c, slot)) {
        pc_policy_restore(&c->policy, slot, queue, frequency);
        evict(c);
    }
    return slot;
}

void pc_cache_reweigh(pc_cache *c, uint32_t slot, uint32_t weight)
{
    if (c->slots.weight.size == 0 || *pc_slots_weight(&c->slots, slot) == weight)
        return;
    if (weight > c->capacity) {
        pc_cache_remove(c, slot, PC_CAUSE_REJECTED);
        return;
    }
    pc_policy_reweigh(&c->policy, slot, weight);
    evict(c);
}

/* Nothing is stored in a cache of nothing, not even what weighs nothing. */
static void dismiss_pinned(pc_cache *c)
{
    while (pc_cache_count(c) > 0) {
        pc_policy_walk walk = pc_policy_walk_from(&c->policy, false);
        pc_cache_remove(c, pc_policy_walk_next(&c->policy, &walk), PC_CAUSE_SIZE);
    }
}

pc_status pc_cache_resize(pc_cache *c, uint64_t capacity)
{
    pc_status status = pc_policy_resize(&c->policy, capacity);
    if (status != PC_OK)
        return status;
    c->capacity = capacity;
    evict(c);
    if (capacity == 0)
        dismiss_pinned(c);
    return PC_OK;
}

pc_status pc_cache_set_mode(pc_cache *c, pc_mode mode)
{
    pc_status status = pc_policy_set_mode(&c->policy, mode);
    PC_CHECK_VALID(pc_cache_valid(c), c->slots.used, c->version);
    return status;
}

void pc_cache_set_life(pc_cache *c, uint32_t slot, uint64_t deadline, uint64_t grant, uint64_t end)
{
    pc_node *n = pc_slots_node(&c->slots, slot);
    if (banished(c, slot))
        return; /* refused or rejected at once */
    if (n->flags & PC_SLOT_TIMED)
        pc_wheel_remove(c->wheel, &c->slots, slot);
    n->flags = (uint8_t)(n->flags & ~PC_SLOT_TIMED);
    if (c->slots.idle.size)
        *pc_slots_idle(&c->slots, slot) = (pc_idle){grant, end};
    if (deadline == PC_NEVER)
        return;
    pc_slots_life(&c->slots, slot)->deadline = deadline;
    n->flags |= PC_SLOT_TIMED;
    pc_wheel_add(c->wheel, &c->slots, slot);
}

uint32_t pc_cache_collect(pc_cache *c, pc_cause *cause)
{
    uint32_t slot = c->limbo.oldest;
    if (PC_LIKELY(slot == PC_NIL))
        return PC_NIL;
    *cause = (pc_cause)pc_slots_node(&c->slots, slot)->stamp;
    pc_list_unlink(&c->limbo, &c->slots, slot);
    return slot;
}

void pc_cache_detach(pc_cache *c, pc_slots *slots)
{
    pc_slots_detach(&c->slots, slots);
    pc_policy_clear(&c->policy);
    pc_table_reset(&c->table);
    pc_list_init(&c->limbo, PC_QUEUE_LIMBO);
    pc_release(&c->slots.alloc, c->wheel);
    c->wheel = NULL;
    c->version++;
    c->changes++;
}

size_t pc_cache_bytes(const pc_cache *c)
{
    return sizeof *c + c->slots.bytes + pc_table_bytes(&c->table) + pc_policy_bytes(&c->policy) +
           (c->wheel ? sizeof *c->wheel : 0);
}

static uint32_t timed_count(const pc_cache *c)
{
    uint32_t n = 0;
    for (uint32_t slot = 0; slot < c->slots.used; slot++)
        n += pc_cache_holds(c, slot) && pc_cache_timed(c, slot);
    return n;
}

bool pc_cache_valid(const pc_cache *c)
{
    return pc_slots_valid(&c->slots) && pc_policy_valid(&c->policy) && pc_list_valid(&c->limbo, &c->slots) &&
           pc_table_valid(&c->table, &c->slots) && pc_cache_count(c) + c->limbo.count == c->slots.live &&
           (c->wheel == NULL || pc_wheel_valid(c->wheel, &c->slots)) &&
           timed_count(c) == (c->wheel ? c->wheel->count : 0);
}
