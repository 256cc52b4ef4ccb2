#include "queue.h"

pc_queue *pc_queue_create(const pc_alloc *alloc, uint64_t capacity)
{
    PC_ASSERT(capacity >= 2 && capacity <= PC_QUEUE_LARGEST && (capacity & (capacity - 1)) == 0);
    size_t bytes = sizeof(pc_queue) + (size_t)capacity * sizeof(pc_queue_cell);
    void *block = pc_zalloc(alloc, 1, bytes + PC_CACHE_LINE);
    if (block == NULL)
        return NULL;
    uintptr_t aligned = ((uintptr_t)block + PC_CACHE_LINE - 1) & ~(uintptr_t)(PC_CACHE_LINE - 1);
    pc_queue *q = (pc_queue *)aligned;
    q->cells = (pc_queue_cell *)(q + 1);
    q->mask = capacity - 1;
    q->block = block;
    q->alloc = *alloc;
    pc_queue_reset(q);
    return q;
}

void pc_queue_reset(pc_queue *q)
{
    for (uint64_t i = 0; i <= q->mask; i++)
        pc_store(&q->cells[i].seq, i, memory_order_relaxed); /* nobody else is there */
    pc_store(&q->tail, 0, memory_order_relaxed);
    pc_store(&q->head, 0, memory_order_relaxed);
    pc_store(&q->dropped, 0, memory_order_relaxed);
}

void pc_queue_destroy(pc_queue *q)
{
    if (q == NULL)
        return;
    pc_alloc alloc = q->alloc;
    pc_release(&alloc, q->block);
}

bool pc_queue_peek(const pc_queue *q, uint64_t position, void **item)
{
    const pc_queue_cell *cell = &q->cells[position & q->mask];
    if (pc_load(&cell->seq, memory_order_acquire) != position + 1)
        return false;
    *item = pc_get(cell->item);
    return true;
}

bool pc_queue_valid(const pc_queue *q)
{
    uint64_t head = pc_load(&q->head, memory_order_relaxed), tail = pc_load(&q->tail, memory_order_relaxed);
    if (head > tail || tail - head > q->mask + 1)
        return false;
    for (uint64_t position = head; position < head + q->mask + 1; position++) {
        uint64_t seq = pc_load(&q->cells[position & q->mask].seq, memory_order_relaxed);
        if (seq != (position < tail ? position + 1 : position))
            return false;
    }
    return true;
}
