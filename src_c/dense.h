/* dense.h: a bag of slots from which one can be drawn at random in O(1): a vector without holes. A slot's node tells
 * its place (in `prev`), and a removal moves the last slot into the gap. What hits does not touch it.
 *
 * The vector is chunked as the slot arrays are, so that growing moves nothing: 4 bytes a slot.
 */
#ifndef PC_DENSE_H
#define PC_DENSE_H

#include "slots.h"

typedef struct {
    uint32_t **chunks; /* of PC_CHUNK places */
    uint32_t chunked, table; /* chunks allocated; places in the table of chunks */
    uint32_t count;
    uint8_t queue; /* the id written into node.queue */
    uint64_t weight;
    pc_alloc alloc;
} pc_dense;

void pc_dense_init(pc_dense *d, const pc_alloc *alloc, uint8_t queue);
void pc_dense_destroy(pc_dense *d);

/* Room for one more slot, so that the next pc_dense_push cannot fail. */
pc_status pc_dense_reserve(pc_dense *d);

void pc_dense_push(pc_dense *d, pc_slots *s, uint32_t slot);
void pc_dense_remove(pc_dense *d, pc_slots *s, uint32_t slot);

bool pc_dense_valid(const pc_dense *d, const pc_slots *s);
size_t pc_dense_bytes(const pc_dense *d);

static inline uint32_t *pc_dense_place(const pc_dense *d, uint32_t place)
{
    return &d->chunks[place >> PC_CHUNK_BITS][place & (PC_CHUNK - 1)];
}

/* The slot that 64 random bits choose from the first `count`, at least one. The bias is below 2^-32. */
static inline uint32_t pc_dense_draw(const pc_dense *d, uint32_t count, uint64_t random)
{
    return *pc_dense_place(d, (uint32_t)((random >> 32) * count >> 32));
}

#endif
