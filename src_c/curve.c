#include "curve.h"

#include <string.h>

#define TYPICAL 128u /* entries beyond which the miniature of the present size would not tell much more */
#define LEAST 32u    /* entries that it should have before 1 key in 8 is the smallest sample: bounds the cost */
#define RATE_WANTED 3u

const uint32_t pc_curve_quarters[PC_CURVE_SIZES] = {1, 2, 3, 4, 6, 8, 16};

/* log2 of R; at least 1, because there are two samples. */
static unsigned rate_for(uint64_t entries)
{
    unsigned rate = 1;
    while (entries >> (rate + 1) >= TYPICAL)
        rate++;
    while (rate < RATE_WANTED && entries >> (rate + 1) >= LEAST)
        rate++;
    return rate;
}

static uint64_t share_of(const pc_curve *c, uint32_t quarters)
{
    uint64_t entries = (c->entries * quarters + (UINT64_C(2) << c->rate)) >> (c->rate + 2);
    return entries < 1 ? 1 : entries;
}

static pc_status init_mini(pc_curve *c, const pc_alloc *alloc, pc_curve_half *half, unsigned i, pc_mode mode,
                           const uint64_t seed[2])
{
    uint64_t entries = share_of(c, i < PC_CURVE_SIZES ? pc_curve_quarters[i] : 4);
    pc_mode played = i == PC_CURVE_LRU ? PC_LRU : i == PC_CURVE_LFU ? PC_LFU : mode;
    return pc_cache_init(&half->mini[i], alloc, 0, played, entries, false, seed);
}

pc_curve *pc_curve_new(const pc_alloc *alloc, pc_mode mode, uint64_t entries, const uint64_t seed[2])
{
    pc_curve *c = pc_zalloc(alloc, 1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->alloc = *alloc;
    c->salt = (uint32_t)pc_mix64(seed[0] + 1) | 1;
    c->entries = entries;
    c->rate = rate_for(entries);
    for (unsigned h = 0; h < PC_CURVE_HALVES; h++)
        for (unsigned i = 0; i < PC_CURVE_MINIS; i++, c->made++)
            if (init_mini(c, alloc, &c->half[h], i, mode, seed) != PC_OK) {
                pc_curve_free(c);
                return NULL;
            }
    return c;
}

void pc_curve_free(pc_curve *c)
{
    if (c == NULL)
        return;
    for (unsigned i = 0; i < c->made; i++)
        pc_cache_destroy(&c->half[i / PC_CURVE_MINIS].mini[i % PC_CURVE_MINIS]);
    pc_alloc alloc = c->alloc;
    pc_release(&alloc, c);
}

/* The key of a miniature is the hash itself. */
static uint32_t lookup(const pc_cache *mini, uint32_t hash)
{
    pc_cursor cursor;
    uint32_t slot = pc_table_find(&mini->table, &cursor, hash);
    while (slot != PC_NIL && pc_slots_node(&mini->slots, slot)->hash != hash)
        slot = pc_cursor_next(&cursor);
    return slot;
}

/* Plays one request; whether it was a hit. Without memory for another entry it is a miss that stores nothing. */
static bool request(pc_cache *mini, uint32_t hash)
{
    uint32_t slot = lookup(mini, hash);
    if (slot != PC_NIL) {
        pc_cache_hit(mini, slot);
        return true;
    }
    if (pc_cache_reserve(mini, 0, false, false) != PC_OK)
        return false;
    pc_cache_insert(mini, hash, 1);
    pc_cause cause;
    while ((slot = pc_cache_collect(mini, &cause)) != PC_NIL)
        pc_slots_give(&mini->slots, slot);
    return false;
}

/* One miniature after the other: its memory is fetched once for the whole batch. */
void pc_curve_play(pc_curve_half *half)
{
    for (unsigned i = 0; i < PC_CURVE_MINIS; i++)
        for (uint32_t at = 0; at < half->pending; at++)
            half->hits[i] += request(&half->mini[i], half->hashes[at]);
    half->sampled += half->pending;
    half->pending = 0;
}

void pc_curve_follow(pc_curve *c, uint32_t place, uint32_t hash)
{
    if (c->follower[place].hash == c->last) {
        c->followed++;
        c->repeated += c->follower[place].next == hash;
    }
    c->follower[place].hash = c->last;
    c->follower[place].next = hash;
}

size_t pc_curve_bytes(const pc_curve *c)
{
    size_t bytes = sizeof *c;
    for (unsigned h = 0; h < PC_CURVE_HALVES; h++)
        for (unsigned i = 0; i < PC_CURVE_MINIS; i++)
            bytes += pc_cache_bytes(&c->half[h].mini[i]);
    return bytes;
}

bool pc_curve_valid(const pc_curve *c)
{
    for (unsigned h = 0; h < PC_CURVE_HALVES; h++) {
        const pc_curve_half *half = &c->half[h];
        if (half->pending >= PC_CURVE_BATCH || half->sampled > c->requests)
            return false;
        for (unsigned i = 0; i < PC_CURVE_MINIS; i++)
            if (!pc_cache_valid(&half->mini[i]) || half->hits[i] > half->sampled)
                return false;
    }
    return c->repeated <= c->followed && c->followed <= c->requests;
}
