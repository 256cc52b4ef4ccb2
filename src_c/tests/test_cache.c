#include "../cache.h"
#include "failing_alloc.h"
#include "pc_test.h"

static const uint64_t SEED[2] = {1, 3};

static void start(pc_cache *c, uint64_t capacity, bool weighted)
{
    pc_alloc system = pc_alloc_system();
    CHECK(pc_cache_init(c, &system, 16, PC_LRU, capacity, weighted, SEED) == PC_OK);
}

static uint32_t insert(pc_cache *c, uint32_t hash, uint32_t weight)
{
    CHECK(pc_cache_reserve(c, 0, false, false) == PC_OK);
    return pc_cache_insert(c, hash, weight);
}

/* Empties limbo and returns how many slots left for this cause. */
static int collect(pc_cache *c, pc_cause wanted)
{
    pc_cause cause;
    int n = 0;
    for (uint32_t slot; (slot = pc_cache_collect(c, &cause)) != PC_NIL; n += cause == wanted)
        pc_slots_give(&c->slots, slot);
    CHECK(pc_cache_valid(c));
    return n;
}

static void the_least_recently_used_entry_leaves_first(void)
{
    pc_cache c;
    start(&c, 3, false);
    uint32_t a = insert(&c, 1, 1), b = insert(&c, 2, 1);
    insert(&c, 3, 1);
    pc_cache_hit(&c, a);
    insert(&c, 4, 1);
    CHECK(!pc_slots_in_use(&c.slots, b) || pc_slots_node(&c.slots, b)->queue == PC_QUEUE_LIMBO);
    CHECK(collect(&c, PC_CAUSE_SIZE) == 1 && pc_cache_count(&c) == 3);
    pc_cache_destroy(&c);
}

static void weights_are_bounded_and_the_too_heavy_is_rejected(void)
{
    pc_cache c;
    start(&c, 10, true);
    uint32_t a = insert(&c, 1, 4);
    insert(&c, 2, 4);
    insert(&c, 3, 11);
    CHECK(collect(&c, PC_CAUSE_REJECTED) == 1 && pc_cache_weight(&c) == 8);
    pc_cache_reweigh(&c, a, 7);
    CHECK(pc_cache_weight(&c) == 4 && collect(&c, PC_CAUSE_SIZE) == 1); /* a was the oldest */
    insert(&c, 4, 6);
    CHECK(pc_cache_weight(&c) == 10);
    pc_cache_resize(&c, 5);
    CHECK(pc_cache_weight(&c) <= 5 && collect(&c, PC_CAUSE_SIZE) == 2);
    pc_cache_destroy(&c);
}

static void a_cache_of_nothing_rejects_everything(void)
{
    pc_cache c;
    start(&c, 0, false);
    insert(&c, 1, 1);
    CHECK(collect(&c, PC_CAUSE_REJECTED) == 1 && pc_cache_count(&c) == 0);
    pc_cache_destroy(&c);
}

static void deadlines_are_kept_per_entry(void)
{
    pc_cache c;
    start(&c, 10, false);
    CHECK(pc_cache_reserve(&c, 0, true, true) == PC_OK);
    uint32_t a = pc_cache_insert(&c, 1, 1), b = insert(&c, 2, 1);
    pc_cache_set_life(&c, a, 100, 0, 100);
    CHECK(!pc_cache_expired(&c, a, 99) && pc_cache_expired(&c, a, 100) && !pc_cache_expired(&c, b, 100));
    pc_cache_set_life(&c, a, PC_NEVER, 0, PC_NEVER);
    CHECK(!pc_cache_timed(&c, a) && !pc_cache_expired(&c, a, UINT64_MAX));
    pc_cache_destroy(&c);
}

static void an_access_prolongs_the_idle_limit_up_to_the_end(void)
{
    pc_cache c;
    start(&c, 10, false);
    CHECK(pc_cache_reserve(&c, 0, true, true) == PC_OK);
    uint32_t a = pc_cache_insert(&c, 1, 1);
    pc_cache_set_life(&c, a, 40, 30, 100);
    CHECK(!pc_cache_expired(&c, a, 39) && pc_cache_expired(&c, a, 40));
    pc_cache_prolong(&c, a, 39);
    CHECK(!pc_cache_expired(&c, a, 68) && pc_cache_expired(&c, a, 69));
    pc_cache_prolong(&c, a, 90);
    CHECK(!pc_cache_expired(&c, a, 99) && pc_cache_expired(&c, a, 100));
    pc_cache_destroy(&c);
}

static void expiry_is_no_change_of_the_keys(void)
{
    pc_cache c;
    start(&c, 10, false);
    uint32_t a = insert(&c, 1, 1), b = insert(&c, 2, 1);
    uint64_t changes = c.changes, version = c.version;
    pc_cache_remove(&c, a, PC_CAUSE_EXPIRED);
    CHECK(c.changes == changes && c.version != version);
    pc_cache_remove(&c, b, PC_CAUSE_EXPLICIT);
    CHECK(c.changes != changes);
    CHECK(collect(&c, PC_CAUSE_EXPIRED) == 1);
    pc_cache_destroy(&c);
}

static void detaching_leaves_an_empty_usable_cache(void)
{
    pc_cache c;
    start(&c, PC_UNBOUNDED, false);
    for (uint32_t i = 0; i < 5000; i++)
        insert(&c, i * 2654435761u, 1);
    pc_slots gone;
    pc_cache_detach(&c, &gone);
    CHECK(gone.live == 5000 && pc_cache_count(&c) == 0 && pc_cache_valid(&c));
    insert(&c, 5, 1);
    CHECK(pc_cache_valid(&c));
    pc_slots_destroy(&gone);
    pc_cache_destroy(&c);
}

static void running_out_of_memory_changes_nothing(void)
{
    for (long allowance = 0; allowance < 60; allowance++) {
        failing_state state = {-1, 0};
        pc_alloc alloc = failing_alloc(&state);
        pc_cache c;
        CHECK(pc_cache_init(&c, &alloc, 16, PC_LRU, PC_UNBOUNDED, true, SEED) == PC_OK);
        state.allowance = allowance;
        uint32_t n = 0;
        while (n < 9000 && pc_cache_reserve(&c, 0, true, true) == PC_OK)
            pc_cache_insert(&c, n++ * 2654435761u, 1);
        CHECK(pc_cache_valid(&c) && pc_cache_count(&c) == n);
        pc_cache_destroy(&c);
        CHECK(state.blocks == 0);
    }
}

int main(void)
{
    RUN(the_least_recently_used_entry_leaves_first);
    RUN(weights_are_bounded_and_the_too_heavy_is_rejected);
    RUN(a_cache_of_nothing_rejects_everything);
    RUN(deadlines_are_kept_per_entry);
    RUN(an_access_prolongs_the_idle_limit_up_to_the_end);
    RUN(expiry_is_no_change_of_the_keys);
    RUN(detaching_leaves_an_empty_usable_cache);
    RUN(running_out_of_memory_changes_nothing);
    return REPORT();
}
