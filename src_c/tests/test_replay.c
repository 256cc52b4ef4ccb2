/* Replays of traces: exact for LRU, the same however they are fed, right about weights. */
#include "../replay.h"
#include "failing_alloc.h"
#include "pc_test.h"

enum { REQUESTS = 30000, IDS = 3000, UNIVERSE = 4 * REQUESTS };

static uint32_t ids[REQUESTS], weights[REQUESTS];

/* Ids of which a few are asked for often, with weights that belong to the id. */
static void make_trace(uint64_t seed)
{
    for (int i = 0; i < REQUESTS; i++) {
        uint64_t r = pc_test_random(&seed);
        ids[i] = (uint32_t)((r >> 8) % (1 + (r & 7) * (r & 7) * IDS / 50));
        weights[i] = ids[i] % 16 == 3 ? 40 : 1 + ids[i] % 5;
    }
}

static pc_replay *replay_of(pc_mode mode, uint64_t capacity, bool weighted, uint64_t seed)
{
    static pc_replay replays[2];
    static int next;
    pc_replay *r = &replays[next++ & 1];
    pc_alloc alloc = pc_alloc_system();
    CHECK(pc_replay_init(r, &alloc, mode, capacity, weighted, UNIVERSE, seed) == PC_OK);
    return r;
}

/* LRU by its definition: a request hits when what was asked for since its last one, and itself, fits. */
static uint64_t lru_hits(uint64_t capacity, bool weighted)
{
    uint64_t hits = 0;
    for (int i = 0; i < REQUESTS; i++) {
        static int seen[IDS];
        uint64_t weight = weighted ? weights[i] : 1;
        int j = i - 1;
        for (; j >= 0 && ids[j] != ids[i] && weight <= capacity; j--)
            if (seen[ids[j]] != i + 1) {
                seen[ids[j]] = i + 1;
                weight += weighted ? weights[j] : 1;
            }
        hits += j >= 0 && weight <= capacity;
    }
    return hits;
}

static void lru_is_exact(void)
{
    make_trace(1);
    for (uint64_t capacity = 40; capacity < 4000; capacity *= 3) {
        pc_replay *r = replay_of(PC_LRU, capacity, false, 1);
        CHECK(pc_replay_feed(r, ids, NULL, REQUESTS) == PC_OK && pc_replay_valid(r));
        CHECK(r->counts.hits == lru_hits(capacity, false));
        pc_replay_destroy(r);
        r = replay_of(PC_LRU, capacity, true, 1);
        CHECK(pc_replay_feed(r, ids, weights, REQUESTS) == PC_OK && pc_replay_valid(r));
        CHECK(r->counts.hits == lru_hits(capacity, true));
        pc_replay_destroy(r);
    }
}

static void feeding_in_pieces_changes_nothing(void)
{
    make_trace(2);
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++) {
        pc_replay *a = replay_of((pc_mode)mode, 300, false, 9), *b = replay_of((pc_mode)mode, 300, false, 9);
        CHECK(pc_replay_feed(a, ids, NULL, REQUESTS) == PC_OK);
        for (size_t at = 0, piece = 1; at < REQUESTS; at += piece, piece = piece * 3 % 1009) {
            piece = piece < REQUESTS - at ? piece : REQUESTS - at;
            CHECK(pc_replay_feed(b, ids + at, NULL, piece) == PC_OK && pc_replay_valid(b));
        }
        CHECK(a->counts.hits == b->counts.hits && a->counts.evictions == b->counts.evictions);
        pc_replay_destroy(a);
        pc_replay_destroy(b);
    }
}

/* Unit weights and no weights are the same thing, so the ring of recency.h must agree with the policy. */
static void the_ring_agrees_with_the_policy(void)
{
    static uint32_t units[REQUESTS];
    make_trace(5);
    for (int i = 0; i < REQUESTS; i++)
        units[i] = 1;
    for (uint64_t capacity = 0; capacity < 4000; capacity = capacity * 2 + 1) {
        pc_replay *ring = replay_of(PC_LRU, capacity, false, 1), *policy = replay_of(PC_LRU, capacity, true, 1);
        CHECK(ring->plain && !policy->plain);
        CHECK(pc_replay_feed(ring, ids, NULL, REQUESTS) == PC_OK && pc_replay_valid(ring));
        CHECK(pc_replay_feed(policy, ids, units, REQUESTS) == PC_OK && pc_replay_valid(policy));
        CHECK(ring->counts.hits == policy->counts.hits);
        CHECK(ring->counts.evictions == policy->counts.evictions);
        pc_replay_destroy(ring);
        pc_replay_destroy(policy);
    }
}

static void every_request_is_accounted_for(void)
{
    make_trace(3);
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++)
        for (uint64_t capacity = 0; capacity < 3000; capacity = capacity * 4 + 30) {
            pc_replay *r = replay_of((pc_mode)mode, capacity, true, 9);
            CHECK(pc_replay_feed(r, ids, weights, REQUESTS) == PC_OK && pc_replay_valid(r));
            pc_replay_counts c = r->counts;
            CHECK(c.requests == REQUESTS);
            uint64_t left = c.requests - c.hits - c.evictions - r->slots.live; /* refused, or too heavy */
            CHECK(left <= c.requests && (mode != PC_LRU || capacity < 40 || left == 0));
            CHECK(c.weight_hit <= c.weight && (c.hits == 0) == (c.weight_hit == 0));
            CHECK(capacity != 0 || c.hits == 0);
            pc_replay_destroy(r);
        }
}

/* The adaptive policy on traces that are the worst for one arm or the other. */
static void adaptive_is_near_the_better_of_two_worlds(void)
{
    static uint32_t loop[REQUESTS * 4], fresh[REQUESTS * 4];
    for (uint32_t i = 0; i < REQUESTS * 4; i++) {
        loop[i] = i % 1200;
        fresh[i] = i % 2 ? i / 2 - (i / 2 < 200 ? i / 2 : 200) : i / 2 + 1;
    }
    pc_replay *r = replay_of(PC_ADAPTIVE, 1000, false, 4), *lru = replay_of(PC_LRU, 1000, false, 4);
    CHECK(pc_replay_feed(r, loop, NULL, REQUESTS * 4) == PC_OK);
    CHECK(pc_replay_feed(lru, loop, NULL, REQUESTS * 4) == PC_OK);
    CHECK(lru->counts.hits == 0 && r->counts.hits > REQUESTS * 4 * 80 / 100); /* the optimum: 83 % */
    pc_replay_destroy(r);
    pc_replay_destroy(lru);
    r = replay_of(PC_ADAPTIVE, 1000, false, 4);
    CHECK(pc_replay_feed(r, fresh, NULL, REQUESTS * 4) == PC_OK);
    CHECK(r->counts.hits > REQUESTS * 4 * 47 / 100); /* LRU: 50 % */
    pc_replay_destroy(r);
}

static void lack_of_memory_is_told(void)
{
    make_trace(4);
    static pc_replay r;
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++)
        for (long allowance = 0; allowance < 2; allowance++) {
            failing_state state = {.allowance = allowance};
            pc_alloc alloc = failing_alloc(&state);
            CHECK(pc_replay_init(&r, &alloc, (pc_mode)mode, 1000, false, UNIVERSE, 1) == PC_NO_MEMORY);
            CHECK(state.blocks == 0);
        }
    failing_state state = {.allowance = 12};
    pc_alloc alloc = failing_alloc(&state);
    CHECK(pc_replay_init(&r, &alloc, PC_RANDOM, 100000, false, UNIVERSE, 1) == PC_OK);
    CHECK(pc_replay_feed(&r, ids, NULL, REQUESTS) == PC_NO_MEMORY && pc_replay_valid(&r));
    state.allowance = -1;
    CHECK(pc_replay_feed(&r, ids, NULL, REQUESTS) == PC_OK && pc_replay_valid(&r));
    pc_replay_destroy(&r);
    CHECK(state.blocks == 0);
}

int main(void)
{
    RUN(lru_is_exact);
    RUN(feeding_in_pieces_changes_nothing);
    RUN(the_ring_agrees_with_the_policy);
    RUN(every_request_is_accounted_for);
    RUN(adaptive_is_near_the_better_of_two_worlds);
    RUN(lack_of_memory_is_told);
    return REPORT();
}
