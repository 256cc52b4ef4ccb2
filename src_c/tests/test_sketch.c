/* The frequency sketch: what it counts, how it forgets, how it grows. */
#include "../sketch.h"
#include "failing_alloc.h"
#include "pc_test.h"

#include <string.h>

enum { KEYS = 2000 };

static uint32_t key(uint32_t i)
{
    return (uint32_t)pc_mix64(i + 1);
}

static pc_sketch sketch_for(uint64_t entries)
{
    pc_sketch s;
    pc_alloc alloc = pc_alloc_system();
    CHECK(pc_sketch_init(&s, &alloc, entries, 8) == PC_OK);
    return s;
}

static void a_key_is_counted_up_to_15(void)
{
    pc_sketch s = sketch_for(1024);
    for (unsigned n = 0; n < 20; n++) {
        CHECK(pc_sketch_estimate(&s, key(7)) == (n < 15 ? n : 15));
        pc_sketch_add(&s, key(7));
    }
    pc_sketch_destroy(&s);
}

static void a_key_costs_one_cache_line(void)
{
    pc_sketch s = sketch_for(1024);
    for (uint32_t i = 0; i < KEYS; i++) {
        uint64_t *line = pc_sketch_line(&s, key(i)), before[PC_SKETCH_LINE];
        CHECK((uintptr_t)line % PC_CACHE_LINE == 0);
        memcpy(before, line, sizeof before);
        pc_sketch_add(&s, key(i));
        unsigned changed = 0;
        for (unsigned row = 0; row < 4; row++)
            changed += before[2 * row] != line[2 * row] || before[2 * row + 1] != line[2 * row + 1];
        CHECK(changed == 4 || pc_sketch_estimate(&s, key(i)) == 15);
    }
    pc_sketch_destroy(&s);
}

static void estimates_are_never_low_and_seldom_high(void)
{
    pc_sketch s = sketch_for(KEYS);
    unsigned truth[KEYS] = {0};
    uint64_t random = 1;
    unsigned wrong = 0;
    for (int i = 0; i < 3 * KEYS; i++) { /* below one period: nothing is halved */
        uint32_t k = (uint32_t)(pc_test_random(&random) % KEYS);
        truth[k] += truth[k] < 15;
        pc_sketch_add(&s, key(k));
    }
    for (uint32_t k = 0; k < KEYS; k++) {
        CHECK(pc_sketch_estimate(&s, key(k)) >= truth[k]);
        wrong += pc_sketch_estimate(&s, key(k)) != truth[k];
    }
    CHECK(wrong < KEYS / 20);
    pc_sketch_destroy(&s);
}

/* Adds a crowd of other keys until the sketch begins, and then completes, a sweep. */
static void add_until(pc_sketch *s, bool sweeping, uint32_t *next)
{
    while ((s->due == 0) != sweeping) {
        pc_sketch_add(s, key((*next)++));
        CHECK(pc_sketch_valid(s));
    }
}

static void all_counts_are_halved_at_once(void)
{
    pc_sketch s = sketch_for(4096);
    uint32_t next = KEYS, before[64];
    for (uint32_t k = 0; k < 64; k++)
        for (uint32_t n = 0; n < k % 15; n++)
            pc_sketch_add(&s, key(k));
    while (s.additions + 1 < s.due)
        pc_sketch_add(&s, key(next++ % (1u << 20)));
    for (uint32_t k = 0; k < 64; k++)
        before[k] = pc_sketch_estimate(&s, key(k));
    add_until(&s, true, &next);
    for (uint32_t k = 0; k < 64; k++) /* no line but the first has been touched, yet every answer is halved */
        CHECK(pc_sketch_estimate(&s, key(k)) - before[k] / 2 <= 1);
    add_until(&s, false, &next);
    for (uint32_t k = 0; k < 64; k++)
        CHECK(pc_sketch_estimate(&s, key(k)) - before[k] / 2 <= 4); /* the sweep's own additions collide */
    CHECK(s.additions == 4096 / PC_SKETCH_LINE - 1);
    pc_sketch_destroy(&s);
}

static void growth_keeps_every_count(void)
{
    pc_sketch s = sketch_for(64);
    for (uint32_t k = 0; k < 40; k++)
        for (uint32_t n = 0; n < k % 8; n++)
            pc_sketch_add(&s, key(k));
    uint32_t next = KEYS;
    for (uint64_t entries = 128; entries <= 8192; entries *= 2) {
        add_until(&s, false, &next);
        CHECK(pc_sketch_cover(&s, entries));
        CHECK(!pc_sketch_cover(&s, entries * 2)); /* not while it grows */
        for (uint32_t k = 0; s.due == 0; k++) {
            unsigned before = pc_sketch_estimate(&s, key(k % 40));
            pc_sketch_add(&s, key(next++));
            CHECK(pc_sketch_estimate(&s, key(k % 40)) >= before);
            CHECK(pc_sketch_valid(&s));
        }
        CHECK(pc_sketch_bytes(&s) == entries * 8 + PC_CACHE_LINE);
    }
    CHECK(pc_sketch_cover(&s, 8192));
    pc_sketch_destroy(&s);
}

static void without_memory_it_stays_small(void)
{
    failing_state state = {.allowance = 0};
    pc_alloc alloc = failing_alloc(&state);
    pc_sketch s;
    CHECK(pc_sketch_init(&s, &alloc, 100, 8) == PC_NO_MEMORY);
    state.allowance = 1;
    CHECK(pc_sketch_init(&s, &alloc, 100, 8) == PC_OK);
    pc_sketch_add(&s, key(1));
    CHECK(!pc_sketch_cover(&s, 200) && pc_sketch_valid(&s));
    CHECK(pc_sketch_estimate(&s, key(1)) == 1);
    pc_sketch_destroy(&s);
    CHECK(state.blocks == 0);
}

int main(void)
{
    RUN(a_key_is_counted_up_to_15);
    RUN(a_key_costs_one_cache_line);
    RUN(estimates_are_never_low_and_seldom_high);
    RUN(all_counts_are_halved_at_once);
    RUN(growth_keeps_every_count);
    RUN(without_memory_it_stays_small);
    return REPORT();
}
