/* recency.h: exact LRU over dense ids, and nothing else. Where entries have no weights, no deadlines and no values, and no
 * policy wants to learn from them, twelve bytes a place and one list are the whole cache: three times faster than the
 * general machinery (policy.h), whose hits it reproduces one by one (tests/test_replay.c).
 *
 *     place 0 is the head of a ring: newest <- next [head] prev -> oldest
 */
#ifndef PC_RECENCY_H
#define PC_RECENCY_H

#include "alloc.h"

typedef struct {
    uint32_t next, prev; /* towards the oldest, towards the newest */
    uint32_t id;
} pc_recency_place;

typedef struct {
    pc_recency_place *ring; /* capacity + 1 */
    uint32_t *place_of; /* by id; 0 = not in the cache */
    uint32_t capacity, used;
    pc_alloc alloc;
} pc_recency;

/* For ids below `ids`. */
pc_status pc_recency_init(pc_recency *r, const pc_alloc *alloc, uint64_t capacity, uint32_t ids);
void pc_recency_destroy(pc_recency *r);

/* Plays requests; returns how many of them hit. */
uint64_t pc_recency_feed(pc_recency *r, const uint32_t *ids, size_t count);

bool pc_recency_valid(const pc_recency *r);

#endif
