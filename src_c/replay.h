/* replay.h: how often would a cache have hit? Plays a trace of ids through the real policy, without values (and plain
 * LRU, of which there is only one, through recency.h).
 *
 * Ids are dense: numbers below a bound that is known in advance, so that an array is the whole index and the time goes
 * to the policy. ids.h turns other ids into dense ones, once for all capacities and policies that are to be tried.
 * A trace can be fed in pieces.
 */
#ifndef PC_REPLAY_H
#define PC_REPLAY_H

#include "policy.h"
#include "recency.h"

typedef struct {
    uint64_t requests, hits;
    uint64_t weight, weight_hit; /* of the requests; equal to the above without weights */
    uint64_t evictions;          /* entries that left for lack of room */
} pc_replay_counts;

typedef struct {
    pc_slots slots;
    uint32_t *slot_of; /* by id: slot + 1, 0 = not in the cache */
    uint32_t *id_of;   /* by slot */
    uint32_t ids;      /* every id is below it */
    bool plain;        /* LRU without weights: the ring of recency plays instead of the policy */
    pc_recency recency;
    uint64_t seed[2];
    pc_policy policy;
    pc_replay_counts counts;
} pc_replay;

/* `weighted`: capacity is a weight, and each request carries the weight of its object. */
pc_status pc_replay_init(pc_replay *r, const pc_alloc *alloc, pc_mode mode, uint64_t capacity, bool weighted,
                         uint32_t ids, uint64_t seed);
void pc_replay_destroy(pc_replay *r);

/* Plays `count` requests. `weights` is NULL unless weighted. On PC_NO_MEMORY some of them have been played. */
pc_status pc_replay_feed(pc_replay *r, const uint32_t *ids, const uint32_t *weights, size_t count);

/* What the policy has become. */
pc_policy_state pc_replay_explain(const pc_replay *r);

bool pc_replay_valid(const pc_replay *r);

#endif
