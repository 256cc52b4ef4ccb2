/* curve.h: what would the hit ratio be with less room, or more? Miniature caches of several sizes play the requests for
 * a sample of the keys (Waldspurger, Saemundsson, Ahmad and Park, USENIX ATC 2017) under the real cache's policy.
 *
 *   - Two samples of 1/R of the keys each, by hash; in each a miniature of (size / R) entries for every size. The two
 *     estimate independently, so their difference tells how far off they are.
 *   - Misses are counted against the requests there should have been, requests / R, and not against those that fell
 *     into the sample: whether a hot key is in it changes the hits and not the misses (SHARDS-adj: Waldspurger, Park,
 *     Garthwaite and Ahmad, FAST 2015). On the traces at hand that takes the mean error from 2.6 points to 1.2.
 *   - In the middle two more: plain LRU and LFU, for what recency and frequency alone would give.
 *   - A few followers: does the request after one for this key go where it went the last time?
 *
 * Sampled requests are collected and played 64 at a time. Weights are not known here: all entries count alike.
 * Memory: at most 1.5 MB, under LRU a tenth of that. Threads: none; the owner locks.
 */
#ifndef PC_CURVE_H
#define PC_CURVE_H

#include "cache.h"

enum { PC_CURVE_SIZES = 7, PC_CURVE_LRU = PC_CURVE_SIZES, PC_CURVE_LFU, PC_CURVE_MINIS, PC_CURVE_HALVES = 2 };

#define PC_CURVE_BATCH 64u
#define PC_CURVE_FOLLOWED 256u /* keys whose followers are remembered */

/* The sizes, in quarters of the present one. */
extern const uint32_t pc_curve_quarters[PC_CURVE_SIZES];

typedef struct {
    pc_cache mini[PC_CURVE_MINIS];
    uint64_t sampled, hits[PC_CURVE_MINIS];
    uint32_t hashes[PC_CURVE_BATCH], pending;
} pc_curve_half;

typedef struct {
    pc_curve_half half[PC_CURVE_HALVES];
    pc_alloc alloc;
    unsigned made; /* miniatures; all of them once it is there */
    uint32_t salt; /* odd: which keys are sampled */
    unsigned rate; /* log2 R */
    uint64_t entries, requests;
    uint32_t last; /* the hash asked for before this one */
    uint64_t followed, repeated;
    struct {
        uint32_t hash, next;
    } follower[PC_CURVE_FOLLOWED];
} pc_curve;

/* For a cache that holds about so many entries; NULL without memory. */
pc_curve *pc_curve_new(const pc_alloc *alloc, pc_mode mode, uint64_t entries, const uint64_t seed[2]);
void pc_curve_free(pc_curve *c); /* or NULL */

/* Plays what is pending. */
void pc_curve_play(pc_curve_half *half);

/* Notes which key came after which. */
void pc_curve_follow(pc_curve *c, uint32_t place, uint32_t hash);

size_t pc_curve_bytes(const pc_curve *c);
bool pc_curve_valid(const pc_curve *c);

/* A request, whatever became of it. */
static inline void pc_curve_note(pc_curve *c, uint32_t hash)
{
    uint32_t spread = hash * c->salt, share = (uint32_t)((uint64_t)spread << c->rate >> 32);
    uint32_t before = c->last * c->salt;
    if (before >> 24 == 0 && c->requests != 0) /* one key in 256 is followed */
        pc_curve_follow(c, before >> 16 & (PC_CURVE_FOLLOWED - 1), hash);
    c->last = hash;
    c->requests++;
    if (PC_LIKELY(share >= PC_CURVE_HALVES))
        return;
    pc_curve_half *half = &c->half[share];
    half->hashes[half->pending] = hash;
    if (++half->pending == PC_CURVE_BATCH)
        pc_curve_play(half);
}

#endif
