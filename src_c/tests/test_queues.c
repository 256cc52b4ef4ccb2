/* The four arms against a slow model that is written from their pseudo-code: every victim must be the same. */
#include "../queues.h"
#include "pc_test.h"

#include <string.h>

enum { KEYS = 400, ROOM = 4096 };

/* ---- The model: lists are arrays, oldest first; unit weights; switches settle as the text says ---- */

typedef struct {
    uint32_t at[ROOM];
    int count;
} model_list;

typedef struct {
    model_list w, p, m;
    uint32_t stamp[ROOM]; /* by slot */
    uint32_t hash[ROOM];
    uint32_t clock;
    int capacity, window, protected;
    pc_arm arm;
    bool settling;
    pc_sketch *sketch;
    pc_ghost ghost;
    pc_queues *luck; /* the model borrows the random numbers of its own second queues */
} model;

static void append(model_list *l, uint32_t slot)
{
    l->at[l->count++] = slot;
}

static bool take_out(model_list *l, uint32_t slot)
{
    for (int i = 0; i < l->count; i++)
        if (l->at[i] == slot) {
            memmove(&l->at[i], &l->at[i + 1], (size_t)(l->count - i - 1) * sizeof l->at[0]);
            l->count--;
            return true;
        }
    return false;
}

static uint32_t pop(model_list *l)
{
    uint32_t slot = l->at[0];
    take_out(l, slot);
    return slot;
}

static model_list *main_list(model *m)
{
    return m->p.count ? &m->p : &m->m;
}

static int main_count(const model *m)
{
    return m->p.count + m->m.count;
}

static int total(const model *m)
{
    return m->w.count + main_count(m);
}

static bool later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static void model_play(model *m, pc_arm arm)
{
    m->arm = arm;
    m->window = arm == PC_ARM_LRU ? m->capacity : (int)(pc_arm_window(arm) * m->capacity + 0.5);
    if (arm != PC_ARM_LRU && m->window < 1)
        m->window = 1;
    if (arm != PC_ARM_LRU && m->window > m->capacity - 1)
        m->window = m->capacity - 1;
    m->protected = arm == PC_ARM_LIRS ? ROOM : (m->capacity - m->window) * 4 / 5;
    m->settling = true;
}

static void model_settle(model *m)
{
    for (int i = 0; m->settling && i < 64; i++) {
        if (m->m.count > m->protected)
            append(&m->p, pop(&m->m));
        else if (m->w.count > m->window)
            append(&m->p, pop(&m->w));
        else if (m->w.count < m->window && total(m) >= m->capacity && main_count(m))
            append(&m->w, pop(main_list(m)));
        else
            m->settling = false;
    }
}

static void model_hit(model *m, uint32_t x)
{
    model_settle(m);
    bool lirs = m->arm == PC_ARM_LIRS, lru = m->arm == PC_ARM_LRU;
    if (take_out(&m->w, x)) {
        bool hot = lirs && main_count(m) && later(m->stamp[x], m->stamp[main_list(m)->at[0]]);
        append(hot ? &m->m : &m->w, x);
        while (hot && main_count(m) > m->capacity - m->window)
            append(&m->w, pop(main_list(m)));
    } else if (take_out(&m->p, x)) {
        append(!lru ? &m->m : m->w.count < m->window ? &m->w : &m->p, x);
        while (!lirs && !lru && m->m.count > m->protected)
            append(&m->p, pop(&m->m));
    } else {
        take_out(&m->m, x);
        append(lru && m->w.count < m->window ? &m->w : &m->m, x);
    }
    m->stamp[x] = m->clock;
}

static unsigned frequency(const model *m, uint32_t slot)
{
    return pc_sketch_estimate(m->sketch, m->hash[slot]);
}

static bool model_admits(model *m, uint32_t candidate, uint32_t victim)
{
    if (frequency(m, candidate) > frequency(m, victim))
        return true;
    return frequency(m, candidate) >= 6 && (pc_queues_draw(m->luck) & 127) == 0;
}

static void model_miss_lirs(model *m, uint32_t x, bool ghost, uint32_t seen, uint32_t *victim)
{
    if (total(m) >= m->capacity) {
        if (m->w.count == 0)
            append(&m->w, pop(main_list(m)));
        *victim = pop(&m->w);
    }
    bool filling = total(m) < m->capacity && main_count(m) < m->capacity - m->window && *victim == PC_NIL;
    bool hot = ghost && main_count(m) && later(seen, m->stamp[main_list(m)->at[0]]);
    append(filling || hot ? &m->m : &m->w, x);
    while (main_count(m) > m->capacity - m->window)
        append(&m->w, pop(main_list(m)));
}

static void model_miss_other(model *m, uint32_t x, bool ghost, uint32_t seen, uint32_t *victim)
{
    bool full = total(m) >= m->capacity;
    bool fresh = (m->p.count && later(seen, m->stamp[m->p.at[0]])) || (m->m.count && later(seen, m->stamp[m->m.at[0]]));
    append(m->arm == PC_ARM_TINY20 && ghost && fresh ? &m->p : &m->w, x);
    if (!full) {
        while (m->w.count > m->window)
            append(&m->p, pop(&m->w));
        return;
    }
    if (m->w.count <= m->window && main_count(m)) {
        *victim = pop(main_list(m));
    } else if (main_count(m) == 0 || m->arm == PC_ARM_LRU) {
        *victim = pop(&m->w);
    } else {
        uint32_t candidate = pop(&m->w);
        bool admitted = model_admits(m, candidate, main_list(m)->at[0]);
        *victim = admitted ? pop(main_list(m)) : candidate;
        if (admitted)
            append(&m->p, candidate);
    }
}

static uint32_t model_miss(model *m, uint32_t x, uint32_t hash)
{
    uint32_t victim = PC_NIL, seen = 0;
    model_settle(m);
    m->clock++;
    m->hash[x] = hash;
    bool ghost = pc_ghost_take(&m->ghost, hash, m->clock, &seen);
    if (m->arm == PC_ARM_LIRS)
        model_miss_lirs(m, x, ghost, seen, &victim);
    else
        model_miss_other(m, x, ghost, seen, &victim);
    if (victim != PC_NIL)
        pc_ghost_put(&m->ghost, m->hash[victim], m->stamp[victim], m->clock);
    m->stamp[x] = m->clock;
    return victim;
}

/* ---- Both side by side ---- */

typedef struct {
    pc_slots slots;
    pc_sketch sketch;
    pc_ghost ghost;
    pc_queues queues, luck;
    model model;
    uint32_t slot_of[KEYS]; /* PC_NIL when the key is not held */
    uint32_t key_of[ROOM];
} pair;

static void pair_init(pair *p, int capacity, pc_arm arm)
{
    pc_alloc alloc = pc_alloc_system();
    memset(p, 0, sizeof *p);
    CHECK(pc_slots_init(&p->slots, &alloc, 0) == PC_OK);
    CHECK(pc_sketch_init(&p->sketch, &alloc, (uint64_t)capacity, 64) == PC_OK);
    CHECK(pc_ghost_init(&p->ghost, &alloc, (uint64_t)capacity) == PC_OK);
    CHECK(pc_ghost_init(&p->model.ghost, &alloc, (uint64_t)capacity) == PC_OK);
    pc_queues_init(&p->queues, &p->slots, &p->sketch, &p->ghost, (uint64_t)capacity, 99);
    p->luck = p->queues;
    p->model.luck = &p->luck;
    p->model.sketch = &p->sketch;
    p->model.capacity = capacity;
    p->queues.clock = p->model.clock = UINT32_MAX - 3000; /* wraps on the way */
    pc_queues_play(&p->queues, arm);
    model_play(&p->model, arm);
    memset(p->slot_of, 0xff, sizeof p->slot_of);
}

static void pair_destroy(pair *p)
{
    pc_slots_destroy(&p->slots);
    pc_sketch_destroy(&p->sketch);
    pc_ghost_destroy(&p->ghost);
    pc_ghost_destroy(&p->model.ghost);
}

static void forget(pair *p, uint32_t slot)
{
    p->slot_of[p->key_of[slot]] = PC_NIL;
    pc_slots_give(&p->slots, slot);
}

static void pair_access(pair *p, uint32_t k)
{
    uint32_t slot = p->slot_of[k], hash = (uint32_t)pc_mix64(k + 1);
    pc_sketch_add(&p->sketch, hash);
    if (slot != PC_NIL) {
        pc_queues_hit(&p->queues, slot);
        model_hit(&p->model, slot);
        return;
    }
    CHECK(pc_slots_reserve(&p->slots) == PC_OK);
    slot = pc_slots_take(&p->slots, hash);
    p->key_of[slot] = k;
    p->slot_of[k] = slot;
    pc_queues_insert(&p->queues, slot);
    bool full = pc_queues_weight(&p->queues) > p->queues.capacity;
    uint32_t expected = model_miss(&p->model, slot, hash), victim = full ? pc_queues_victim(&p->queues) : PC_NIL;
    CHECK(victim == expected);
    CHECK(pc_queues_weight(&p->queues) <= p->queues.capacity);
    if (victim != PC_NIL)
        forget(p, victim);
}

static void pair_remove(pair *p, uint32_t k)
{
    uint32_t slot = p->slot_of[k];
    if (slot == PC_NIL)
        return;
    pc_queues_remove(&p->queues, slot);
    CHECK(take_out(&p->model.w, slot) || take_out(&p->model.p, slot) || take_out(&p->model.m, slot));
    forget(p, slot);
}

static void check_list(const pair *p, unsigned queue, const model_list *expected)
{
    int i = 0;
    for (uint32_t s = pc_queues_list(&p->queues, queue)->oldest; s != PC_NIL; s = pc_slots_node(&p->slots, s)->next)
        CHECK(i < expected->count && expected->at[i++] == s);
    CHECK(i == expected->count);
}

static void check_pair(const pair *p)
{
    CHECK(pc_queues_valid(&p->queues));
    check_list(p, PC_QUEUE_WINDOW, &p->model.w);
    check_list(p, PC_QUEUE_PROBATION, &p->model.p);
    check_list(p, PC_QUEUE_PROTECTED, &p->model.m);
}

/* Half of the requests for a hot tenth, the others in a loop: there are hits and misses of all kinds. */
static uint32_t request(uint64_t *random, uint32_t step)
{
    uint64_t r = pc_test_random(random);
    return (uint32_t)(r & 1 ? (r >> 8) % (KEYS / 10) : step % KEYS);
}

static void play(int capacity, pc_arm arm, int steps, unsigned switch_every, unsigned remove_every)
{
    static pair p;
    uint64_t random = (uint64_t)capacity * 1000 + arm;
    pair_init(&p, capacity, arm);
    for (int i = 0; i < steps; i++) {
        pair_access(&p, request(&random, (uint32_t)i));
        if (remove_every && pc_test_random(&random) % remove_every == 0)
            pair_remove(&p, (uint32_t)(pc_test_random(&random) % KEYS));
        if (switch_every && pc_test_random(&random) % switch_every == 0) {
            arm = (pc_arm)(pc_test_random(&random) % PC_ARMS);
            pc_queues_play(&p.queues, arm);
            model_play(&p.model, arm);
        }
        check_pair(&p);
    }
    pair_destroy(&p);
}

static const int CAPACITIES[] = {2, 3, 10, 64, 150, 390, 1000};

static void each_arm_is_as_its_pseudo_code(void)
{
    for (unsigned arm = 0; arm < PC_ARMS; arm++)
        for (int i = 0; i < 7; i++)
            play(CAPACITIES[i], (pc_arm)arm, 6000, 0, 0);
}

static void switching_arms_loses_nothing(void)
{
    for (int i = 0; i < 7; i++)
        play(CAPACITIES[i], PC_ARM_LIRS, 20000, 500, 0);
}

/* After removals LIRS may have an empty window, where model and engine differ by design: the others only. */
static void removals_leave_the_order_intact(void)
{
    const pc_arm arms[] = {PC_ARM_TINY20, PC_ARM_LRU, PC_ARM_TINY1};
    for (int a = 0; a < 3; a++)
        for (int i = 0; i < 7; i++)
            play(CAPACITIES[i], arms[a], 6000, 0, 5);
}

static void a_switch_moves_a_bounded_number_of_slots_a_call(void)
{
    static pair p;
    static uint8_t before[ROOM];
    pair_init(&p, 390, PC_ARM_LRU);
    for (uint32_t k = 0; k < KEYS; k++)
        pair_access(&p, k);
    pc_queues_play(&p.queues, PC_ARM_TINY1);
    model_play(&p.model, PC_ARM_TINY1);
    for (int call = 0; call < 10; call++) {
        unsigned moved = 0;
        for (uint32_t slot = 0; slot < p.slots.used; slot++)
            before[slot] = pc_slots_node(&p.slots, slot)->queue;
        pair_access(&p, KEYS - 1);
        for (uint32_t slot = 0; slot < p.slots.used; slot++)
            moved += before[slot] != pc_slots_node(&p.slots, slot)->queue;
        CHECK(moved <= PC_QUEUES_MOVES + 1);
        check_pair(&p);
    }
    CHECK(p.queues.calm != 0 && pc_queues_list(&p.queues, PC_QUEUE_WINDOW)->count == 4);
    pair_destroy(&p);
}

int main(void)
{
    RUN(each_arm_is_as_its_pseudo_code);
    RUN(switching_arms_loses_nothing);
    RUN(removals_leave_the_order_intact);
    RUN(a_switch_moves_a_bounded_number_of_slots_a_call);
    return REPORT();
}
