/* Ghosts: how long a key that left is remembered, and how exactly. */
#include "../ghost.h"
#include "failing_alloc.h"
#include "pc_test.h"

static uint32_t key(uint32_t i)
{
    return (uint32_t)pc_mix64(i + 1);
}

static pc_ghost ghosts_of(uint64_t entries)
{
    pc_ghost g;
    pc_alloc alloc = pc_alloc_system();
    CHECK(pc_ghost_init(&g, &alloc, entries) == PC_OK);
    return g;
}

static void a_ghost_tells_when_it_was_seen_once(void)
{
    pc_ghost g = ghosts_of(100);
    uint32_t stamp = 0;
    CHECK(!pc_ghost_take(&g, key(1), 50, &stamp));
    pc_ghost_put(&g, key(1), 42, 50);
    CHECK(pc_ghost_peek(&g, key(1), 60, &stamp) && stamp == 42);
    pc_ghost_put(&g, key(1), 55, 61); /* the same key takes its own bucket again */
    CHECK(pc_ghost_take(&g, key(1), 62, &stamp) && stamp == 55);
    CHECK(!pc_ghost_take(&g, key(1), 62, &stamp));
    pc_ghost_destroy(&g);
}

static void large_caches_have_coarse_stamps(void)
{
    pc_ghost g = ghosts_of(1000000);
    uint32_t stamp = 0, step = 1u << g.shift;
    CHECK(1000000 / step <= 1024 && 1000000 / step > 512);
    pc_ghost_put(&g, key(1), 5000000, 5900000);
    CHECK(pc_ghost_peek(&g, key(1), 6000000, &stamp) && 5000000 - stamp < step);
    pc_ghost_destroy(&g);
}

static void the_clock_may_wrap(void)
{
    const uint64_t sizes[] = {100, 5000, 1000000};
    for (int i = 0; i < 3; i++) {
        pc_ghost g = ghosts_of(sizes[i]);
        uint32_t stamp = 0, step = 1u << g.shift;
        pc_ghost_put(&g, key(1), UINT32_MAX - 100, 10);
        CHECK(pc_ghost_peek(&g, key(1), 90, &stamp) && UINT32_MAX - 100 - stamp < step);
        pc_ghost_destroy(&g);
    }
}

static void the_last_generation_is_remembered(void)
{
    enum { ENTRIES = 3000 };
    pc_ghost g = ghosts_of(ENTRIES);
    CHECK(pc_ghost_bytes(&g) == ENTRIES * 8);
    for (uint32_t i = 0; i < 10 * ENTRIES; i++) {
        pc_ghost_put(&g, key(i), i, i);
        if (i % 997 == 0)
            CHECK(pc_ghost_valid(&g));
    }
    uint32_t known[4] = {0}, stamp, clock = 10 * ENTRIES;
    for (uint32_t age = 0; age < 4 * ENTRIES; age++)
        known[age / ENTRIES] += pc_ghost_peek(&g, key(clock - 1 - age), clock, &stamp) && clock - stamp >= age;
    CHECK(known[0] > ENTRIES * 90 / 100); /* sets of four overflow by chance; the oldest goes */
    CHECK(known[1] > ENTRIES * 50 / 100);
    CHECK(known[3] < ENTRIES * 10 / 100);
    pc_ghost_destroy(&g);
}

static void strangers_are_seldom_taken_for_ghosts(void)
{
    enum { ENTRIES = 100000 };
    pc_ghost g = ghosts_of(ENTRIES);
    uint32_t stamp, mistakes = 0;
    for (uint32_t i = 0; i < 3 * ENTRIES; i++)
        pc_ghost_put(&g, key(i), i, i);
    for (uint32_t i = 0; i < ENTRIES; i++)
        mistakes += pc_ghost_peek(&g, key(5 * ENTRIES + i), 3 * ENTRIES, &stamp);
    CHECK(mistakes < ENTRIES / 2000); /* 4 ways against 16 bits, of which 16 sets share none: 1 in 16384 */
    pc_ghost_destroy(&g);
}

static void without_buckets_nothing_is_remembered(void)
{
    failing_state state = {.allowance = 0};
    pc_alloc alloc = failing_alloc(&state);
    pc_ghost g;
    uint32_t stamp;
    CHECK(pc_ghost_init(&g, &alloc, 10) == PC_NO_MEMORY);
    pc_ghost_put(&g, key(1), 1, 1);
    CHECK(!pc_ghost_take(&g, key(1), 1, &stamp) && pc_ghost_valid(&g) && pc_ghost_bytes(&g) == 0);
    pc_ghost_destroy(&g);
    CHECK(state.blocks == 0);
}

int main(void)
{
    RUN(a_ghost_tells_when_it_was_seen_once);
    RUN(large_caches_have_coarse_stamps);
    RUN(the_clock_may_wrap);
    RUN(the_last_generation_is_remembered);
    RUN(strangers_are_seldom_taken_for_ghosts);
    RUN(without_buckets_nothing_is_remembered);
    return REPORT();
}
