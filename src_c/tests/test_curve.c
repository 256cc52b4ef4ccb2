/* The curve: what it samples, how near it comes to caches of the sizes it stands for, what it costs. */
#include "../curve.h"
#include "failing_alloc.h"
#include "pc_test.h"

static const uint64_t SEED[2] = {7, 11};

static pc_curve *curve_of(pc_mode mode, uint64_t entries)
{
    pc_alloc alloc = pc_alloc_system();
    pc_curve *curve = pc_curve_new(&alloc, mode, entries, SEED);
    CHECK(curve != NULL);
    return curve;
}

static uint32_t hash_of(uint64_t id)
{
    return (uint32_t)pc_mix64(id + 1);
}

/* Ids of which small ones are more likely: the square of a uniform number. */
static uint64_t skewed(uint64_t *random, uint64_t ids)
{
    double u = (double)(pc_test_random(random) >> 11) / (double)(UINT64_C(1) << 53);
    return (uint64_t)(u * u * (double)ids);
}

/* Misses in a miniature, as a share of the requests there should have been. */
static double miss_ratio(const pc_curve *c, unsigned mini)
{
    double misses = 0;
    for (unsigned h = 0; h < PC_CURVE_HALVES; h++)
        misses += (double)(c->half[h].sampled - c->half[h].hits[mini]);
    return misses * (double)(1u << c->rate) / (PC_CURVE_HALVES * (double)c->requests);
}

static void the_sample_leaves_the_miniatures_large_enough(void)
{
    const struct {
        uint64_t entries;
        unsigned rate;
    } expected[] = {{1, 1}, {63, 1}, {128, 2}, {256, 3}, {1000, 3}, {2047, 3}, {2048, 4}, {4096, 5}, {1000000, 12}};
    for (int i = 0; i < 9; i++) {
        pc_curve *c = curve_of(PC_LRU, expected[i].entries);
        CHECK(c->rate == expected[i].rate);
        pc_curve_free(c);
    }
}

static void each_half_samples_one_key_in_r_and_no_key_is_in_both(void)
{
    pc_curve *c = curve_of(PC_LRU, 4096);
    for (uint64_t id = 0; id < 1u << 18; id++)
        pc_curve_note(c, hash_of(id));
    double wanted = (double)(1u << 18) / (1u << c->rate);
    for (unsigned h = 0; h < PC_CURVE_HALVES; h++) {
        double sampled = (double)c->half[h].sampled;
        CHECK(sampled > wanted * 0.95 && sampled < wanted * 1.05);
        CHECK(c->half[h].hits[PC_CURVE_SIZES - 1] == 0);
    }
    CHECK(pc_curve_valid(c));
    pc_curve_free(c);
}

/* Plain LRU by the policy itself, of the full size. */
static double true_miss_ratio(uint64_t entries, uint64_t ids, uint64_t requests)
{
    static pc_cache cache;
    pc_alloc alloc = pc_alloc_system();
    CHECK(pc_cache_init(&cache, &alloc, 0, PC_LRU, entries, false, SEED) == PC_OK);
    uint64_t random = 5, misses = 0;
    for (uint64_t i = 0; i < requests; i++) {
        uint32_t hash = hash_of(skewed(&random, ids));
        pc_cursor cursor;
        uint32_t slot = pc_table_find(&cache.table, &cursor, hash);
        while (slot != PC_NIL && pc_slots_node(&cache.slots, slot)->hash != hash)
            slot = pc_cursor_next(&cursor);
        if (slot != PC_NIL) {
            pc_cache_hit(&cache, slot);
            continue;
        }
        misses++;
        CHECK(pc_cache_reserve(&cache, 0, false, false) == PC_OK);
        pc_cache_insert(&cache, hash, 1);
        pc_cause cause;
        while ((slot = pc_cache_collect(&cache, &cause)) != PC_NIL)
            pc_slots_give(&cache.slots, slot);
    }
    pc_cache_destroy(&cache);
    return (double)misses / (double)requests;
}

static void it_is_near_to_what_caches_of_these_sizes_do(void)
{
    const uint64_t entries = 8192, ids = 100000, requests = 600000;
    pc_curve *c = curve_of(PC_LRU, entries);
    uint64_t random = 5;
    for (uint64_t i = 0; i < requests; i++)
        pc_curve_note(c, hash_of(skewed(&random, ids)));
    double error = 0;
    for (unsigned i = 0; i < PC_CURVE_SIZES; i++) {
        double truth = true_miss_ratio(entries * pc_curve_quarters[i] / 4, ids, requests);
        double difference = miss_ratio(c, i) - truth;
        error += (difference < 0 ? -difference : difference) / PC_CURVE_SIZES;
    }
    CHECK(error < 0.02);
    CHECK(miss_ratio(c, PC_CURVE_LRU) == miss_ratio(c, 3)); /* the middle one of an LRU is an LRU */
    pc_curve_free(c);
}

static void it_knows_whether_keys_follow_each_other(void)
{
    pc_curve *ordered = curve_of(PC_LRU, 4096);
    for (uint64_t i = 0; i < 200000; i++)
        pc_curve_note(ordered, hash_of(i % 10000));
    CHECK(ordered->followed > 300 && ordered->repeated == ordered->followed);
    pc_curve_free(ordered);
    pc_curve *mixed = curve_of(PC_LRU, 4096);
    uint64_t random = 9;
    for (uint64_t i = 0; i < 200000; i++)
        pc_curve_note(mixed, hash_of(pc_test_random(&random) % 10000));
    CHECK(mixed->followed > 300 && mixed->repeated < mixed->followed / 20);
    pc_curve_free(mixed);
}

static void it_stays_small_whatever_the_size(void)
{
    for (unsigned mode = PC_LRU; mode <= PC_ADAPTIVE; mode++)
        for (uint64_t entries = 1; entries < UINT64_C(1) << 30; entries = entries * 7 + 1) {
            pc_curve *c = curve_of((pc_mode)mode, entries);
            for (uint64_t i = 0; i < 100000; i++)
                pc_curve_note(c, hash_of(i << c->rate));
            CHECK(pc_curve_valid(c));
            CHECK(pc_curve_bytes(c) <= 1536 * 1024);
            pc_curve_free(c);
        }
}

static void without_memory_it_is_not_made_and_leaves_nothing_behind(void)
{
    pc_curve *curve;
    failing_state state = {.allowance = 0};
    pc_alloc alloc = failing_alloc(&state);
    long needed = 0;
    while (state.allowance = needed, (curve = pc_curve_new(&alloc, PC_ADAPTIVE, 5000, SEED)) == NULL) {
        CHECK(state.blocks == 0);
        needed++;
    }
    CHECK(needed > 0);
    for (uint64_t i = 0; i < 200000; i++) /* what it cannot store are misses */
        pc_curve_note(curve, hash_of(i));
    CHECK(pc_curve_valid(curve));
    pc_curve_free(curve);
    CHECK(state.blocks == 0);
}

int main(void)
{
    RUN(the_sample_leaves_the_miniatures_large_enough);
    RUN(each_half_samples_one_key_in_r_and_no_key_is_in_both);
    RUN(it_is_near_to_what_caches_of_these_sizes_do);
    RUN(it_knows_whether_keys_follow_each_other);
    RUN(it_stays_small_whatever_the_size);
    RUN(without_memory_it_is_not_made_and_leaves_nothing_behind);
    return REPORT();
}
