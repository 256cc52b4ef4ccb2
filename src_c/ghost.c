#include "ghost.h"

#include <string.h>

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

void pc_ghost_put(pc_ghost *g, uint32_t hash, uint32_t stamp, uint32_t clock)
{
    if (g->buckets == NULL)
        return;
    uint32_t *set = pc_ghost_set(g, hash), print = fingerprint(hash), now = clock >> g->shift, oldest = 0;
    for (uint32_t way = 0; way < PC_GHOST_WAYS; way++) {
        if (PC_UNLIKELY(set[way] == 0 || (set[way] ^ print) < 0x10000)) { /* rare once the cache has been full */
            oldest = way;
            break;
        }
        uint32_t ranked = ((now - set[way]) & 0xffff) << 2 | way; /* age and way in one: no branch to guess */
        oldest = ranked > oldest ? ranked : oldest;
    }
    set[oldest & 3] = print | (stamp >> g->shift & 0xffff);
}

static uint32_t stamp_of(const pc_ghost *g, uint32_t bucket, uint32_t clock)
{
    return ((clock >> g->shift) - age(g, bucket, clock)) << g->shift;
}

static uint32_t *find(const pc_ghost *g, uint32_t hash)
{
    uint32_t *set = pc_ghost_set(g, hash), print = fingerprint(hash);
    for (unsigned way = 0; way < PC_GHOST_WAYS; way++)
        if ((set[way] & 0xffff0000u) == print)
            return &set[way];
    return NULL;
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
