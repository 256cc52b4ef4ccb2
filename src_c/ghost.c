#include "ghost.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define RESOLUTION 1024u /* steps of the coarse clock in a generation of the cache, at most */

pc_status pc_ghost_init(pc_ghost *g, const pc_alloc *alloc, uint64_t entries)
{
    uint64_t sets = (2 * entries + PC_GHOST_WAYS - 1) / PC_GHOST_WAYS;
    *g = (pc_ghost){.sets = sets > 0 ? (uint32_t)sets : 1, .alloc = *alloc};
    while (entries >> g->shift > RESOLUTION)
        g->shift++;
    g->buckets = pc_zalloc(alloc, g->sets, PC_GHOST_WAYS * sizeof *g->buckets);
    return g->buckets ? PC_OK : PC_NO_MEMORY;
}

void pc_ghost_destroy(pc_ghost *g)
{
    pc_release(&g->alloc, g->buckets);
    g->buckets = NULL;
}

/* The set is chosen by the high bits of the hash, so the fingerprint is taken from the low ones. */
static uint32_t fingerprint(uint32_t hash)
{
    uint32_t low = hash & 0xffff;
    return (low ? low : 1) << 16;
}

/* Steps of the coarse clock since the ghost was last asked for. */
static uint32_t age(const pc_ghost *g, uint32_t bucket, uint32_t clock)
{
    return ((clock >> g->shift) - bucket) & 0xffff;
}

/* Bit i is set where bucket i of the set has this fingerprint; 0 is that of the empty ones. */
static uint32_t bearing(const uint32_t *set, uint32_t print)
{
#if defined(__SSE2__)
    __m128i prints = _mm_and_si128(_mm_loadu_si128((const __m128i *)(const void *)set), _mm_set1_epi32((int)0xffff0000u));
    return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(prints, _mm_set1_epi32((int)print))));
#else
    uint32_t bits = 0;
    for (unsigned way = 0; way < PC_GHOST_WAYS; way++)
        bits |= (uint32_t)((set[way] & 0xffff0000u) == print) << way;
    return bits;
#endif
}

/* Age and way in one: their maximum is found without a branch to guess. */
static uint32_t ranked(const uint32_t *set, uint32_t way, uint32_t now)
{
    return ((now - set[way]) & 0xffff) << 2 | way;
}

void pc_ghost_put(pc_ghost *g, uint32_t hash, uint32_t stamp, uint32_t clock)
{
    if (g->buckets == NULL)
        return;
    uint32_t *set = pc_ghost_set(g, hash), print = fingerprint(hash), now = clock >> g->shift;
    uint32_t fit = bearing(set, print) | bearing(set, 0), way;
    if (PC_UNLIKELY(fit != 0)) { /* rare once the cache has been full */
        way = pc_ctz32(fit);
    } else {
        uint32_t a = ranked(set, 0, now), b = ranked(set, 1, now), c = ranked(set, 2, now), d = ranked(set, 3, now);
        a = a > b ? a : b;
        c = c > d ? c : d;
        way = (a > c ? a : c) & 3;
    }
    set[way] = print | (stamp >> g->shift & 0xffff);
}

static uint32_t stamp_of(const pc_ghost *g, uint32_t bucket, uint32_t clock)
{
    return ((clock >> g->shift) - age(g, bucket, clock)) << g->shift;
}

static uint32_t *find(const pc_ghost *g, uint32_t hash)
{
    uint32_t *set = pc_ghost_set(g, hash), print = fingerprint(hash);
    uint32_t found = bearing(set, print);
    return found != 0 ? &set[pc_ctz32(found)] : NULL;
}

bool pc_ghost_peek(const pc_ghost *g, uint32_t hash, uint32_t clock, uint32_t *stamp)
{
    const uint32_t *bucket = g->buckets ? find(g, hash) : NULL;
    if (bucket != NULL)
        *stamp = stamp_of(g, *bucket, clock);
    return bucket != NULL;
}

bool pc_ghost_take(pc_ghost *g, uint32_t hash, uint32_t clock, uint32_t *stamp)
{
    uint32_t *bucket = g->buckets ? find(g, hash) : NULL;
    if (bucket == NULL)
        return false;
    *stamp = stamp_of(g, *bucket, clock);
    *bucket = 0;
    return true;
}

size_t pc_ghost_bytes(const pc_ghost *g)
{
    return g->buckets ? (size_t)g->sets * PC_GHOST_WAYS * sizeof *g->buckets : 0;
}

bool pc_ghost_valid(const pc_ghost *g)
{
    for (size_t i = 0; g->buckets != NULL && i < (size_t)g->sets * PC_GHOST_WAYS; i++)
        if (g->buckets[i] != 0 && g->buckets[i] >> 16 == 0)
            return false;
    return true;
}
