#include "table.h"

#define MOVE_BUCKETS 2u
#define OVERFLOW_MAX 255u

void pc_table_init(pc_table *t, const pc_alloc *alloc)
{
    *t = (pc_table){.alloc = *alloc};
}

static void half_release(pc_table *t, pc_half *h)
{
    pc_release(&t->alloc, h->block);
    *h = (pc_half){0};
}

void pc_table_reset(pc_table *t)
{
    half_release(t, &t->now);
    half_release(t, &t->old);
    t->moved = 0;
}

void pc_table_destroy(pc_table *t)
{
    pc_table_reset(t);
}

static size_t half_bytes(const pc_half *h)
{
    return h->block ? ((size_t)h->mask + 2) * sizeof(pc_bucket) : 0;
}

size_t pc_table_bytes(const pc_table *t)
{
    return half_bytes(&t->now) + half_bytes(&t->old);
}

static bool half_init(pc_table *t, pc_half *h, uint32_t buckets)
{
    /* one bucket more than asked for, to align the first one */
    void *block = pc_zalloc(&t->alloc, (size_t)buckets + 1, sizeof(pc_bucket));
    if (block == NULL)
        return false;
    uintptr_t at = ((uintptr_t)block + PC_CACHE_LINE - 1) & ~(uintptr_t)(PC_CACHE_LINE - 1);
    *h = (pc_half){(pc_bucket *)at, block, buckets - 1, 0};
    return true;
}

/* Walks the buckets that an entry of this hash may stand in, in order. */
typedef struct {
    pc_half *half;
    uint32_t at, step;
} probe;

static probe probe_of(pc_half *h, uint32_t hash)
{
    return (probe){h, hash & h->mask, 2u * pc_table_tag(hash) + 1u};
}

static pc_bucket *probe_bucket(const probe *p)
{
    return &p->half->buckets[p->at];
}

static void probe_on(probe *p)
{
    p->at = (p->at + p->step) & p->half->mask;
}

static void half_insert(pc_half *h, uint32_t hash, uint32_t slot)
{
    probe p = probe_of(h, hash);
    uint32_t empty;
    while ((empty = pc_bucket_match(probe_bucket(&p), 0)) == 0) {
        pc_bucket *b = probe_bucket(&p);
        b->overflow = (uint8_t)(b->overflow + (b->overflow < OVERFLOW_MAX));
        probe_on(&p);
    }
    uint32_t place = pc_ctz32(empty);
    probe_bucket(&p)->tag[place] = pc_table_tag(hash);
    probe_bucket(&p)->slot[place] = slot;
    h->count++;
}

/* The place of a slot in a bucket, or -1. */
static int place_of(const pc_bucket *b, uint8_t tag, uint32_t slot)
{
    for (uint32_t bits = pc_bucket_match(b, tag); bits != 0; bits &= bits - 1)
        if (b->slot[pc_ctz32(bits)] == slot)
            return (int)pc_ctz32(bits);
    return -1;
}

/* Takes the slot out and lowers the overflow counts on the way to it; says whether it was there. */
static bool half_remove(pc_half *h, uint32_t hash, uint32_t slot)
{
    if (h->buckets == NULL)
        return false;
    uint8_t tag = pc_table_tag(hash);
    probe p = probe_of(h, hash);
    int place;
    for (uint32_t left = h->mask; (place = place_of(probe_bucket(&p), tag, slot)) < 0; left--) {
        if (left == 0 || probe_bucket(&p)->overflow == 0)
            return false;
        probe_on(&p);
    }
    uint32_t end = p.at;
    for (p = probe_of(h, hash); p.at != end; probe_on(&p)) {
        pc_bucket *b = probe_bucket(&p);
        b->overflow = (uint8_t)(b->overflow - (b->overflow < OVERFLOW_MAX));
    }
    probe_bucket(&p)->tag[place] = 0;
    h->count--;
    return true;
}

/* Empties bucket number `at` of the old half into the new one. */
static void move_bucket(pc_table *t, const pc_slots *s, uint32_t at)
{
    const pc_bucket *b = &t->old.buckets[at];
    for (int i = 0; i < PC_BUCKET_PLACES; i++) {
        if (b->tag[i] == 0)
            continue;
        uint32_t slot = b->slot[i], hash = pc_slots_node(s, slot)->hash;
        half_remove(&t->old, hash, slot);
        half_insert(&t->now, hash, slot);
    }
}

static void move_some(pc_table *t, const pc_slots *s)
{
    if (PC_LIKELY(t->old.buckets == NULL))
        return;
    for (uint32_t i = 0; i < MOVE_BUCKETS && t->moved <= t->old.mask; i++)
        move_bucket(t, s, t->moved++);
    if (t->moved > t->old.mask || t->old.count == 0)
        half_release(t, &t->old);
}

static bool half_full(const pc_half *h)
{
    return h->buckets == NULL || h->count >= (h->mask + 1) * PC_BUCKET_LOAD;
}

pc_status pc_table_reserve(pc_table *t)
{
    if (PC_LIKELY(!half_full(&t->now) || t->old.buckets != NULL))
        return PC_OK; /* while old is there, now has room: see the file's head */
    pc_half fresh;
    if (!half_init(t, &fresh, t->now.buckets ? (t->now.mask + 1) * 2 : 1))
        return PC_NO_MEMORY;
    t->old = t->now;
    t->now = fresh;
    t->moved = 0;
    return PC_OK;
}

void pc_table_insert(pc_table *t, const pc_slots *s, uint32_t slot)
{
    half_insert(&t->now, pc_slots_node(s, slot)->hash, slot);
    move_some(t, s);
}

void pc_table_remove(pc_table *t, const pc_slots *s, uint32_t slot)
{
    uint32_t hash = pc_slots_node(s, slot)->hash;
    bool found = half_remove(&t->now, hash, slot) || half_remove(&t->old, hash, slot);
    PC_ASSERT(found);
    (void)found;
    move_some(t, s);
}

/* Whether the entry at (at, place) can be reached by its hash, stepping over overflow counts only. */
static bool reachable(const pc_half *h, uint32_t hash, uint32_t at)
{
    probe p = probe_of((pc_half *)h, hash);
    for (uint32_t left = h->mask; p.at != at; left--) {
        if (left == 0 || probe_bucket(&p)->overflow == 0)
            return false;
        probe_on(&p);
    }
    return true;
}

static bool half_valid(const pc_half *h, const pc_slots *s)
{
    uint32_t count = 0;
    for (uint32_t at = 0; h->buckets != NULL && at <= h->mask; at++) {
        for (int i = 0; i < PC_BUCKET_PLACES; i++) {
            uint8_t tag = h->buckets[at].tag[i];
            if (tag == 0)
                continue;
            uint32_t slot = h->buckets[at].slot[i];
            if (!pc_slots_in_use(s, slot) || pc_table_tag(pc_slots_node(s, slot)->hash) != tag ||
                !reachable(h, pc_slots_node(s, slot)->hash, at))
                return false;
            count++;
        }
    }
    return count == h->count;
}

bool pc_table_valid(const pc_table *t, const pc_slots *s)
{
    return half_valid(&t->now, s) && half_valid(&t->old, s);
}
