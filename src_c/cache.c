#include "cache.h"

pc_status pc_cache_init(pc_cache *c, const pc_alloc *alloc, uint32_t payload_size, uint64_t capacity, bool weighted,
                        const uint64_t seed[2])
{
    *c = (pc_cache){.capacity = capacity, .seed = {seed[0], seed[1] | 1}};
    pc_table_init(&c->table, alloc);
    pc_list_init(&c->lru, PC_QUEUE_LRU);
    pc_list_init(&c->limbo, PC_QUEUE_LIMBO);
    pc_status status = pc_slots_init(&c->slots, alloc, payload_size);
    return status == PC_OK && weighted ? pc_slots_want_weights(&c->slots) : status;
}

void pc_cache_destroy(pc_cache *c)
{
    pc_table_destroy(&c->table);
    pc_slots_destroy(&c->slots);
}

pc_status pc_cache_reserve(pc_cache *c, bool timed, bool idle)
{
    pc_status status = PC_OK;
    if (timed || idle)
        status = pc_slots_want_lives(&c->slots);
    if (status == PC_OK && idle)
        status = pc_slots_want_idles(&c->slots);
    if (status == PC_OK)
        status = pc_slots_reserve(&c->slots);
    return status == PC_OK ? pc_table_reserve(&c->table) : status;
}

static void banish(pc_cache *c, uint32_t slot, pc_cause cause)
{
    pc_slots_node(&c->slots, slot)->spare = (uint16_t)cause;
    pc_list_push(&c->limbo, &c->slots, slot);
}

void pc_cache_remove(pc_cache *c, uint32_t slot, pc_cause cause)
{
    pc_list_unlink(&c->lru, &c->slots, slot);
    pc_table_remove(&c->table, &c->slots, slot);
    banish(c, slot, cause);
    c->version++;
    c->changes += cause != PC_CAUSE_EXPIRED;
    PC_CHECK_VALID(pc_cache_valid(c), c->slots.used, c->version);
}

uint32_t pc_cache_victim(const pc_cache *c)
{
    return c->lru.oldest;
}

static void evict(pc_cache *c)
{
    while (c->lru.weight > c->capacity)
        pc_cache_remove(c, pc_cache_victim(c), PC_CAUSE_SIZE);
}

uint32_t pc_cache_insert(pc_cache *c, uint32_t hash, uint32_t weight)
{
    uint32_t slot = pc_slots_take(&c->slots, hash);
    if (c->slots.weight.size)
        *pc_slots_weight(&c->slots, slot) = weight;
    if (pc_list_weigh(&c->slots, slot) > c->capacity) {
        banish(c, slot, PC_CAUSE_REJECTED);
        return slot;
    }
    pc_table_insert(&c->table, &c->slots, slot);
    pc_list_push(&c->lru, &c->slots, slot);
    c->version++;
    c->changes++;
    evict(c);
    PC_CHECK_VALID(pc_cache_valid(c), c->slots.used, c->version);
    return slot;
}

void pc_cache_reweigh(pc_cache *c, uint32_t slot, uint32_t weight)
{
    if (c->slots.weight.size == 0)
        return;
    uint32_t *cell = pc_slots_weight(&c->slots, slot);
    c->lru.weight += (uint64_t)weight - *cell;
    *cell = weight;
    if (weight > c->capacity)
        pc_cache_remove(c, slot, PC_CAUSE_REJECTED);
    evict(c);
}

void pc_cache_resize(pc_cache *c, uint64_t capacity)
{
    c->capacity = capacity;
    evict(c);
}

void pc_cache_set_life(pc_cache *c, uint32_t slot, uint64_t now, uint64_t end, uint64_t grant)
{
    pc_node *n = pc_slots_node(&c->slots, slot);
    n->flags = (uint8_t)(n->flags & ~PC_SLOT_TIMED);
    if (end != PC_NEVER || grant != 0)
        n->flags |= PC_SLOT_TIMED;
    if (c->slots.life.size)
        pc_slots_life(&c->slots, slot)->deadline = end;
    if (c->slots.idle.size) {
        *pc_slots_idle(&c->slots, slot) = (pc_idle){grant, end};
        pc_cache_prolong(c, slot, now);
    }
}

uint32_t pc_cache_collect(pc_cache *c, pc_cause *cause)
{
    uint32_t slot = c->limbo.oldest;
    if (PC_LIKELY(slot == PC_NIL))
        return PC_NIL;
    *cause = (pc_cause)pc_slots_node(&c->slots, slot)->spare;
    pc_list_unlink(&c->limbo, &c->slots, slot);
    return slot;
}

void pc_cache_detach(pc_cache *c, pc_slots *slots)
{
    pc_slots_detach(&c->slots, slots);
    pc_table_reset(&c->table);
    pc_list_init(&c->lru, PC_QUEUE_LRU);
    pc_list_init(&c->limbo, PC_QUEUE_LIMBO);
    c->version++;
    c->changes++;
}

size_t pc_cache_bytes(const pc_cache *c)
{
    return sizeof *c + c->slots.bytes + pc_table_bytes(&c->table);
}

bool pc_cache_valid(const pc_cache *c)
{
    return pc_slots_valid(&c->slots) && pc_list_valid(&c->lru, &c->slots) && pc_list_valid(&c->limbo, &c->slots) &&
           pc_table_valid(&c->table, &c->slots) && c->table.now.count + c->table.old.count == c->lru.count &&
           c->lru.count + c->limbo.count == c->slots.live;
}
