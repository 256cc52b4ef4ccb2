/* sketch.h: how often was a key asked for lately? A count-min sketch of 4-bit counters (Cormode and Muthukrishnan,
 * 2005) that forgets by halving, as in TinyLFU (Einziger, Friedman and Manes, ACM TOS 2017).
 *
 *     line, 64 bytes:  | row 0: 32 counters | row 1: 32 | row 2: 32 | row 3: 32 |
 *
 *   - The high bits of a hash choose one line, 20 mixed bits choose one counter in each of its four rows. So a key
 *     costs one cache line, and its estimate (the least of the four) is at least its count, up to 15.
 *   - 8 bytes an entry. After 10 additions for each 8 bytes all counters are halved.
 *   - Halving a sketch for a million entries takes a millisecond, so it is a sweep: each addition halves one
 *     line until all are done (1/80 of a period), and reads take the half of what the sweep has not reached yet.
 *   - It grows by doubling, one line split into two with each addition: both halves inherit the counters.
 */
#ifndef PC_SKETCH_H
#define PC_SKETCH_H

#include "alloc.h"

#define PC_SKETCH_LINE 8u /* words of 64 bits in a line */

/* 2^bits lines. */
typedef struct {
    uint64_t *words; /* aligned to a cache line inside block */
    void *block;
    unsigned bits;
} pc_lines;

typedef struct {
    pc_lines now;
    pc_lines old;   /* being split into now; words is NULL otherwise */
    uint32_t split; /* lines of old that now has taken over */
    uint32_t hand;  /* lines of now below it are halved; UINT32_MAX when no halving is under way */
    uint64_t additions;
    uint64_t due; /* additions at which pc_sketch_tend has work: the next halving, or 0 during a sweep */
    uint32_t epoch; /* halvings begun */
    pc_alloc alloc;
} pc_sketch;

/* For so many entries, in at least `least` words (a power of two, at least 8). */
pc_status pc_sketch_init(pc_sketch *s, const pc_alloc *alloc, uint64_t entries, uint64_t least);
void pc_sketch_destroy(pc_sketch *s);

/* Begins to grow when `entries` need it. False when it could not: a sweep is under way, or memory ran out. */
bool pc_sketch_cover(pc_sketch *s, uint64_t entries);

/* One step of whatever is due: of a halving, or of growth. */
void pc_sketch_tend(pc_sketch *s);

bool pc_sketch_valid(const pc_sketch *s);
size_t pc_sketch_bytes(const pc_sketch *s);

static inline uint32_t pc_lines_index(const pc_lines *l, uint32_t hash)
{
    return (uint32_t)(((uint64_t)hash << l->bits) >> 32);
}

static inline uint64_t *pc_sketch_line(const pc_sketch *s, uint32_t hash)
{
    if (PC_UNLIKELY(s->old.words != NULL)) {
        uint32_t index = pc_lines_index(&s->old, hash);
        if (index >= s->split)
            return &s->old.words[(size_t)index * PC_SKETCH_LINE];
    }
    return &s->now.words[(size_t)pc_lines_index(&s->now, hash) * PC_SKETCH_LINE];
}

/* Four times six bits, one for each row: the lowest chooses the word, the upper four the counter in it. */
static inline uint32_t pc_sketch_places(uint32_t hash)
{
    return (uint32_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

/* A request that is counted elsewhere: it makes the sketch age all the same. */
static inline void pc_sketch_tick(pc_sketch *s)
{
    if (PC_UNLIKELY(++s->additions >= s->due))
        pc_sketch_tend(s);
}

/* Counts a request and returns how often the key has been added, 0 to 15, as pc_sketch_estimate would. */
static inline unsigned pc_sketch_add(pc_sketch *s, uint32_t hash)
{
    uint64_t *line = pc_sketch_line(s, hash);
    uint32_t places = pc_sketch_places(hash);
    uint64_t least = 15;
    for (unsigned row = 0; row < 4; row++, places >>= 6, line += 2) {
        uint64_t *word = &line[places & 1], count = *word >> (places & 60) & 15, more = count < 15;
        *word += more << (places & 60);
        least = count + more < least ? count + more : least;
    }
    if (PC_UNLIKELY(s->due == 0) && pc_lines_index(&s->now, hash) >= s->hand)
        least >>= 1; /* the sweep has not come there yet */
    pc_sketch_tick(s);
    return (unsigned)least;
}

/* How often the key was added, 0 to 15, halved with each period since. */
static inline unsigned pc_sketch_estimate(const pc_sketch *s, uint32_t hash)
{
    const uint64_t *line = pc_sketch_line(s, hash);
    uint32_t places = pc_sketch_places(hash);
    uint64_t least = 15;
    for (unsigned row = 0; row < 4; row++, places >>= 6, line += 2) {
        uint64_t count = line[places & 1] >> (places & 60) & 15;
        least = count < least ? count : least;
    }
    if (PC_UNLIKELY(s->due == 0) && pc_lines_index(&s->now, hash) >= s->hand)
        least >>= 1; /* the sweep has not come there yet */
    return (unsigned)least;
}

/* Raises the key's counters to what was counted elsewhere, 0 to 15: those that have it already stay. */
static inline void pc_sketch_raise(pc_sketch *s, uint32_t hash, unsigned count)
{
    uint64_t *line = pc_sketch_line(s, hash);
    uint32_t places = pc_sketch_places(hash);
    if (PC_UNLIKELY(s->due == 0) && pc_lines_index(&s->now, hash) >= s->hand)
        count = count < 8 ? 2 * count : 15; /* the sweep will halve it */
    for (unsigned row = 0; row < 4; row++, places >>= 6, line += 2) {
        uint64_t *word = &line[places & 1], held = *word >> (places & 60) & 15;
        *word += held < count ? (count - held) << (places & 60) : 0;
    }
}

static inline void pc_sketch_prefetch(const pc_sketch *s, uint32_t hash)
{
    PC_PREFETCH(pc_sketch_line(s, hash));
}

#endif
