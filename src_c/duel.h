/* duel.h: which arm suits these requests? Four shadows, one an arm, play the same requests on a sample of the keys;
 * the arm whose shadow hits significantly more often is played by the real cache.
 *
 *   - A shadow is the real thing made small: the same code (queues.h), a capacity of C / R, and the keys whose
 *     hashes fall into 1/R of all (miniature simulation: Waldspurger, Saemundsson, Ahmad and Park, USENIX ATC 2017).
 *     It holds at most PC_SHADOW_MAX entries, keys by their hashes only.
 *   - The shadows see the same requests, so what counts is where they differ (McNemar, 1947): D = hits of j - hits of
 *     the current arm has the variance V = number of requests where just one of the two hit, were they equally good.
 *     The arm changes when D > 3 sqrt(V), and D is worth the cost of a change: the entries that have to move.
 *   - Evidence is halved every 20 generations of a shadow, so the duel follows workloads that change.
 *   - After eight such periods without a change, and with no arm ahead of the current one, the duel rests for seven and
 *     plays for one: what is settled need not be proved anew all the time. It wakes when the real cache's hits among
 *     the sampled requests change by 5 points.
 *
 * Sampled requests are collected and played 64 at a time: by then a shadow's memory is worth fetching.
 * When entries have weights, so have the shadows', and R follows the number of entries held (pc_duel_cover).
 * Memory: at most 128 KB whatever the capacity.
 */
#ifndef PC_DUEL_H
#define PC_DUEL_H

#include "queues.h"

#define PC_SHADOW_MAX 512u
#define PC_SHADOW_INDEX 1024u /* places of a shadow's hash index: at most half of them full */
#define PC_DUEL_BATCH 64u

/* A cache of keys without values. */
typedef struct {
    pc_slots slots;
    pc_queues queues;
    pc_ghost ghost;
    uint32_t index[PC_SHADOW_INDEX]; /* by linear probing: 16 bits of the hash, 16 of slot + 1; 0 = empty */
} pc_shadow;

typedef struct {
    pc_shadow shadow[PC_ARMS];
    pc_sketch sketch; /* one for all shadows: it counts requests, whatever became of them */
    uint32_t hashes[PC_DUEL_BATCH], weights[PC_DUEL_BATCH]; /* sampled requests not yet played */
    uint32_t pending;
    uint32_t salt;  /* odd: which keys are sampled */
    unsigned rate;  /* log2 R */
    pc_arm arm;     /* the one to play */
    bool weighted;
    uint64_t capacity; /* of the real cache */
    uint32_t samples;  /* since the evidence was halved */
    uint32_t switches;
    uint32_t switched; /* switches before the period of evidence under way */
    uint32_t steady;   /* periods of evidence without one */
    uint32_t rest;     /* batches that are not to be played */
    uint32_t found;    /* requests of the batch under way that the real cache had */
    double recent, settled; /* hits of the real cache in a batch, smoothed: now, and when the rest began */
    double hits[PC_ARMS];            /* decayed, as are those where just one of two arms hit: */
    double discord[PC_ARMS][PC_ARMS];
} pc_duel;

/* For a cache of this capacity that holds about so many entries. */
pc_status pc_duel_init(pc_duel *d, const pc_alloc *alloc, uint64_t capacity, uint64_t entries, bool weighted,
                       uint64_t seed);
void pc_duel_destroy(pc_duel *d);

/* The cache holds more entries than it was thought to: sample fewer keys. */
void pc_duel_cover(pc_duel *d, uint64_t entries);

/* The cache has another capacity. False when a new duel has to be made: the sample would be too small. */
bool pc_duel_resize(pc_duel *d, uint64_t capacity, uint64_t entries);

/* Plays what is pending and decides. */
void pc_duel_play(pc_duel *d);

bool pc_duel_valid(const pc_duel *d);
size_t pc_duel_bytes(const pc_duel *d);

/* Whether a key belongs to the sample: the high bits of a product depend on all bits of the hash. */
static inline bool pc_duel_sampled(const pc_duel *d, uint32_t hash)
{
    return (uint64_t)(hash * d->salt) << d->rate >> 32 == 0;
}

/* A request for a sampled key, which was a hit of the real cache or not. True when a batch was played: d->arm may be another one now. */
static inline bool pc_duel_note(pc_duel *d, uint32_t hash, uint32_t weight, bool hit)
{
    d->found += hit;
    d->hashes[d->pending] = hash;
    d->weights[d->pending] = weight;
    if (++d->pending < PC_DUEL_BATCH)
        return false;
    pc_duel_play(d);
    return true;
}

#endif
