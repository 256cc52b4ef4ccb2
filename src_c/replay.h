/* replay.h: how often would a cache have hit? Plays a trace of ids through the real table and the real policy, without
 * values. It can be fed in pieces.
 */
#ifndef PC_REPLAY_H
#define PC_REPLAY_H

#include "policy.h"
#include "table.h"

typedef struct {
    uint64_t requests, hits;
    uint64_t weight, weight_hit; /* of the requests; equal to the above without weights */
    uint64_t evictions;          /* entries that left for lack of room */
    uint64_t refusals;           /* newcomers that left at once, or were heavier than the cache */
} pc_replay_counts;

typedef struct {
    pc_slots slots;
    pc_table table;
    pc_policy policy;
    pc_replay_counts counts;
    uint64_t seed[2];
} pc_replay;

/* `weighted`: capacity is a weight, and each request carries the weight of its object. */
pc_status pc_replay_init(pc_replay *r, const pc_alloc *alloc, pc_mode mode, uint64_t capacity, bool weighted,
                         uint64_t seed);
void pc_replay_destroy(pc_replay *r);

/* Plays `count` requests. `weights` is NULL unless weighted. On PC_NO_MEMORY some of them have been played. */
pc_status pc_replay_feed32(pc_replay *r, const uint32_t *ids, const uint32_t *weights, size_t count);
pc_status pc_replay_feed64(pc_replay *r, const uint64_t *ids, const uint32_t *weights, size_t count);

bool pc_replay_valid(const pc_replay *r);

#endif
