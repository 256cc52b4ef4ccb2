/* The queue: first in, first out, refusing when full, and each item delivered exactly once. */
#include "../queue.h"
#include "failing_alloc.h"
#include "pc_test.h"
#include "pc_threads.h"

static pc_queue *queue_of(uint64_t capacity)
{
    pc_alloc alloc = pc_alloc_system();
    pc_queue *q = pc_queue_create(&alloc, capacity);
    CHECK(q != NULL);
    return q;
}

static void *item(uintptr_t n)
{
    return (void *)n;
}

static void items_come_out_as_they_went_in(void)
{
    pc_queue *q = queue_of(4);
    uint64_t state = 7;
    uintptr_t in = 0, out = 0, refused = 0;
    void *found;
    for (int i = 0; i < 10000; i++) {
        if (pc_test_random(&state) % 2) {
            bool fits = in - out < 4;
            CHECK(pc_queue_put(q, item(in)) == fits);
            in += fits;
            refused += !fits;
        } else if (pc_queue_take(q, &found)) {
            CHECK(found == item(out++));
        } else {
            CHECK(in == out);
        }
        CHECK(pc_queue_valid(q) && pc_queue_count(q) == in - out);
        CHECK(in == out || (pc_queue_peek(q, out, &found) && found == item(out)));
    }
    CHECK(refused > 100 && pc_load(&q->dropped, memory_order_relaxed) == refused);
    pc_queue_destroy(q);
}

static void a_reset_queue_is_empty(void)
{
    pc_queue *q = queue_of(8);
    void *found;
    for (uintptr_t i = 0; i < 12; i++)
        pc_queue_put(q, item(i));
    pc_queue_reset(q);
    CHECK(pc_queue_valid(q) && !pc_queue_take(q, &found) && pc_queue_put(q, NULL));
    CHECK(pc_queue_take(q, &found) && found == NULL);
    pc_queue_destroy(q);
}

static void without_memory_there_is_no_queue(void)
{
    failing_state state = {.allowance = 0};
    pc_alloc alloc = failing_alloc(&state);
    CHECK(pc_queue_create(&alloc, 8) == NULL);
    pc_queue_destroy(NULL);
    CHECK(state.blocks == 0);
}

enum { PRODUCERS = 2, CONSUMERS = 2 };

typedef struct {
    pc_queue *queue;
    uintptr_t puts; /* of each producer */
    atomic_uint producing;
    _Atomic uint64_t taken, sum, accepted, accepted_sum, out_of_order;
} traffic;

static void produce(traffic *t, unsigned index)
{
    for (uintptr_t i = 1; i <= t->puts; i++) {
        uintptr_t n = i * PRODUCERS + index;
        if (pc_queue_put(t->queue, item(n))) {
            atomic_fetch_add(&t->accepted, 1);
            atomic_fetch_add(&t->accepted_sum, n);
        }
    }
    atomic_fetch_sub(&t->producing, 1);
}

static void consume(traffic *t)
{
    uintptr_t last[PRODUCERS] = {0};
    void *found;
    bool more = true;
    while (more) {
        more = atomic_load(&t->producing) > 0; /* before the take: what it misses then was not there */
        while (pc_queue_take(t->queue, &found)) {
            uintptr_t n = (uintptr_t)found;
            atomic_fetch_add(&t->out_of_order, n <= last[n % PRODUCERS]);
            last[n % PRODUCERS] = n;
            atomic_fetch_add(&t->taken, 1);
            atomic_fetch_add(&t->sum, n);
        }
    }
}

static void produce_or_consume(void *context, unsigned index)
{
    if (index < PRODUCERS)
        produce(context, index);
    else
        consume(context);
}

static void every_item_is_delivered_once_and_in_its_producers_order(void)
{
    traffic t = {.queue = queue_of(64), .puts = (uintptr_t)pc_stress(100000), .producing = PRODUCERS};
    pc_together(PRODUCERS + CONSUMERS, produce_or_consume, &t);
    CHECK(t.taken == t.accepted && t.sum == t.accepted_sum && t.out_of_order == 0);
    CHECK(t.accepted + pc_load(&t.queue->dropped, memory_order_relaxed) == PRODUCERS * t.puts);
    CHECK(pc_queue_valid(t.queue));
    pc_queue_destroy(t.queue);
}

int main(void)
{
    RUN(items_come_out_as_they_went_in);
    RUN(a_reset_queue_is_empty);
    RUN(without_memory_there_is_no_queue);
    RUN(every_item_is_delivered_once_and_in_its_producers_order);
    return REPORT();
}
