/* table.h: hash -> slots. Open addressing over buckets of one cache line, as in F14 (Bronson and Shi, Meta, 2019).
 *
 *     bucket, 64 bytes:  | tag x 12 | overflow | - - - | slot x 12 |
 *
 *   - The low bits of a hash choose the bucket, its high byte is the tag (0 = empty place). One vector compare
 *     finds the places with the right tag; a wrong candidate comes up once in about 30 lookups at most.
 *   - A full bucket sends newcomers to bucket + (2 tag + 1) k, and counts in `overflow` how many entries went
 *     past it. A lookup stops at the first bucket with overflow 0. A removal takes its counts back, so there are no
 *     tombstones. A count that reached 255 stays (until the table grows).
 *   - The table never compares keys. A cursor yields the slots whose hash may be right; the caller compares.
 *   - Growth is incremental: while `old` has buckets, each insertion and removal moves MOVE_BUCKETS of them, and a
 *     lookup looks into both tables. With 2 buckets a step the old table is empty long before the new one is full.
 *
 * Load is at most 10 of 12 places; 64 / 12 bytes a place make 6.4 to 12.8 bytes an entry, 8.4 at a million.
 * Threads: none; the owner locks.
 */
#ifndef PC_TABLE_H
#define PC_TABLE_H

#include "slots.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define PC_BUCKET_PLACES 12
#define PC_BUCKET_LOAD 10

typedef struct {
    uint8_t tag[PC_BUCKET_PLACES];
    uint8_t overflow;
    uint8_t spare[3];
    uint32_t slot[PC_BUCKET_PLACES];
} pc_bucket;

static_assert(sizeof(pc_bucket) == PC_CACHE_LINE, "a lookup is to cost one cache line");

typedef struct {
    pc_bucket *buckets; /* aligned to a cache line inside block */
    void *block;
    uint32_t mask; /* number of buckets - 1; meaningless without buckets */
    uint32_t count;
} pc_half;

typedef struct {
    pc_half now;
    pc_half old; /* being emptied into now; old.buckets is NULL otherwise */
    uint32_t moved; /* buckets of old that are empty already */
    pc_alloc alloc;
} pc_table;

void pc_table_init(pc_table *t, const pc_alloc *alloc);
void pc_table_destroy(pc_table *t);

/* Forgets all entries and returns the memory. */
void pc_table_reset(pc_table *t);

/* Room for one more entry, so that the next pc_table_insert cannot fail. */
pc_status pc_table_reserve(pc_table *t);

/* Adds a slot under its node's hash. The slot must not be there. Needs pc_table_reserve before. */
void pc_table_insert(pc_table *t, const pc_slots *s, uint32_t slot);

/* Takes a slot out; it must be there. */
void pc_table_remove(pc_table *t, const pc_slots *s, uint32_t slot);

/* Whether every entry can be found and every overflow count is right. O(n), for tests. */
bool pc_table_valid(const pc_table *t, const pc_slots *s);

/* Bytes allocated. */
size_t pc_table_bytes(const pc_table *t);

static inline uint8_t pc_table_tag(uint32_t hash)
{
    uint8_t tag = (uint8_t)(hash >> 24);
    return tag ? tag : 1;
}

/* Bit i is set where place i of the bucket has this tag. */
static inline uint32_t pc_bucket_match(const pc_bucket *b, uint8_t tag)
{
#if defined(__SSE2__)
    __m128i head = _mm_load_si128((const __m128i *)(const void *)b);
    __m128i same = _mm_cmpeq_epi8(head, _mm_set1_epi8((char)tag));
    return (uint32_t)_mm_movemask_epi8(same) & ((1u << PC_BUCKET_PLACES) - 1);
#else
    uint32_t bits = 0;
    for (int i = 0; i < PC_BUCKET_PLACES; i++)
        bits |= (uint32_t)(b->tag[i] == tag) << i;
    return bits;
#endif
}

/* Walks over the slots whose key may be the one with this hash. Invalid after any change of the table. */
typedef struct {
    const pc_bucket *bucket;
    const pc_half *half;
    const pc_half *next; /* the half to look into after this one, or NULL */
    uint32_t bits;       /* places of the bucket not yet yielded */
    uint32_t at, left;   /* index of the bucket; buckets that may still follow */
    uint32_t step;
    uint32_t hash;
    uint8_t tag;
} pc_cursor;

static inline void pc_cursor_enter(pc_cursor *c, const pc_half *half)
{
    c->half = half;
    c->at = c->hash & half->mask;
    c->left = half->mask;
    c->bucket = &half->buckets[c->at];
    c->bits = pc_bucket_match(c->bucket, c->tag);
}

/* The next candidate, or PC_NIL. */
static inline uint32_t pc_cursor_next(pc_cursor *c)
{
    for (;;) {
        if (PC_LIKELY(c->bits != 0)) {
            uint32_t place = pc_ctz32(c->bits);
            c->bits &= c->bits - 1;
            return c->bucket->slot[place];
        }
        if (PC_UNLIKELY(c->bucket->overflow != 0 && c->left != 0)) {
            c->left--;
            c->at = (c->at + c->step) & c->half->mask;
            c->bucket = &c->half->buckets[c->at];
            c->bits = pc_bucket_match(c->bucket, c->tag);
        } else if (PC_UNLIKELY(c->next != NULL)) {
            const pc_half *half = c->next;
            c->next = NULL;
            pc_cursor_enter(c, half);
        } else {
            return PC_NIL;
        }
    }
}

/* The first candidate for a hash, or PC_NIL; pc_cursor_next gives the others. */
static inline uint32_t pc_table_find(const pc_table *t, pc_cursor *c, uint32_t hash)
{
    if (PC_UNLIKELY(t->now.buckets == NULL))
        return PC_NIL;
    c->hash = hash;
    c->tag = pc_table_tag(hash);
    c->step = 2u * c->tag + 1u;
    c->next = PC_UNLIKELY(t->old.buckets != NULL) ? &t->old : NULL;
    pc_cursor_enter(c, &t->now);
    return pc_cursor_next(c);
}

/* Asks the processor for the bucket that a later lookup of this hash begins with. */
static inline void pc_table_prefetch(const pc_table *t, uint32_t hash)
{
    if (t->now.buckets != NULL)
        PC_PREFETCH(&t->now.buckets[hash & t->now.mask]);
}

#endif
