/* Guesses: history is replayed at the right distance, contexts do not mix, chance is not believed, memory is bounded. */
#include "../predict.h"
#include "failing_alloc.h"
#include "pc_test.h"

#include <math.h>
#include <string.h>

static const uint64_t SEED[2] = {UINT64_C(0x1234567), UINT64_C(0x9e3779b97f4a7c15)};

static pc_predict made(uint32_t size, uint32_t rows, uint32_t visits, uint32_t contexts)
{
    pc_alloc alloc = pc_alloc_system();
    pc_predict p;
    CHECK(pc_predict_init(&p, &alloc, size, rows, visits, contexts, 0.7f, SEED) == PC_OK);
    return p;
}

/* --- a cache of plain LRU that loads what is predicted, with a delay ------------------------------------------------ */

enum { KEYS = 4096 };

typedef struct {
    uint32_t stamp[KEYS]; /* of the latest use, 0 for not in the cache */
    uint32_t key_of[KEYS + 64];
    struct {
        pc_foreseen what;
        uint32_t due;
    } flight[1024];
    uint32_t size, count, clock, flown, landed, delay;
    uint64_t misses, visits;
} world;

static void evict_oldest(world *w)
{
    uint32_t oldest = KEYS;
    for (uint32_t key = 0; key < KEYS; key++)
        if (w->stamp[key] != 0 && (oldest == KEYS || w->stamp[key] < w->stamp[oldest]))
            oldest = key;
    w->stamp[oldest] = 0;
    w->count--;
}

static void bring_in(world *w, uint32_t key)
{
    if (w->stamp[key] == 0 && w->count++ == w->size)
        evict_oldest(w);
    w->stamp[key] = ++w->clock;
}

static void land(world *w, pc_predict *p, uint32_t now)
{
    for (; w->landed != w->flown && w->flight[w->landed % 1024].due <= now; w->landed++) {
        pc_foreseen *what = &w->flight[w->landed % 1024].what;
        uint32_t leaves = pc_predict_arrive(p, what);
        if (leaves != 0 && w->stamp[w->key_of[leaves]] != 0) {
            w->stamp[w->key_of[leaves]] = 0;
            w->count--;
        }
        if (w->stamp[w->key_of[what->row]] == 0)
            bring_in(w, w->key_of[what->row]);
    }
}

static void ask(world *w, pc_predict *p, uint32_t key, uint64_t context)
{
    bool hit = w->stamp[key] != 0;
    land(w, p, p->now);
    w->misses += !hit;
    w->visits++;
    bring_in(w, key);
    pc_visited visited = pc_predict_visit(p, pc_mix64(key + 1), context, hit);
    w->key_of[visited.row] = key;
    pc_foreseen found[10];
    unsigned count = pc_predict_open(p) ? pc_predict_list(p, found, 10) : 0;
    for (unsigned i = 0; i < count; i++) {
        CHECK(found[i].confidence > 0.7f && found[i].confidence <= 1);
        CHECK(i == 0 || found[i].confidence <= found[i - 1].confidence);
        if (w->stamp[w->key_of[found[i].row]] != 0)
            pc_predict_present(p, &found[i]);
        else if (pc_predict_begin(p, &found[i])) {
            CHECK(!pc_predict_begin(p, &found[i]));
            w->flight[w->flown % 1024].what = found[i];
            w->flight[w->flown++ % 1024].due = p->now + w->delay;
        }
    }
}

static void a_loop_that_is_larger_than_the_cache_is_foreseen(void)
{
    static world w;
    memset(&w, 0, sizeof w);
    w.size = 100, w.delay = 30;
    pc_predict p = made(100, 4096, 8192, 1);
    for (int i = 0; i < 20000; i++)
        ask(&w, &p, (uint32_t)i % 1000, 0);
    CHECK(w.misses < w.visits / 5); /* LRU alone misses always */
    CHECK(p.counts.used > p.counts.issued * 9 / 10);
    CHECK(fabsf(p.lead - 30) < 3);
    CHECK(pc_predict_valid(&p));
    pc_predict_destroy(&p);
}

static void chance_is_not_believed(void)
{
    static world w;
    memset(&w, 0, sizeof w);
    w.size = 100, w.delay = 30;
    pc_predict p = made(100, 4096, 8192, 1);
    uint64_t seed = 5;
    for (int i = 0; i < 30000; i++)
        ask(&w, &p, (uint32_t)(pc_test_random(&seed) % 1000), 0);
    CHECK(p.counts.issued < 100);
    CHECK(pc_predict_valid(&p));
    pc_predict_destroy(&p);
}

/* Clients that run through loops of their own, and whose turn comes by chance. */
static double missed_of_interleaved(bool told_apart)
{
    static world w;
    memset(&w, 0, sizeof w);
    w.size = 300, w.delay = 5;
    pc_predict p = made(300, 8192, 16384, told_apart ? 64 : 1);
    uint64_t seed = 9;
    uint32_t at[8] = {0};
    for (int i = 0; i < 60000; i++) {
        uint32_t client = (uint32_t)(pc_test_random(&seed) % 8);
        ask(&w, &p, client * 400 + at[client]++ % 400, client * UINT64_C(0x10001));
    }
    CHECK(pc_predict_valid(&p));
    pc_predict_destroy(&p);
    return (double)w.misses / (double)w.visits;
}

static void contexts_are_told_apart(void)
{
    double apart = missed_of_interleaved(true), mixed = missed_of_interleaved(false);
    CHECK(apart < 0.6);
    CHECK(apart < mixed);
}

static void what_is_never_used_is_given_up(void)
{
    pc_predict p = made(200, 4096, 8192, 1);
    uint64_t given_up = 0;
    for (uint32_t i = 0; i < 60000; i++) { /* a predictable loop, but nothing that is loaded stays: always a miss */
        pc_predict_visit(&p, pc_mix64(i % 1000 + 1), 0, 0);
        pc_foreseen found[10];
        unsigned count = pc_predict_open(&p) ? pc_predict_list(&p, found, 10) : 0;
        for (unsigned k = 0; k < count; k++)
            if (pc_predict_begin(&p, &found[k]))
                given_up += pc_predict_arrive(&p, &found[k]) != 0;
    }
    CHECK(p.counts.issued < 6000); /* of 60 000; what is forgiven is tried anew */
    CHECK(p.counts.used == 0 && p.counts.wasted > 0);
    CHECK(pc_predict_precision(&p) < 0.5f || p.kept.count < 1);
    CHECK(pc_predict_valid(&p));
    pc_predict_destroy(&p);
}

/* --- the parts ------------------------------------------------------------------------------------------------------ */

static void history_keeps_contexts_in_order(void)
{
    pc_alloc alloc = pc_alloc_system();
    pc_history h;
    CHECK(pc_history_init(&h, &alloc, 1000, 4) == PC_OK);
    uint32_t first[4] = {0}, count[4] = {0};
    uint64_t seed = 3;
    for (uint32_t i = 0; i < 900; i++) {
        uint32_t context = (uint32_t)(pc_test_random(&seed) % 4);
        uint32_t at = pc_history_append(&h, context, count[context] + 1, context, 0);
        if (count[context]++ == 0)
            first[context] = at;
        CHECK(pc_history_holds(&h, at));
        CHECK(pc_history_after(&h, at, 1) == 0);
        CHECK(pc_history_distance(&h, first[context], at) == (int32_t)count[context] - 1);
    }
    for (uint32_t context = 0; context < 4; context++)
        for (uint32_t steps = 0; steps < count[context]; steps += 7) {
            uint32_t at = pc_history_after(&h, first[context], steps);
            CHECK(pc_history_visit(&h, at)->row == steps + 1 && pc_history_visit(&h, at)->tag == context);
        }
    CHECK(pc_history_distance(&h, first[0], first[1]) == PC_APART);
    CHECK(pc_history_valid(&h));
    for (uint32_t i = 0; i < 5000; i++) /* one context takes all chunks; the others find theirs gone */
        pc_history_append(&h, 0, 1, 0, 0);
    CHECK(!pc_history_holds(&h, first[1]) && pc_history_after(&h, first[1], 1) == 0);
    pc_history_append(&h, 1, 1, 1, first[1]);
    CHECK(pc_history_valid(&h));
    pc_history_destroy(&h);
}

static void numbers_may_begin_anew(void)
{
    pc_alloc alloc = pc_alloc_system();
    pc_history h;
    CHECK(pc_history_init(&h, &alloc, 500, 2) == PC_OK);
    h.sequence = (1u << 26) - 3; /* three chunks before the end of the numbers */
    uint32_t at = pc_history_append(&h, 0, 7, 7, 0);
    for (int i = 0; i < 300; i++)
        pc_history_append(&h, (uint32_t)i % 2, 1, 1, 0);
    CHECK(pc_history_holds(&h, at) && pc_history_distance(&h, at, pc_history_after(&h, at, 100)) == 100);
    CHECK(pc_history_valid(&h));
    pc_history_destroy(&h);

    pc_predict p = made(16, 256, 512, 2);
    p.now = UINT32_MAX - 5000;
    p.guess_next = p.soon_next = p.late_next = UINT32_MAX - 300;
    for (uint32_t i = 0; i < 20000; i++) {
        pc_predict_visit(&p, pc_mix64(i % 100 + 1), i % 2, -1);
        if (i % 512 == 0)
            CHECK(pc_predict_valid(&p));
    }
    pc_predict_destroy(&p);
}

static void runs_that_interleave_are_followed(void)
{
    pc_alloc alloc = pc_alloc_system();
    pc_history h;
    CHECK(pc_history_init(&h, &alloc, 4096, 1) == PC_OK);
    for (uint32_t i = 0; i < 2000; i++)
        pc_history_append(&h, 0, i, i, 0);
    uint32_t base = PC_CHUNK; /* the first chunk has number 1 */
    for (uint32_t i = 1; i <= 100; i++) {
        CHECK(pc_history_follow(&h, 0, base + i) == i);
        CHECK(pc_history_follow(&h, 0, base + 500 + 2 * i) == i);      /* every other visit is left out */
        CHECK(pc_history_follow(&h, 0, base + 1000 + 9 * (i % 99)) == 1); /* too far apart */
    }
    pc_history_destroy(&h);
}

static void a_judge_learns_what_comes_true(void)
{
    static pc_judge j;
    memset(&j, 0, sizeof j);
    pc_traits good = {.run = 4, .pair = 6, .due = 8}, bad = {.run = 0, .pair = 1, .due = 3};
    uint64_t seed = 1;
    for (int i = 0; i < 4000; i++) {
        bool is_good = pc_test_random(&seed) % 2, right = pc_test_random(&seed) % 10 < (is_good ? 9 : 1);
        const pc_traits *t = is_good ? &good : &bad;
        unsigned grade = pc_judge_grade(pc_judge_score(&j, t));
        pc_judge_soon(&j, t, grade, right);
        pc_judge_late(&j, grade, right);
    }
    float trusted = pc_judge_confidence(&j, pc_judge_grade(pc_judge_score(&j, &good)));
    float doubted = pc_judge_confidence(&j, pc_judge_grade(pc_judge_score(&j, &bad)));
    CHECK(trusted > 0.8f && trusted < 0.93f);
    CHECK(doubted < 0.2f);
    CHECK(pc_judge_valid(&j));
    j.weights[1][3] = NAN;
    CHECK(!pc_judge_valid(&j));
    j.weights[1][3] = 0;
    j.soon[5] = (pc_tally){10, 11};
    CHECK(!pc_judge_valid(&j));
    j.soon[5] = (pc_tally){INFINITY, 1};
    CHECK(!pc_judge_valid(&j));
}

static void bounds_are_those_of_wilson(void)
{
    for (int n = 4; n < 400; n += 3)
        for (int right = 0; right <= n; right += 5) {
            double share = (double)right / n;
            double exact = (share + 0.5 / n - sqrt(share * (1 - share) / n + 0.25 / n / n)) / (1 + 1.0 / n);
            pc_tally tally = {(float)n, (float)right};
            CHECK(fabs((double)pc_tally_bound(&tally) - exact) < 2e-4);
        }
    CHECK(pc_tally_bound(&(pc_tally){3, 3}) == 0);
}

static void rows_are_given_to_new_keys(void)
{
    pc_predict p = made(16, 100, 500, 1);
    uint64_t seed = 2;
    for (int i = 0; i < 20000; i++) {
        uint64_t hash = pc_mix64(pc_test_random(&seed) % 300);
        bool known = pc_predict_find(&p, hash) != 0;
        pc_visited visited = pc_predict_visit(&p, hash, 0, (int)(pc_test_random(&seed) % 3) - 1);
        CHECK(visited.fresh == !known && visited.row >= 1 && visited.row <= 100);
        CHECK(pc_predict_find(&p, hash) == visited.row);
    }
    CHECK(p.used == 100 && pc_predict_valid(&p));
    uint32_t rows[256];
    uint32_t count = pc_predict_recent(&p, rows, 256);
    CHECK(count > 32 && count <= 256);
    for (uint32_t i = 0; i < count; i++)
        CHECK(rows[i] >= 1 && rows[i] <= 100);
    pc_predict_destroy(&p);
}

/* Whatever is told, also in an order that makes no sense, leaves all consistent. */
static void nonsense_is_survived(void)
{
    pc_predict p = made(40, 128, 1024, 4);
    uint64_t seed = 11;
    pc_foreseen kept[64] = {{0}};
    for (int i = 0; i < 60000; i++) {
        uint64_t chance = pc_test_random(&seed);
        pc_foreseen *f = &kept[chance % 64];
        if (chance >> 8 & 3)
            pc_predict_visit(&p, pc_mix64((uint64_t)i % 97 + (chance >> 20 & 1)), chance >> 30 & 3,
                             (int)(chance >> 40 & 1));
        else if (chance >> 10 & 1)
            pc_predict_list(&p, kept, 64);
        else if (chance >> 11 & 1)
            pc_predict_begin(&p, f);
        else if (chance >> 12 & 1) {
            f->made -= chance >> 61 ? 0 : (uint32_t)(chance >> 50); /* not when it was begun */
            pc_predict_arrive(&p, f);
        } else if (chance >> 13 & 1)
            pc_predict_fail(&p, f);
        else
            pc_predict_present(&p, f);
        if (i % 64 == 0)
            CHECK(pc_predict_valid(&p));
    }
    pc_predict_destroy(&p);
}

static void lack_of_memory_is_told(void)
{
    for (long allowance = 0; allowance < 8; allowance++) {
        failing_state state = {.allowance = allowance};
        pc_alloc alloc = failing_alloc(&state);
        pc_predict p;
        pc_status status = pc_predict_init(&p, &alloc, 100, 100, 100, 1, 0.7f, SEED);
        CHECK(status == (allowance < 7 ? PC_NO_MEMORY : PC_OK));
        pc_predict_destroy(&p);
        CHECK(state.blocks == 0);
    }
}

int main(void)
{
    RUN(a_loop_that_is_larger_than_the_cache_is_foreseen);
    RUN(chance_is_not_believed);
    RUN(contexts_are_told_apart);
    RUN(what_is_never_used_is_given_up);
    RUN(history_keeps_contexts_in_order);
    RUN(numbers_may_begin_anew);
    RUN(runs_that_interleave_are_followed);
    RUN(a_judge_learns_what_comes_true);
    RUN(bounds_are_those_of_wilson);
    RUN(rows_are_given_to_new_keys);
    RUN(nonsense_is_survived);
    RUN(lack_of_memory_is_told);
    return REPORT();
}
