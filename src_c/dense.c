#include "dense.h"

#include "list.h"

#include <string.h>

#define FIRST_TABLE 8u

void pc_dense_init(pc_dense *d, const pc_alloc *alloc, uint8_t queue)
{
    *d = (pc_dense){.queue = queue, .alloc = *alloc};
}

void pc_dense_destroy(pc_dense *d)
{
    for (uint32_t i = 0; i < d->chunked; i++)
        pc_release(&d->alloc, d->chunks[i]);
    pc_release(&d->alloc, d->chunks);
    pc_dense_init(d, &d->alloc, d->queue);
}

static pc_status grow_table(pc_dense *d)
{
    uint32_t places = d->table ? d->table * 2 : FIRST_TABLE;
    uint32_t **fresh = pc_zalloc(&d->alloc, places, sizeof *fresh);
    if (fresh == NULL)
        return PC_NO_MEMORY;
    if (d->chunks != NULL)
        memcpy(fresh, d->chunks, d->chunked * sizeof *fresh);
    pc_release(&d->alloc, d->chunks);
    d->chunks = fresh;
    d->table = places;
    return PC_OK;
}

pc_status pc_dense_reserve(pc_dense *d)
{
    if (d->count < d->chunked << PC_CHUNK_BITS)
        return PC_OK;
    if (d->chunked == d->table && grow_table(d) != PC_OK)
        return PC_NO_MEMORY;
    uint32_t *fresh = pc_zalloc(&d->alloc, PC_CHUNK, sizeof *fresh);
    if (fresh == NULL)
        return PC_NO_MEMORY;
    d->chunks[d->chunked++] = fresh;
    return PC_OK;
}

static void put(pc_dense *d, pc_slots *s, uint32_t place, uint32_t slot)
{
    *pc_dense_place(d, place) = slot;
    pc_slots_node(s, slot)->prev = place;
}

void pc_dense_push(pc_dense *d, pc_slots *s, uint32_t slot)
{
    PC_ASSERT(pc_slots_node(s, slot)->queue == PC_QUEUE_FREE && d->count < d->chunked << PC_CHUNK_BITS);
    pc_slots_node(s, slot)->queue = d->queue;
    put(d, s, d->count++, slot);
    d->weight += pc_list_weigh(s, slot);
}

void pc_dense_remove(pc_dense *d, pc_slots *s, uint32_t slot)
{
    pc_node *n = pc_slots_node(s, slot);
    PC_ASSERT(n->queue == d->queue && d->count > 0);
    put(d, s, n->prev, *pc_dense_place(d, --d->count));
    n->queue = PC_QUEUE_FREE;
    d->weight -= pc_list_weigh(s, slot);
}

size_t pc_dense_bytes(const pc_dense *d)
{
    return d->table * sizeof *d->chunks + (size_t)d->chunked * PC_CHUNK * sizeof **d->chunks;
}

bool pc_dense_valid(const pc_dense *d, const pc_slots *s)
{
    uint64_t weight = 0;
    for (uint32_t place = 0; place < d->count; place++) {
        uint32_t slot = *pc_dense_place(d, place);
        if (slot >= s->used || pc_slots_node(s, slot)->queue != d->queue || pc_slots_node(s, slot)->prev != place)
            return false;
        weight += pc_list_weigh(s, slot);
    }
    return weight == d->weight && d->count <= d->chunked << PC_CHUNK_BITS;
}
