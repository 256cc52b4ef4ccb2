/* The policy as an owner drives it: random calls in every mode, weighted or not, with failing memory, against a plain
 * record of what should be there. */
#include "../policy.h"
#include "failing_alloc.h"
#include "pc_test.h"

#include <string.h>

enum { KEYS = 600, NO_SLOT = -1 };

/* An owner: slots, policy, and which keys it believes to be there. */
typedef struct {
    failing_state memory;
    pc_slots slots;
    pc_policy policy;
    uint64_t random;
    uint32_t slot_of[KEYS];
    uint32_t key_of[4 * KEYS];
    uint32_t held;
    uint64_t evicted, refused;
} owner;

static uint64_t draw(owner *o, uint64_t below)
{
    return pc_test_random(&o->random) % below;
}

static uint32_t hash_of_key(uint32_t k)
{
    return (uint32_t)pc_mix64(k + 1);
}

static void owner_init(owner *o, pc_mode mode, uint64_t capacity, bool weighted, uint64_t seed)
{
    memset(o, 0, sizeof *o);
    o->memory.allowance = -1;
    o->random = seed;
    pc_alloc alloc = failing_alloc(&o->memory);
    CHECK(pc_slots_init(&o->slots, &alloc, 0) == PC_OK);
    CHECK(!weighted || pc_slots_want_weights(&o->slots) == PC_OK);
    CHECK(pc_policy_init(&o->policy, &o->slots, &alloc, mode, capacity, seed) == PC_OK);
    memset(o->slot_of, 0xff, sizeof o->slot_of);
}

static void owner_destroy(owner *o)
{
    pc_policy_destroy(&o->policy);
    pc_slots_destroy(&o->slots);
    CHECK(o->memory.blocks == 0);
}

static void forget(owner *o, uint32_t slot)
{
    uint32_t k = o->key_of[slot];
    CHECK(o->slot_of[k] == slot); /* it was there, and leaves once */
    o->slot_of[k] = PC_NIL;
    o->held--;
    pc_slots_give(&o->slots, slot);
}

static void evict(owner *o, uint32_t newcomer)
{
    for (uint32_t slot; (slot = pc_policy_victim(&o->policy)) != PC_NIL;) {
        CHECK(pc_list_weigh(&o->slots, slot) != 0); /* pinned ones stay */
        o->evicted++;
        o->refused += slot == newcomer;
        forget(o, slot);
    }
    CHECK(pc_policy_weight(&o->policy) <= o->policy.queues.capacity);
}

static void owner_insert(owner *o, uint32_t k, uint32_t weight)
{
    if (pc_slots_reserve(&o->slots) != PC_OK || pc_policy_reserve(&o->policy) != PC_OK)
        return;
    uint32_t slot = pc_slots_take(&o->slots, hash_of_key(k));
    if (o->slots.weight.size)
        *pc_slots_weight(&o->slots, slot) = weight;
    o->key_of[slot] = k;
    o->slot_of[k] = slot;
    o->held++;
    pc_policy_prefetch(&o->policy, hash_of_key(k));
    pc_policy_insert(&o->policy, slot);
    evict(o, slot);
}

static void owner_access(owner *o, uint32_t k, uint32_t weight)
{
    if (o->slot_of[k] != PC_NIL)
        pc_policy_note_hit(&o->policy, o->slot_of[k]);
    else
        owner_insert(o, k, weight);
}

static void owner_remove(owner *o, uint32_t k)
{
    uint32_t slot = o->slot_of[k];
    if (slot == PC_NIL)
        return;
    pc_policy_remove(&o->policy, slot);
    forget(o, slot);
}

static void check_walk(owner *o)
{
    static uint32_t order[4 * KEYS];
    uint32_t count = 0, slot;
    pc_policy_walk walk = pc_policy_walk_from(&o->policy, false);
    while ((slot = pc_policy_walk_next(&o->policy, &walk)) != PC_NIL)
        order[count++] = slot;
    CHECK(count == o->held);
    walk = pc_policy_walk_from(&o->policy, true);
    while ((slot = pc_policy_walk_next(&o->policy, &walk)) != PC_NIL)
        CHECK(count > 0 && order[--count] == slot && o->slot_of[o->key_of[slot]] == slot);
    CHECK(count == 0);
}

/* Mostly small weights, now and then 0 (pinned) or a heavy one. */
static uint32_t some_weight(owner *o)
{
    uint64_t r = draw(o, 100);
    return r < 2 ? 0 : r < 95 ? (uint32_t)(1 + draw(o, 9)) : (uint32_t)(1 + draw(o, 60));
}

static uint32_t some_key(owner *o)
{
    return (uint32_t)(draw(o, 2) ? draw(o, 40) : draw(o, KEYS));
}

static void random_call(owner *o)
{
    uint64_t what = draw(o, 1000);
    bool weighted = o->slots.weight.size != 0;
    uint32_t k = some_key(o), weight = some_weight(o);
    if (what < 900) {
        owner_access(o, k, weight);
    } else if (what < 950) {
        owner_remove(o, k);
    } else if (what < 985 && weighted && o->slot_of[k] != PC_NIL) {
        pc_policy_reweigh(&o->policy, o->slot_of[k], weight);
        evict(o, PC_NIL);
    } else if (what < 990) {
        pc_policy_set_mode(&o->policy, (pc_mode)draw(o, 4));
    } else if (what < 995) {
        pc_policy_resize(&o->policy, draw(o, 10) == 0 ? PC_UNBOUNDED : 61 + draw(o, weighted ? 2000 : 400));
        evict(o, PC_NIL);
    } else {
        check_walk(o);
    }
}

static void random_calls_keep_everything_consistent(void)
{
    for (uint64_t seed = 0; seed < 16; seed++) {
        static owner o;
        owner_init(&o, (pc_mode)(seed % 4), 200, seed & 4, seed);
        for (int i = 0; i < 6000; i++) {
            random_call(&o);
            if (i % 8 == 0)
                CHECK(pc_slots_valid(&o.slots) && pc_policy_valid(&o.policy));
        }
        CHECK(o.evicted > 100);
        owner_destroy(&o);
    }
}

static void lack_of_memory_changes_nothing(void)
{
    for (uint64_t seed = 0; seed < 16; seed++) {
        static owner o;
        owner_init(&o, (pc_mode)(seed % 4), 200, seed & 4, seed);
        for (int i = 0; i < 3000; i++) {
            o.memory.allowance = draw(&o, 4) ? -1 : (long)draw(&o, 6);
            random_call(&o);
            if (i % 8 == 0)
                CHECK(pc_slots_valid(&o.slots) && pc_policy_valid(&o.policy));
        }
        owner_destroy(&o);
    }
    for (long allowance = 0; allowance < 40; allowance++) {
        failing_state state = {.allowance = allowance};
        pc_alloc alloc = failing_alloc(&state);
        pc_slots slots;
        static pc_policy p;
        CHECK(pc_slots_init(&slots, &alloc, 0) == PC_OK);
        pc_status status = pc_policy_init(&p, &slots, &alloc, PC_ADAPTIVE, 1000, 1);
        CHECK(status == (allowance < 6 ? PC_NO_MEMORY : PC_OK)); /* two sketches, three ghosts, the duel */
        pc_policy_destroy(&p);
        CHECK(state.blocks == 0);
    }
}

static void same_seed_and_calls_give_the_same_victims(void)
{
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++) {
        static owner a, b;
        owner_init(&a, (pc_mode)mode, 150, false, 5);
        owner_init(&b, (pc_mode)mode, 150, false, 5);
        for (int i = 0; i < 20000; i++) {
            random_call(&a);
            random_call(&b);
            if (i % 64 == 0)
                CHECK(memcmp(a.slot_of, b.slot_of, sizeof a.slot_of) == 0);
        }
        owner_destroy(&a);
        owner_destroy(&b);
    }
}

static void lru_evicts_what_was_used_longest_ago(void)
{
    static owner o;
    static uint64_t used[KEYS];
    owner_init(&o, PC_LRU, 100, false, 3);
    for (uint64_t now = 1; now < 20000; now++) {
        uint32_t k = some_key(&o), oldest = PC_NIL;
        for (uint32_t i = 0; i < KEYS; i++)
            if (o.slot_of[i] != PC_NIL && (oldest == PC_NIL || used[i] < used[oldest]))
                oldest = i;
        bool full = o.held == 100 && o.slot_of[k] == PC_NIL;
        used[k] = now;
        owner_access(&o, k, 1);
        CHECK(o.slot_of[k] != PC_NIL && (!full || o.slot_of[oldest] == PC_NIL));
    }
    CHECK(pc_policy_ghost_age(&o.policy, hash_of_key(0)) == UINT32_MAX && pc_policy_bytes(&o.policy) == 0);
    owner_destroy(&o);
}

static void random_is_uniform_and_hits_write_nothing(void)
{
    enum { HELD = 20, ROUNDS = 20000 };
    static owner o;
    uint32_t evicted[HELD] = {0};
    owner_init(&o, PC_RANDOM, HELD, false, 11);
    for (uint32_t k = 0; k < HELD; k++)
        owner_access(&o, k, 1);
    pc_node before = *pc_slots_node(&o.slots, 5);
    for (int i = 0; i < 200; i++)
        pc_policy_note_hit(&o.policy, 5);
    CHECK(memcmp(&before, pc_slots_node(&o.slots, 5), sizeof before) == 0 && o.policy.noted == 0);
    for (int i = 0; i < ROUNDS; i++) { /* a 21st key comes; whoever leaves comes back in its place */
        owner_access(&o, HELD, 1);
        uint32_t gone = 0;
        while (o.slot_of[gone] != PC_NIL)
            gone++;
        CHECK(gone != HELD); /* never the newcomer itself */
        evicted[gone]++;
        owner_remove(&o, HELD);
        owner_access(&o, gone, 1);
    }
    double chi = 0, expected = (double)ROUNDS / HELD;
    for (int k = 0; k < HELD; k++)
        chi += (evicted[k] - expected) * (evicted[k] - expected) / expected;
    CHECK(chi < 45); /* 19 degrees of freedom: 1 in 1000 */
    owner_destroy(&o);
}

static void frequent_keys_survive_a_scan_under_lfu(void)
{
    static owner o;
    owner_init(&o, PC_LFU, 100, false, 3);
    for (int round = 0; round < 6; round++)
        for (uint32_t k = 0; k < 80; k++)
            owner_access(&o, k, 1);
    for (uint32_t k = 80; k < KEYS; k++)
        owner_access(&o, k, 1);
    uint32_t survivors = 0;
    for (uint32_t k = 0; k < 80; k++)
        survivors += o.slot_of[k] != PC_NIL;
    CHECK(survivors == 80 && o.refused + o.evicted > 0);
    CHECK(pc_policy_ghost_age(&o.policy, hash_of_key(KEYS - 3)) < 10); /* refused a moment ago */
    CHECK(pc_policy_frequency(&o.policy, o.slot_of[0]) == 6);
    owner_destroy(&o);
}

/* A heavy newcomer must be worth all that it would push out. */
static void heavy_entries_must_outweigh_their_victims(void)
{
    static owner o;
    owner_init(&o, PC_LFU, 100, true, 3);
    for (int round = 0; round < 3; round++)
        for (uint32_t k = 0; k < 100; k++)
            owner_access(&o, k, 1);
    owner_access(&o, 200, 50); /* asked for once against 150 times */
    CHECK(o.slot_of[200] == PC_NIL && o.refused == 1 && o.held == 99); /* the window's entry lost its own contest */
    for (int i = 0; i < 8; i++)
        owner_access(&o, 201, 2); /* 8 times against 3 + 3 */
    for (uint32_t k = 202; k < 210; k++)
        owner_access(&o, k, 1);
    CHECK(o.slot_of[201] != PC_NIL && pc_policy_weight(&o.policy) == 100);
    owner_destroy(&o);
}

static void pinned_entries_cost_a_victim_scan_nothing(void)
{
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++) {
        static owner o;
        owner_init(&o, (pc_mode)mode, 10, true, 3);
        for (uint32_t k = 0; k < 300; k++)
            owner_access(&o, k, 0);
        for (uint32_t k = 300; k < KEYS; k++)
            owner_access(&o, k, 1);
        CHECK(o.held == 310 && pc_policy_weight(&o.policy) == 10);
        CHECK(pc_queues_list(&o.policy.queues, PC_QUEUE_PINNED)->count == 300 && pc_policy_valid(&o.policy));
        owner_destroy(&o);
    }
}

static void a_switch_of_the_mode_loses_nothing_and_moves_little(void)
{
    static owner o;
    static uint8_t before[4 * KEYS];
    owner_init(&o, PC_LRU, 500, false, 3);
    for (uint32_t k = 0; k < 500; k++)
        owner_access(&o, k, 1);
    for (int i = 0; i < 60; i++) {
        CHECK(pc_policy_set_mode(&o.policy, (pc_mode)(i % 4)) == PC_OK);
        CHECK(o.held == 500 && pc_policy_valid(&o.policy));
        for (int call = 0; call < i % 12; call++) {
            unsigned moved = 0;
            for (uint32_t slot = 0; slot < o.slots.used; slot++)
                before[slot] = pc_slots_node(&o.slots, slot)->queue;
            owner_remove(&o, (uint32_t)(call + 7));
            owner_access(&o, (uint32_t)(call + 7), 1);
            for (uint32_t slot = 0; slot < o.slots.used; slot++)
                moved += before[slot] != pc_slots_node(&o.slots, slot)->queue;
            CHECK(moved <= 2 * PC_QUEUES_MOVES + 1 && o.held == 500 && o.evicted == 0);
        }
    }
    owner_destroy(&o);
}

/* Where the number of entries is not known, sketch and ghosts follow it. */
static void memory_follows_the_number_of_entries(void)
{
    enum { ENTRIES = 100000 };
    pc_alloc alloc = pc_alloc_system();
    pc_slots slots;
    static pc_policy p;
    CHECK(pc_slots_init(&slots, &alloc, 0) == PC_OK && pc_slots_want_weights(&slots) == PC_OK);
    CHECK(pc_policy_init(&p, &slots, &alloc, PC_ADAPTIVE, UINT64_C(1) << 40, 1) == PC_OK);
    CHECK(pc_policy_bytes(&p) < 140000);
    for (uint32_t k = 0; k < ENTRIES; k++) {
        CHECK(pc_slots_reserve(&slots) == PC_OK && pc_policy_reserve(&p) == PC_OK);
        uint32_t slot = pc_slots_take(&slots, hash_of_key(k));
        *pc_slots_weight(&slots, slot) = 1000;
        pc_policy_insert(&p, slot);
    }
    CHECK(p.covered >= ENTRIES && p.covered < 2 * ENTRIES && pc_policy_valid(&p));
    CHECK(pc_policy_bytes(&p) < 17 * p.covered + 131072);
    CHECK(pc_policy_explain(&p).sample_rate >= ENTRIES / PC_SHADOW_MAX);
    pc_policy_destroy(&p);
    pc_slots_destroy(&slots);
}

static void what_was_saved_comes_back_as_it_was(void)
{
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++) {
        static owner a, b;
        owner_init(&a, (pc_mode)mode, 300, false, 3);
        owner_init(&b, (pc_mode)mode, 300, false, 4);
        for (int i = 0; i < 5000; i++)
            owner_access(&a, some_key(&a), 1);
        uint32_t slot, copy;
        pc_policy_walk walk = pc_policy_walk_from(&a.policy, false), again;
        while ((slot = pc_policy_walk_next(&a.policy, &walk)) != PC_NIL) {
            uint32_t k = a.key_of[slot], hash = hash_of_key(k);
            CHECK(pc_slots_reserve(&b.slots) == PC_OK && pc_policy_reserve(&b.policy) == PC_OK);
            copy = pc_slots_take(&b.slots, hash);
            b.key_of[copy] = k;
            pc_policy_restore(&b.policy, copy, pc_slots_node(&a.slots, slot)->queue,
                              pc_policy_frequency(&a.policy, slot));
            CHECK(pc_policy_frequency(&b.policy, copy) == pc_policy_frequency(&a.policy, slot));
        }
        pc_queues_play(&b.policy.queues, a.policy.queues.arm); /* the order of the walk depends on it */
        walk = pc_policy_walk_from(&a.policy, false);
        again = pc_policy_walk_from(&b.policy, false);
        while ((slot = pc_policy_walk_next(&a.policy, &walk)) != PC_NIL) {
            copy = pc_policy_walk_next(&b.policy, &again);
            CHECK(copy != PC_NIL && a.key_of[slot] == b.key_of[copy]);
        }
        owner_destroy(&a);
        owner_destroy(&b);
    }
}

static void an_emptied_cache_starts_again(void)
{
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++) {
        static owner o;
        owner_init(&o, (pc_mode)mode, 100, false, 3);
        for (int i = 0; i < 2000; i++)
            owner_access(&o, some_key(&o), 1);
        pc_slots gone;
        pc_slots_detach(&o.slots, &gone);
        pc_slots_destroy(&gone);
        pc_policy_clear(&o.policy);
        memset(o.slot_of, 0xff, sizeof o.slot_of);
        o.held = 0;
        CHECK(pc_policy_valid(&o.policy) && pc_policy_weight(&o.policy) == 0);
        for (int i = 0; i < 2000; i++)
            owner_access(&o, some_key(&o), 1);
        CHECK(o.held == 100 && pc_policy_valid(&o.policy));
        owner_destroy(&o);
    }
}

static void a_capacity_of_nothing_keeps_nothing(void)
{
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++)
        for (uint64_t capacity = 0; capacity < 3; capacity++) {
            static owner o;
            owner_init(&o, (pc_mode)mode, capacity, false, 3);
            for (int i = 0; i < 500; i++)
                owner_access(&o, some_key(&o), 1);
            CHECK(o.held == capacity && pc_policy_valid(&o.policy));
            owner_destroy(&o);
        }
}

int main(void)
{
    RUN(random_calls_keep_everything_consistent);
    RUN(lack_of_memory_changes_nothing);
    RUN(same_seed_and_calls_give_the_same_victims);
    RUN(lru_evicts_what_was_used_longest_ago);
    RUN(random_is_uniform_and_hits_write_nothing);
    RUN(frequent_keys_survive_a_scan_under_lfu);
    RUN(heavy_entries_must_outweigh_their_victims);
    RUN(pinned_entries_cost_a_victim_scan_nothing);
    RUN(a_switch_of_the_mode_loses_nothing_and_moves_little);
    RUN(memory_follows_the_number_of_entries);
    RUN(what_was_saved_comes_back_as_it_was);
    RUN(an_emptied_cache_starts_again);
    RUN(a_capacity_of_nothing_keeps_nothing);
    return REPORT();
}
