/* queue.h: a bounded queue that refuses what does not fit: what is in it is never overwritten.
 *
 *     cell of position p (slot = p mod capacity):  seq == p        empty, for the producer of position p
 *                                                  seq == p + 1    full, for the consumer of position p
 *                                                  seq == p + N    empty again, for the next lap
 *
 * Vyukov's bounded queue for many producers and many consumers (1024cores.net). A producer moves `tail` to own a
 * position, stores the item and hands the cell over by its seq; a consumer does the same with `head`.
 *
 * Promises: each accepted item is delivered exactly once; items of one producer keep their order; a full queue refuses
 * at once (`dropped` counts it) and producers never wait for consumers or the other way round.
 *
 * Not promised: it is not lock-free. A producer that is stopped between moving tail and handing over hides its cell
 * and what comes after it until it goes on; nothing is lost by that.
 *
 * An item is one pointer, which the queue does not look at; NULL is fine.
 */
#ifndef PC_QUEUE_H
#define PC_QUEUE_H

#include "alloc.h"
#include "atomic.h"

#include <stdalign.h>

#define PC_QUEUE_LARGEST (1u << 28)

typedef struct {
    pc_atomic_u64 seq;
    pc_plain(void *) item; /* whose turn it is, is in seq */
} pc_queue_cell;

typedef struct {
    alignas(PC_CACHE_LINE) pc_atomic_u64 tail; /* positions taken by producers */
    alignas(PC_CACHE_LINE) pc_atomic_u64 head; /* positions taken by consumers */
    alignas(PC_CACHE_LINE) pc_atomic_u64 dropped;
    alignas(PC_CACHE_LINE) pc_queue_cell *cells; /* constant from here on */
    uint64_t mask;
    void *block;
    pc_alloc alloc;
} pc_queue;

/* A queue of a power of two of cells, from 2 to PC_QUEUE_LARGEST; NULL when memory ran out. */
pc_queue *pc_queue_create(const pc_alloc *alloc, uint64_t capacity);
void pc_queue_destroy(pc_queue *q); /* the items are the caller's business */

/* Empties the queue and its count. Only where no other thread uses it: in a child after fork(). */
void pc_queue_reset(pc_queue *q);

/* The item at position p, if it is there. Only where no put or take is under way (a garbage collector's view). */
bool pc_queue_peek(const pc_queue *q, uint64_t position, void **item);

/* Every cell is where head and tail say. Only where no put or take is under way. */
bool pc_queue_valid(const pc_queue *q);

/* Appends an item; false when the queue is full, and counted. */
static inline bool pc_queue_put(pc_queue *q, void *item)
{
    uint64_t position = pc_load(&q->tail, memory_order_relaxed); /* a guess, which the exchange confirms */
    for (;;) {
        pc_queue_cell *cell = &q->cells[position & q->mask];
        uint64_t seq = pc_load(&cell->seq, memory_order_acquire); /* pairs with the consumer's release: it has read */
        if (seq == position) {
            /* relaxed: the position is ours alone; the cell's seq orders the item */
            if (pc_compare_exchange(&q->tail, &position, position + 1, memory_order_relaxed, memory_order_relaxed)) {
                pc_set(cell->item, item);
                pc_store(&cell->seq, position + 1, memory_order_release); /* pairs with the consumer's acquire */
                return true;
            }
        } else if (seq < position) { /* a lap behind: not yet taken out */
            (void)pc_fetch_add(&q->dropped, 1, memory_order_relaxed);
            return false;
        } else {
            position = pc_load(&q->tail, memory_order_relaxed);
        }
    }
}

/* Takes the oldest item out; false when there is none. */
static inline bool pc_queue_take(pc_queue *q, void **item)
{
    uint64_t position = pc_load(&q->head, memory_order_relaxed); /* a guess, which the exchange confirms */
    for (;;) {
        pc_queue_cell *cell = &q->cells[position & q->mask];
        uint64_t seq = pc_load(&cell->seq, memory_order_acquire); /* pairs with the producer's release: it has written */
        if (seq == position + 1) {
            if (pc_compare_exchange(&q->head, &position, position + 1, memory_order_relaxed, memory_order_relaxed)) {
                *item = pc_get(cell->item);
                pc_store(&cell->seq, position + q->mask + 1, memory_order_release); /* the producer's acquire */
                return true;
            }
        } else if (seq < position + 1) {
            return false;
        } else {
            position = pc_load(&q->head, memory_order_relaxed);
        }
    }
}

/* How many items there are, at some moment during the call. */
static inline uint64_t pc_queue_count(const pc_queue *q)
{
    uint64_t head = pc_load(&q->head, memory_order_relaxed), tail = pc_load(&q->tail, memory_order_relaxed);
    uint64_t count = tail > head ? tail - head : 0; /* the two were not read together */
    return count > q->mask ? q->mask + 1 : count;
}

#endif
