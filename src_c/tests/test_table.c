#include "../table.h"
#include "failing_alloc.h"
#include "pc_test.h"

enum { KEYS = 4000 };

/* The cursor's answer: is this very slot among the candidates of its hash? */
static bool finds(const pc_table *t, const pc_slots *s, uint32_t slot)
{
    pc_cursor cursor;
    uint32_t hash = pc_slots_node(s, slot)->hash;
    uint32_t at = pc_table_find(t, &cursor, hash);
    while (at != PC_NIL && at != slot)
        at = pc_cursor_next(&cursor);
    return at == slot;
}

static uint32_t candidates(const pc_table *t, uint32_t hash)
{
    pc_cursor cursor;
    uint32_t n = 0;
    for (uint32_t at = pc_table_find(t, &cursor, hash); at != PC_NIL; at = pc_cursor_next(&cursor))
        n++;
    return n;
}

static uint32_t add(pc_table *t, pc_slots *s, uint32_t hash)
{
    CHECK(pc_slots_reserve(s) == PC_OK && pc_table_reserve(t) == PC_OK);
    uint32_t slot = pc_slots_take(s, hash);
    pc_slots_node(s, slot)->queue = 7;
    pc_table_insert(t, s, slot);
    return slot;
}

static void drop(pc_table *t, pc_slots *s, uint32_t slot)
{
    pc_table_remove(t, s, slot);
    pc_slots_node(s, slot)->queue = PC_QUEUE_FREE;
    pc_slots_give(s, slot);
}

/* Random insertions and removals with hashes cut to `bits` bits, so that few bits mean long probe sequences. */
static void churn(unsigned bits, uint64_t seed)
{
    pc_alloc system = pc_alloc_system();
    pc_slots s;
    pc_table t;
    pc_slots_init(&s, &system, 8);
    pc_table_init(&t, &system);
    static uint32_t live[KEYS];
    uint32_t n = 0;
    for (int step = 0; step < 6 * KEYS; step++) {
        uint64_t r = pc_test_random(&seed);
        bool growing = (step / KEYS) % 2 == 0;
        if (n < KEYS && (n == 0 || (r >> 60) < (growing ? 12u : 4u))) {
            live[n++] = add(&t, &s, (uint32_t)r & (uint32_t)((UINT64_C(1) << bits) - 1));
        } else {
            uint32_t i = (uint32_t)(r % n), slot = live[i];
            live[i] = live[--n];
            drop(&t, &s, slot);
        }
        if (step % 997 == 0)
            CHECK(pc_table_valid(&t, &s) && t.now.count + t.old.count == n);
    }
    for (uint32_t i = 0; i < n; i++)
        CHECK(finds(&t, &s, live[i]));
    while (n > 0)
        drop(&t, &s, live[--n]);
    CHECK(t.now.count == 0 && pc_table_valid(&t, &s));
    pc_table_destroy(&t);
    pc_slots_destroy(&s);
}

static void every_entry_is_found_after_random_changes(void)
{
    churn(32, 1);
    churn(32, 2);
}

static void colliding_hashes_lose_nothing(void)
{
    churn(9, 3);
    churn(4, 4);
}

static void an_absent_hash_yields_few_candidates(void)
{
    pc_alloc system = pc_alloc_system();
    pc_slots s;
    pc_table t;
    pc_slots_init(&s, &system, 8);
    pc_table_init(&t, &system);
    uint64_t seed = 5;
    CHECK(candidates(&t, 1) == 0);
    for (int i = 0; i < KEYS; i++)
        add(&t, &s, (uint32_t)pc_test_random(&seed));
    uint32_t wrong = 0;
    for (int i = 0; i < KEYS; i++)
        wrong += candidates(&t, (uint32_t)pc_test_random(&seed));
    CHECK(wrong < KEYS / 10); /* about 6 of 255 tags in a bucket and its followers */
    pc_table_destroy(&t);
    pc_slots_destroy(&s);
}

static void one_insertion_moves_a_bounded_number_of_buckets(void)
{
    pc_alloc system = pc_alloc_system();
    pc_slots s;
    pc_table t;
    pc_slots_init(&s, &system, 8);
    pc_table_init(&t, &system);
    uint64_t seed = 6;
    bool was_growing = false;
    for (int i = 0; i < 100000; i++) {
        uint32_t moved = t.moved;
        add(&t, &s, (uint32_t)pc_test_random(&seed));
        bool growing = t.old.buckets != NULL;
        CHECK(!growing || t.moved - (was_growing ? moved : 0) <= 2);
        was_growing = growing;
    }
    CHECK(pc_table_valid(&t, &s));
    pc_table_destroy(&t);
    pc_slots_destroy(&s);
}

static void running_out_of_memory_keeps_the_table(void)
{
    failing_state state = {3, 0};
    pc_alloc system = pc_alloc_system(), alloc = failing_alloc(&state);
    pc_slots s;
    pc_table t;
    pc_slots_init(&s, &system, 8);
    pc_table_init(&t, &alloc);
    uint32_t n = 0;
    while (pc_table_reserve(&t) == PC_OK)
        add(&t, &s, n++);
    CHECK(n == 40 && pc_table_valid(&t, &s)); /* three tables: 1, 2 and 4 buckets of 10 */
    pc_table_destroy(&t);
    CHECK(state.blocks == 0);
    pc_slots_destroy(&s);
}

int main(void)
{
    RUN(every_entry_is_found_after_random_changes);
    RUN(colliding_hashes_lose_nothing);
    RUN(an_absent_hash_yields_few_candidates);
    RUN(one_insertion_moves_a_bounded_number_of_buckets);
    RUN(running_out_of_memory_keeps_the_table);
    return REPORT();
}
