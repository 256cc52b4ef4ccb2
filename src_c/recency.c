#include "recency.h"

#define AHEAD 16 /* requests between the prefetch of an id's place and its use */

pc_status pc_recency_init(pc_recency *r, const pc_alloc *alloc, uint64_t capacity, uint32_t ids)
{
    *r = (pc_recency){.capacity = capacity < ids ? (uint32_t)capacity : ids, .alloc = *alloc};
    r->ring = pc_zalloc(alloc, (size_t)r->capacity + 1, sizeof *r->ring);
    r->place_of = pc_zalloc(alloc, (size_t)ids + 1, sizeof *r->place_of);
    if (r->ring != NULL && r->place_of != NULL)
        return PC_OK;
    pc_recency_destroy(r);
    return PC_NO_MEMORY;
}

void pc_recency_destroy(pc_recency *r)
{
    pc_release(&r->alloc, r->ring);
    pc_release(&r->alloc, r->place_of);
    r->ring = NULL;
    r->place_of = NULL;
}

static inline void detach(pc_recency_place *ring, uint32_t place)
{
    ring[ring[place].prev].next = ring[place].next;
    ring[ring[place].next].prev = ring[place].prev;
}

static inline void push(pc_recency_place *ring, uint32_t place)
{
    ring[place].next = ring[0].next;
    ring[place].prev = 0;
    ring[ring[0].next].prev = place;
    ring[0].next = place;
}

/* A place that nobody uses: the oldest one's when all are in use. */
static inline uint32_t vacate(pc_recency *r)
{
    if (PC_UNLIKELY(r->used < r->capacity))
        return ++r->used;
    uint32_t place = r->ring[0].prev;
    detach(r->ring, place);
    r->place_of[r->ring[place].id] = 0;
    return place;
}

uint64_t pc_recency_feed(pc_recency *r, const uint32_t *ids, size_t count)
{
    uint64_t hits = 0;
    for (size_t i = 0; r->capacity > 0 && i < count; i++) {
        if (PC_LIKELY(i + AHEAD < count))
            PC_PREFETCH(&r->place_of[ids[i + AHEAD]]);
        uint32_t place = r->place_of[ids[i]];
        if (place != 0) {
            hits++;
            detach(r->ring, place);
        } else {
            place = vacate(r);
            r->ring[place].id = ids[i];
            r->place_of[ids[i]] = place;
        }
        push(r->ring, place);
    }
    return hits;
}

bool pc_recency_valid(const pc_recency *r)
{
    uint32_t count = 0, before = 0;
    for (uint32_t place = r->ring[0].next; place != 0; before = place, place = r->ring[place].next) {
        if (r->place_of[r->ring[place].id] != place || r->ring[place].prev != before || count++ == r->used)
            return false;
    }
    return count == r->used && before == r->ring[0].prev && r->used <= r->capacity;
}
