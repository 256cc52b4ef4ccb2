/* The duel: what it samples, whom it lets win, what it costs. */
#include "../duel.h"
#include "failing_alloc.h"
#include "pc_test.h"

static pc_duel *duel_of(uint64_t capacity, bool weighted, uint64_t seed)
{
    static pc_duel duels[2];
    pc_duel *d = &duels[weighted];
    pc_alloc alloc = pc_alloc_system();
    CHECK(pc_duel_init(d, &alloc, capacity, weighted ? 256 : capacity, weighted, seed) == PC_OK);
    return d;
}

/* What the cache would tell of a request. */
static void request_found(pc_duel *d, uint64_t id, uint32_t weight, bool hit)
{
    uint32_t hash = (uint32_t)pc_mix64(id + 1);
    if (pc_duel_sampled(d, hash) && pc_duel_note(d, hash, weight, hit) && d->samples % 1024 == 0)
        CHECK(pc_duel_valid(d));
}

static void request(pc_duel *d, uint64_t id, uint32_t weight)
{
    request_found(d, id, weight, false);
}

static void one_key_in_r_is_sampled(void)
{
    const struct {
        uint64_t capacity;
        unsigned rate;
    } expected[] = {{1, 0},    {31, 0},   {32, 1},   {75, 2},   {128, 3},
                    {1000, 3}, {4095, 3}, {4096, 4}, {8192, 5}, {1000000, 11}};
    for (int i = 0; i < 10; i++) {
        pc_duel *d = duel_of(expected[i].capacity, false, 7);
        CHECK(d->rate == expected[i].rate);
        double sampled = 0, keys = 40000.0 * (1u << d->rate);
        for (uint32_t k = 0; k < (40000u << d->rate); k++)
            sampled += pc_duel_sampled(d, (uint32_t)pc_mix64(k + 1));
        double wanted = keys / (1u << d->rate);
        CHECK(sampled > wanted * 0.97 && sampled < wanted * 1.03);
        pc_duel_destroy(d);
    }
}

static void shadows_are_small_whatever_the_capacity(void)
{
    for (uint64_t capacity = 1; capacity < UINT64_C(1) << 30; capacity = capacity * 3 / 2 + 1) {
        pc_duel *d = duel_of(capacity, false, 7);
        for (uint64_t i = 0; i < 40000; i++)
            request(d, i << d->rate, 1);
        CHECK(pc_duel_valid(d));
        CHECK(pc_duel_bytes(d) <= 128 * 1024);
        CHECK(d->shadow[0].queues.capacity <= PC_SHADOW_MAX);
        pc_duel_destroy(d);
    }
}

static void weighted_shadows_thin_out_when_they_crowd(void)
{
    uint64_t random = 3;
    pc_duel *d = duel_of(1000000, true, 7);
    for (uint64_t i = 0; i < 300000; i++) {
        request(d, pc_test_random(&random) % 100000, 1 + (uint32_t)(i % 20));
        if (i % 4096 == 0)
            CHECK(pc_duel_valid(d));
    }
    CHECK(d->rate >= 7); /* 95 000 entries fit; a shadow holds up to 512 */
    for (unsigned arm = 0; arm < PC_ARMS; arm++)
        CHECK(d->shadow[arm].slots.live > 64 && d->shadow[arm].slots.live <= PC_SHADOW_MAX);
    CHECK(pc_duel_bytes(d) <= 128 * 1024);
    unsigned rate = d->rate;
    pc_duel_cover(d, UINT64_C(1) << 20);
    CHECK(d->rate == 12 && d->rate > rate && pc_duel_valid(d));
    pc_duel_destroy(d);
}

static void a_loop_is_for_lirs_or_frequency(void)
{
    const uint64_t capacities[] = {200, 1000, 10000};
    for (int i = 0; i < 3; i++) {
        pc_duel *d = duel_of(capacities[i], false, 5);
        d->arm = PC_ARM_LRU;
        for (uint64_t n = 0; n < capacities[i] * 60; n++)
            request(d, n % (capacities[i] * 5 / 4), 1);
        CHECK(d->arm == PC_ARM_LIRS || d->arm == PC_ARM_TINY1 || d->arm == PC_ARM_TINY20);
        CHECK(d->switches >= 1 && d->hits[d->arm] > d->hits[PC_ARM_LRU]);
        pc_duel_destroy(d);
    }
}

/* Each key is asked for twice, a little later, and never again: only a window that is large enough helps. */
static void short_lived_keys_are_for_lru(void)
{
    const uint64_t capacities[] = {200, 1000, 10000};
    for (int i = 0; i < 3; i++) {
        uint64_t capacity = capacities[i], lag = capacity * 3 / 4;
        pc_duel *d = duel_of(capacity, false, 5);
        for (uint64_t n = 0; n < capacity * 60; n++) {
            request(d, n, 1);
            if (n >= lag / 2)
                request(d, n - lag / 2, 1);
        }
        CHECK(d->arm == PC_ARM_LRU);
        CHECK(d->hits[PC_ARM_LRU] > d->hits[PC_ARM_LIRS]);
        pc_duel_destroy(d);
    }
}

/* Where all arms are as good, chance must not drive it to and fro. */
static void without_a_difference_it_stays(void)
{
    unsigned switches = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        uint64_t random = seed;
        pc_duel *d = duel_of(1000, false, seed);
        for (uint64_t n = 0; n < 200000; n++)
            request(d, pc_test_random(&random) % 2000, 1);
        switches += d->switches;
        pc_duel_destroy(d);
    }
    CHECK(switches <= 2);
}

static void old_evidence_fades(void)
{
    pc_duel *d = duel_of(1000, false, 5);
    for (uint64_t n = 0; n < 400000; n++)
        request(d, n % 1250, 1);
    pc_arm before = d->arm;
    double most = 2.0 * 20 * 125; /* two half-lives of samples, all hits */
    for (unsigned arm = 0; arm < PC_ARMS; arm++)
        CHECK(d->hits[arm] <= most);
    for (uint64_t n = 0; n < 200000; n++) { /* another workload: it comes round within a few half-lives */
        request(d, 1000000 + n, 1);
        request(d, 1000000 + n - 300, 1);
    }
    CHECK(before != PC_ARM_LRU && d->arm == PC_ARM_LRU);
    pc_duel_destroy(d);
}

static void a_settled_duel_rests_until_the_hits_change(void)
{
    pc_duel *d = duel_of(1000, false, 5); /* it starts with LIRS, and nobody is better in a loop */
    uint64_t n = 0, played;
    for (; n < 150000; n++) {
        CHECK(d->rest == 0);
        request(d, n % 1250, 1);
    }
    while (d->rest == 0 && n < 400000)
        request(d, n++ % 1250, 1);
    CHECK(d->rest > 0 && d->arm == PC_ARM_LIRS);
    played = d->shadow[PC_ARM_LRU].queues.clock;
    for (uint64_t end = n + 10000; n < end; n++)
        request(d, n % 1250, 1);
    CHECK(d->rest > 0 && d->shadow[PC_ARM_LRU].queues.clock == played);
    for (uint64_t end = n + 2000; n < end; n++)
        request_found(d, n % 1250, 1, true);
    CHECK(d->rest == 0 && d->shadow[PC_ARM_LRU].queues.clock > played && pc_duel_valid(d));
    pc_duel_destroy(d);
}

static void a_new_capacity_keeps_what_fits(void)
{
    pc_duel *d = duel_of(4000, false, 5);
    for (uint64_t n = 0; n < 100000; n++)
        request(d, n % 5000, 1);
    uint32_t live = d->shadow[PC_ARM_LIRS].slots.live;
    CHECK(pc_duel_resize(d, 3600, 3600) && pc_duel_valid(d));
    CHECK(d->shadow[PC_ARM_LIRS].slots.live == 450 && live == 500);
    CHECK(pc_duel_resize(d, 40000, 40000) && pc_duel_valid(d) && d->rate == 7);
    CHECK(!pc_duel_resize(d, 4000, 4000)); /* one key in 128 would be 31 entries: too few */
    pc_duel_destroy(d);
}

static void it_needs_all_its_memory_or_none(void)
{
    for (long allowance = 0; allowance < 3; allowance++) {
        failing_state state = {.allowance = allowance};
        pc_alloc alloc = failing_alloc(&state);
        static pc_duel d;
        CHECK(pc_duel_init(&d, &alloc, 1000, 1000, true, 1) == PC_NO_MEMORY && state.blocks == 0);
    }
    failing_state state = {.allowance = 3};
    pc_alloc alloc = failing_alloc(&state);
    static pc_duel d;
    CHECK(pc_duel_init(&d, &alloc, 1000, 1000, true, 1) == PC_OK);
    for (uint64_t n = 0; n < 100000; n++) { /* no memory for slots: the shadows stay empty, nobody wins */
        state.allowance = n > 50000 ? -1 : 0;
        request(&d, n % 1250, 1);
    }
    CHECK(pc_duel_valid(&d));
    pc_duel_destroy(&d);
    CHECK(state.blocks == 0);
}

int main(void)
{
    RUN(one_key_in_r_is_sampled);
    RUN(shadows_are_small_whatever_the_capacity);
    RUN(weighted_shadows_thin_out_when_they_crowd);
    RUN(a_loop_is_for_lirs_or_frequency);
    RUN(short_lived_keys_are_for_lru);
    RUN(without_a_difference_it_stays);
    RUN(old_evidence_fades);
    RUN(a_settled_duel_rests_until_the_hits_change);
    RUN(a_new_capacity_keeps_what_fits);
    RUN(it_needs_all_its_memory_or_none);
    return REPORT();
}
