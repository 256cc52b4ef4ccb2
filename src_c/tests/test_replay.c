/* Replays of traces: exact for LRU, the same however they are fed, right about weights. */
#include "../replay.h"
#include "failing_alloc.h"
#include "pc_test.h"

enum { REQUESTS = 30000, IDS = 3000 };

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
    CHECK(pc_replay_init(r, &alloc, mode, capacity, weighted, seed) == PC_OK);
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
        CHECK(pc_replay_feed32(r, ids, NULL, REQUESTS) == PC_OK && pc_replay_valid(r));
        CHECK(r->counts.hits == lru_hits(capacity, false));
        pc_replay_destroy(r);
        r = replay_of(PC_LRU, capacity, true, 1);
        CHECK(pc_replay_feed32(r, ids, weights, REQUESTS) == PC_OK && pc_replay_valid(r));
        CHECK(r->counts.hits == lru_hits(capacity, true));
        pc_replay_destroy(r);
    }
}

static void feeding_in_pieces_or_wider_changes_nothing(void)
{
    static uint64_t wide[REQUESTS];
    make_trace(2);
    for (int i = 0; i < REQUESTS; i++)
        wide[i] = ids[i];
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++) {
        pc_replay *a = replay_of((pc_mode)mode, 300, false, 9), *b = replay_of((pc_mode)mode, 300, false, 9);
        CHECK(pc_replay_feed32(a, ids, NULL, REQUESTS) == PC_OK);
        for (size_t at = 0, piece = 1; at < REQUESTS; at += piece, piece = piece * 3 % 1009) {
            piece = piece < REQUESTS - at ? piece : REQUESTS - at;
            CHECK(pc_replay_feed64(b, wide + at, NULL, piece) == PC_OK && pc_replay_valid(b));
        }
        CHECK(a->counts.hits == b->counts.hits && a->counts.evictions == b->counts.evictions);
        pc_replay_destroy(a);
        pc_replay_destroy(b);
    }
}

static void every_request_is_accounted_for(void)
{
    make_trace(3);
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++)
        for (uint64_t capacity = 0; capacity < 3000; capacity = capacity * 4 + 30) {
            pc_replay *r = replay_of((pc_mode)mode, capacity, true, 9);
            CHECK(pc_replay_feed32(r, ids, weights, REQUESTS) == PC_OK && pc_replay_valid(r));
            pc_replay_counts c = r->counts;
            CHECK(c.requests == REQUESTS);
            CHECK(c.requests - c.hits == c.evictions + c.refusals + r->slots.live);
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
    CHECK(pc_replay_feed32(r, loop, NULL, REQUESTS * 4) == PC_OK);
    CHECK(pc_replay_feed32(lru, loop, NULL, REQUESTS * 4) == PC_OK);
    CHECK(lru->counts.hits == 0 && r->counts.hits > REQUESTS * 4 * 80 / 100); /* the optimum: 83 % */
    pc_replay_destroy(r);
    pc_replay_destroy(lru);
    r = replay_of(PC_ADAPTIVE, 1000, false, 4);
    CHECK(pc_replay_feed32(r, fresh, NULL, REQUESTS * 4) == PC_OK);
    CHECK(r->counts.hits > REQUESTS * 4 * 47 / 100); /* LRU: 50 % */
    pc_replay_destroy(r);
}

static void lack_of_memory_is_told(void)
{
    make_trace(4);
    failing_state state = {.allowance = 20};
    pc_alloc alloc = failing_alloc(&state);
    static pc_replay r;
    CHECK(pc_replay_init(&r, &alloc, PC_RANDOM, 100000, false, 1) == PC_OK);
    CHECK(pc_replay_feed32(&r, ids, NULL, REQUESTS) == PC_NO_MEMORY && pc_replay_valid(&r));
    state.allowance = -1;
    CHECK(pc_replay_feed32(&r, ids, NULL, REQUESTS) == PC_OK && pc_replay_valid(&r));
    pc_replay_destroy(&r);
    CHECK(state.blocks == 0);
}

int main(void)
{
    RUN(lru_is_exact);
    RUN(feeding_in_pieces_or_wider_changes_nothing);
    RUN(every_request_is_accounted_for);
    RUN(adaptive_is_near_the_better_of_two_worlds);
    RUN(lack_of_memory_is_told);
    return REPORT();
}
