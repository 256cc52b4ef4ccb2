#include "policy.h"

#include <string.h>

#define EAGER 65536u /* entries for which sketch and ghosts are made at once where the capacity is known (1 MB) */
#define TIMID 256u   /* ... and where it is not */
#define SKETCH_LEAST 256u /* words, as in Caffeine: less confuses keys too often */

static bool learns(pc_mode mode, uint64_t capacity)
{
    return (mode == PC_LFU || mode == PC_ADAPTIVE) && capacity != PC_UNBOUNDED;
}

static bool weighted(const pc_policy *p)
{
    return p->slots->weight.size != 0;
}

/* The number of entries is at most this. */
static uint64_t entries_limit(const pc_policy *p, uint64_t capacity)
{
    return weighted(p) ? PC_SLOTS_MAX : capacity;
}

/* The number of entries to prepare for. */
static uint64_t entries_expected(const pc_policy *p, uint64_t capacity)
{
    uint64_t least = weighted(p) ? TIMID : EAGER, limit = entries_limit(p, capacity);
    uint64_t wanted = p->slots->live > least ? p->slots->live : least;
    return wanted < limit ? wanted : limit;
}

static uint64_t duel_entries(const pc_policy *p, uint64_t capacity)
{
    return weighted(p) ? entries_expected(p, capacity) : capacity;
}

/* ---- What a mode needs ---- */

static pc_status make_memory(pc_policy *p, uint64_t entries)
{
    pc_sketch sketch;
    pc_ghost ghost;
    if (pc_sketch_init(&sketch, &p->alloc, entries, SKETCH_LEAST) != PC_OK)
        return PC_NO_MEMORY;
    if (pc_ghost_init(&ghost, &p->alloc, entries) != PC_OK) {
        pc_sketch_destroy(&sketch);
        return PC_NO_MEMORY;
    }
    sketch.epoch = p->sketch.epoch; /* the slots' counts go on */
    pc_sketch_destroy(&p->sketch);
    pc_ghost_destroy(&p->ghost);
    p->sketch = sketch;
    p->ghost = ghost;
    p->covered = entries;
    return PC_OK;
}

static pc_status make_duel(pc_policy *p, uint64_t capacity)
{
    pc_duel *duel = pc_zalloc(&p->alloc, 1, sizeof *duel);
    if (duel == NULL)
        return PC_NO_MEMORY;
    if (pc_duel_init(duel, &p->alloc, capacity, duel_entries(p, capacity), weighted(p), p->seed) != PC_OK) {
        pc_release(&p->alloc, duel);
        return PC_NO_MEMORY;
    }
    if (p->duel != NULL)
        duel->arm = p->duel->arm;
    p->duel = duel;
    return PC_OK;
}

static void drop_memory(pc_policy *p)
{
    pc_sketch_destroy(&p->sketch);
    pc_ghost_destroy(&p->ghost);
    p->covered = 0;
}

static void drop_duel(pc_policy *p, pc_duel *duel)
{
    if (duel != NULL)
        pc_duel_destroy(duel);
    pc_release(&p->alloc, duel);
}

static pc_arm arm_of(const pc_policy *p)
{
    if (!learns(p->mode, p->queues.capacity))
        return PC_ARM_LRU;
    return p->mode == PC_ADAPTIVE ? p->duel->arm : PC_ARM_TINY1;
}

/* Sketch and ghosts fit when they are not too small for what is held, nor four times too large. */
static bool memory_fits(const pc_policy *p, uint64_t capacity)
{
    return p->sketch.now.words != NULL && p->covered / 4 <= entries_limit(p, capacity);
}

static bool duel_fits(pc_policy *p, uint64_t capacity)
{
    return p->duel != NULL && pc_duel_resize(p->duel, capacity, duel_entries(p, capacity));
}

/* Gets what a mode needs at a capacity, and drops what it does not. */
static pc_status equip(pc_policy *p, pc_mode mode, uint64_t capacity)
{
    pc_duel *before = p->duel;
    bool learning = learns(mode, capacity), duelling = learning && mode == PC_ADAPTIVE;
    if (duelling && !duel_fits(p, capacity) && make_duel(p, capacity) != PC_OK)
        return PC_NO_MEMORY;
    if (learning && !memory_fits(p, capacity) && make_memory(p, entries_expected(p, capacity)) != PC_OK) {
        if (p->duel != before)
            drop_duel(p, p->duel);
        p->duel = before;
        return PC_NO_MEMORY;
    }
    if (p->duel != before || !duelling)
        drop_duel(p, before);
    if (!duelling)
        p->duel = NULL;
    if (!learning)
        drop_memory(p);
    return PC_OK;
}

static pc_status adjust(pc_policy *p, pc_mode mode, uint64_t capacity)
{
    pc_policy_catch_up(p);
    if (equip(p, mode, capacity) != PC_OK)
        return PC_NO_MEMORY;
    p->mode = mode;
    p->queues.newcomer = PC_NIL; /* who came last has no claim against a smaller cache */
    p->widen_at = learns(mode, capacity) && p->covered < entries_limit(p, capacity) ? p->covered : UINT64_MAX;
    pc_queues_resize(&p->queues, capacity);
    pc_queues_play(&p->queues, arm_of(p));
    return PC_OK;
}

pc_status pc_policy_init(pc_policy *p, pc_slots *slots, const pc_alloc *alloc, pc_mode mode, uint64_t capacity,
                         uint64_t seed)
{
    memset(p, 0, sizeof *p);
    p->slots = slots;
    p->alloc = *alloc;
    p->seed = seed;
    p->mode = mode;
    pc_queues_init(&p->queues, slots, &p->sketch, &p->ghost, capacity, seed);
    p->queues.counting = true;
    p->fate = pc_queues_draw(&p->queues);
    pc_dense_init(&p->dense, alloc, PC_QUEUE_DENSE);
    return adjust(p, mode, capacity);
}

void pc_policy_destroy(pc_policy *p)
{
    drop_memory(p);
    drop_duel(p, p->duel);
    p->duel = NULL;
    pc_dense_destroy(&p->dense);
}

void pc_policy_clear(pc_policy *p)
{
    p->noted = 0;
    pc_queues_clear(&p->queues);
    pc_dense_destroy(&p->dense);
}

pc_status pc_policy_resize(pc_policy *p, uint64_t capacity)
{
    return adjust(p, p->mode, capacity);
}

pc_status pc_policy_set_mode(pc_policy *p, pc_mode mode)
{
    return adjust(p, mode, p->queues.capacity);
}

/* More entries than sketch and ghosts are made for: twice as many. What fails for lack of memory stays small. */
static PC_NOINLINE void widen(pc_policy *p)
{
    uint64_t limit = entries_limit(p, p->queues.capacity);
    uint64_t entries = p->covered * 2 < limit ? p->covered * 2 : limit;
    pc_ghost ghost;
    if (!pc_sketch_cover(&p->sketch, entries))
        return;
    if (pc_ghost_init(&ghost, &p->alloc, entries) == PC_OK) {
        pc_ghost_destroy(&p->ghost);
        p->ghost = ghost;
    }
    p->covered = entries;
    p->widen_at = entries < limit ? entries : UINT64_MAX;
    if (p->duel != NULL && weighted(p))
        pc_duel_cover(p->duel, entries);
}

/* ---- Moving between the queues and the bag ---- */

/* Takes a slot, that came in under RANDOM, into the queues. */
static void adopt(pc_policy *p, uint32_t slot)
{
    pc_dense_remove(&p->dense, p->slots, slot);
    pc_queues_link(&p->queues, slot, PC_QUEUE_WINDOW);
}

static PC_NOINLINE void adopt_some(pc_policy *p)
{
    for (unsigned i = 0; i < PC_QUEUES_MOVES && p->dense.count > 0; i++)
        adopt(p, *pc_dense_place(&p->dense, p->dense.count - 1));
}

/* The slot of the queues that would leave first, or PC_NIL. */
static uint32_t coldest_queued(const pc_policy *p)
{
    for (unsigned place = 0; place < 3; place++)
        if (pc_queues_order(&p->queues, place)->oldest != PC_NIL)
            return pc_queues_order(&p->queues, place)->oldest;
    return PC_NIL;
}

/* Under RANDOM: moves what an earlier mode left in the queues into the bag. */
static pc_status bag_some(pc_policy *p)
{
    uint32_t slot;
    for (unsigned i = 0; i < PC_QUEUES_MOVES && (slot = coldest_queued(p)) != PC_NIL; i++) {
        if (pc_dense_reserve(&p->dense) != PC_OK)
            return PC_NO_MEMORY;
        pc_queues_remove(&p->queues, slot);
        pc_dense_push(&p->dense, p->slots, slot);
    }
    return pc_dense_reserve(&p->dense);
}

/* ---- Requests ---- */

static inline void set_count(pc_policy *p, pc_node *n, unsigned count)
{
    n->count = count & 15;
    n->epoch = p->sketch.epoch & 0xfff;
}

/* Counts a request for a key that is there, in its node. */
static inline void count_hit(pc_policy *p, uint32_t slot)
{
    pc_node *n = pc_slots_node(p->slots, slot);
    unsigned count = pc_node_count(n, p->sketch.epoch);
    set_count(p, n, count + (count < 15));
    n->flags |= PC_SLOT_COUNTED;
    pc_sketch_tick(&p->sketch);
}

/* Counts a request for a key that comes in: the sketch knows how often it was asked for before. */
static inline void count_miss(pc_policy *p, uint32_t slot)
{
    pc_node *n = pc_slots_node(p->slots, slot);
    set_count(p, n, pc_sketch_add(&p->sketch, n->hash));
}

/* A key leaves: the sketch is told how often it was asked for. */
static inline void keep_count(pc_policy *p, uint32_t slot)
{
    const pc_node *n = pc_slots_node(p->slots, slot);
    if (n->flags & PC_SLOT_COUNTED && p->sketch.now.words != NULL)
        pc_sketch_raise(&p->sketch, n->hash, pc_node_count(n, p->sketch.epoch));
}

/* Shows a request, which was a hit or not, to the shadows. */
static inline void show(pc_policy *p, uint32_t slot, bool hit)
{
    uint32_t hash = pc_slots_node(p->slots, slot)->hash;
    if (p->duel == NULL || PC_LIKELY(!pc_duel_sampled(p->duel, hash)))
        return;
    uint32_t weight = pc_list_weigh(p->slots, slot);
    if (weight != 0 && pc_duel_note(p->duel, hash, weight, hit) && p->duel->arm != p->queues.arm)
        pc_queues_play(&p->queues, p->duel->arm);
}

/* First all nodes, then what they lead to: as many fetches at once as the processor can carry. */
static void fetch_notes(const pc_policy *p, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        PC_PREFETCH(pc_slots_node(p->slots, p->notes[i]));
    for (uint32_t i = 0; i < count; i++) {
        const pc_node *n = pc_slots_node(p->slots, p->notes[i]);
        if (n->next != PC_NIL)
            PC_PREFETCH(pc_slots_node(p->slots, n->next));
        if (n->prev != PC_NIL)
            PC_PREFETCH(pc_slots_node(p->slots, n->prev));
        if (p->sketch.now.words != NULL)
            pc_sketch_prefetch(&p->sketch, n->hash);
    }
}

static inline void apply_hit(pc_policy *p, uint32_t slot, bool learning)
{
    if (learning) {
        count_hit(p, slot);
        show(p, slot, true);
    }
    pc_queues_hit(&p->queues, slot);
}

void pc_policy_hit(pc_policy *p, uint32_t slot)
{
    apply_hit(p, slot, p->sketch.now.words != NULL);
}

void pc_policy_catch_up(pc_policy *p)
{
    uint32_t count = p->noted;
    bool learning = p->sketch.now.words != NULL;
    if (p->slots->live > PC_POLICY_FAR)
        fetch_notes(p, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = p->notes[i];
        if (PC_UNLIKELY(pc_slots_node(p->slots, slot)->queue == PC_QUEUE_DENSE))
            adopt(p, slot);
        apply_hit(p, slot, learning);
    }
    p->noted = 0;
}

void pc_policy_fetch(const pc_policy *p, uint32_t hash)
{
    pc_sketch_prefetch(&p->sketch, hash);
    pc_ghost_prefetch(&p->ghost, hash);
    for (unsigned queue = PC_QUEUE_WINDOW; queue <= PC_QUEUE_PROTECTED; queue++) {
        uint32_t oldest = pc_queues_list(&p->queues, queue)->oldest;
        if (oldest == PC_NIL)
            continue;
        pc_sketch_prefetch(&p->sketch, pc_slots_node(p->slots, oldest)->hash);
        pc_ghost_prefetch(&p->ghost, pc_slots_node(p->slots, oldest)->hash);
    }
}

pc_status pc_policy_reserve(pc_policy *p)
{
    return p->mode == PC_RANDOM ? bag_some(p) : PC_OK;
}

void pc_policy_admit(pc_policy *p, uint32_t slot)
{
    if (PC_UNLIKELY(p->slots->live > p->widen_at))
        widen(p);
    if (p->mode == PC_RANDOM && pc_list_weigh(p->slots, slot) != 0) {
        p->queues.newcomer = slot;
        pc_dense_push(&p->dense, p->slots, slot);
        return;
    }
    if (PC_UNLIKELY(p->dense.count > 0 && p->mode != PC_RANDOM))
        adopt_some(p);
    if (p->sketch.now.words != NULL) {
        count_miss(p, slot);
        show(p, slot, false);
    }
    pc_queues_insert(&p->queues, slot);
}

/* The newcomer is in the bag with others that can leave in its place. */
static bool spares_newcomer(const pc_policy *p)
{
    uint32_t newcomer = p->queues.newcomer;
    return newcomer != PC_NIL && p->dense.count > 1 && pc_slots_node(p->slots, newcomer)->queue == PC_QUEUE_DENSE;
}

static void debag(pc_policy *p, uint32_t slot)
{
    pc_dense_remove(&p->dense, p->slots, slot);
    if (slot == p->queues.newcomer)
        p->queues.newcomer = PC_NIL;
}

/* Draws who will leave next, should as many be here then, and fetches the slot from memory until then. */
static void foresee(pc_policy *p)
{
    p->fate = pc_queues_draw(&p->queues);
    if (p->dense.count == 0 || p->slots->live <= PC_POLICY_FAR)
        return;
    uint32_t slot = pc_dense_draw(&p->dense, p->dense.count, p->fate);
    PC_PREFETCH(pc_slots_node(p->slots, slot));
    if (p->slots->payload.size != 0)
        PC_PREFETCH(pc_slots_payload(p->slots, slot));
}

/* A slot from the bag, by chance, but not the newcomer: the last place stands for it in a draw from the others. */
static uint32_t random_victim(pc_policy *p)
{
    bool spared = spares_newcomer(p);
    uint32_t others = p->dense.count - spared, slot = pc_dense_draw(&p->dense, others, p->fate);
    if (spared && slot == p->queues.newcomer)
        slot = *pc_dense_place(&p->dense, others);
    debag(p, slot);
    foresee(p);
    return slot;
}

/* While slots are on the way from one structure to the other, those that were left behind leave first. */
static uint32_t mixed_victim(pc_policy *p)
{
    uint32_t queued = coldest_queued(p);
    if (queued == PC_NIL || (p->mode != PC_RANDOM && p->dense.count > 0))
        return random_victim(p);
    pc_queues_remove(&p->queues, queued);
    return queued;
}

uint32_t pc_policy_evict(pc_policy *p)
{
    if (p->noted != 0)
        pc_policy_catch_up(p);
    if (PC_UNLIKELY(p->dense.count > 0))
        return mixed_victim(p);
    uint32_t slot = pc_queues_victim(&p->queues);
    keep_count(p, slot);
    return slot;
}

void pc_policy_remove(pc_policy *p, uint32_t slot)
{
    if (p->noted != 0)
        pc_policy_catch_up(p);
    if (pc_slots_node(p->slots, slot)->queue == PC_QUEUE_DENSE)
        debag(p, slot);
    else
        pc_queues_remove(&p->queues, slot);
    keep_count(p, slot);
}

void pc_policy_reweigh(pc_policy *p, uint32_t slot, uint32_t weight)
{
    if (p->noted != 0)
        pc_policy_catch_up(p);
    if (pc_slots_node(p->slots, slot)->queue != PC_QUEUE_DENSE) {
        pc_queues_reweigh(&p->queues, slot, weight);
        return;
    }
    debag(p, slot);
    *pc_slots_weight(p->slots, slot) = weight;
    if (weight == 0)
        pc_queues_link(&p->queues, slot, PC_QUEUE_WINDOW);
    else
        pc_dense_push(&p->dense, p->slots, slot);
    p->queues.newcomer = slot; /* what was just written is not the first to leave */
}

void pc_policy_restore(pc_policy *p, uint32_t slot, uint8_t queue, unsigned frequency)
{
    bool listed = queue >= PC_QUEUE_WINDOW && queue <= PC_QUEUE_PROTECTED;
    if (p->mode == PC_RANDOM && pc_list_weigh(p->slots, slot) != 0)
        pc_dense_push(&p->dense, p->slots, slot);
    else
        pc_queues_link(&p->queues, slot, listed ? queue : PC_QUEUE_WINDOW);
    set_count(p, pc_slots_node(p->slots, slot), frequency < 15 ? frequency : 15);
    pc_slots_node(p->slots, slot)->flags |= PC_SLOT_COUNTED;
}

/* ---- Looking at it ---- */

unsigned pc_policy_frequency(const pc_policy *p, uint32_t slot)
{
    return p->sketch.now.words ? pc_node_count(pc_slots_node(p->slots, slot), p->sketch.epoch) : 0;
}

unsigned pc_policy_absent_frequency(const pc_policy *p, uint32_t hash)
{
    return p->sketch.now.words ? pc_sketch_estimate(&p->sketch, hash) : 0;
}

uint32_t pc_policy_ghost_age(const pc_policy *p, uint32_t hash)
{
    uint32_t stamp;
    return pc_ghost_peek(&p->ghost, hash, p->queues.clock, &stamp) ? p->queues.clock - stamp : UINT32_MAX;
}

enum { PARTS = 5, PART_DENSE = 0 };

static void enter_part(const pc_policy *p, pc_policy_walk *walk, unsigned part)
{
    walk->part = part;
    if (part == PART_DENSE) {
        walk->at = walk->hottest_first ? p->dense.count - 1 : 0;
    } else if (part < PARTS) {
        const pc_list *list = pc_queues_order(&p->queues, part - 1);
        walk->at = walk->hottest_first ? list->newest : list->oldest;
    }
}

pc_policy_walk pc_policy_walk_from(pc_policy *p, bool hottest_first)
{
    pc_policy_catch_up(p);
    pc_policy_walk walk = {.hottest_first = hottest_first};
    enter_part(p, &walk, hottest_first ? PARTS - 1 : PART_DENSE);
    return walk;
}

static uint32_t step_dense(const pc_policy *p, pc_policy_walk *walk)
{
    uint32_t place = walk->at;
    walk->at += walk->hottest_first ? UINT32_MAX : 1; /* past either end is not below count */
    return place < p->dense.count ? *pc_dense_place(&p->dense, place) : PC_NIL;
}

static uint32_t step_list(const pc_policy *p, pc_policy_walk *walk)
{
    uint32_t slot = walk->at;
    if (slot != PC_NIL)
        walk->at = walk->hottest_first ? pc_slots_node(p->slots, slot)->prev : pc_slots_node(p->slots, slot)->next;
    return slot;
}

uint32_t pc_policy_walk_next(const pc_policy *p, pc_policy_walk *walk)
{
    while (walk->part < PARTS) {
        uint32_t slot = walk->part == PART_DENSE ? step_dense(p, walk) : step_list(p, walk);
        if (slot != PC_NIL)
            return slot;
        enter_part(p, walk, walk->part + (walk->hottest_first ? UINT32_MAX : 1));
    }
    return PC_NIL;
}

pc_policy_state pc_policy_explain(const pc_policy *p)
{
    const pc_queues *q = &p->queues;
    pc_policy_state state = {
        .mode = p->mode,
        .arm = q->arm,
        .window_room = q->window_room,
        .window_weight = pc_queues_list(q, PC_QUEUE_WINDOW)->weight,
        .protected_room = q->protected_room,
        .main_weight = pc_queues_main(q),
        .pinned_count = pc_queues_list(q, PC_QUEUE_PINNED)->count,
        .clock = q->clock,
    };
    if (p->duel == NULL)
        return state;
    state.switches = p->duel->switches;
    state.sample_rate = 1u << p->duel->rate;
    state.shadow_size = p->duel->shadow[p->duel->arm].slots.live;
    for (unsigned arm = 0; arm < PC_ARMS; arm++) {
        state.hits[arm] = p->duel->hits[arm];
        state.discord[arm] = p->duel->discord[arm][p->duel->arm];
    }
    return state;
}

size_t pc_policy_bytes(const pc_policy *p)
{
    return pc_sketch_bytes(&p->sketch) + pc_ghost_bytes(&p->ghost) + pc_dense_bytes(&p->dense) +
           (p->duel ? pc_duel_bytes(p->duel) : 0);
}

static bool notes_valid(const pc_policy *p)
{
    for (uint32_t i = 0; i < p->noted; i++)
        if (!pc_slots_in_use(p->slots, p->notes[i]))
            return false;
    return p->noted < PC_POLICY_NOTES;
}

/* Slots in limbo belong to the owner; every other slot in use is in one of our lists. */
static bool all_listed(const pc_policy *p)
{
    uint32_t listed = 0;
    for (uint32_t slot = 0; slot < p->slots->used; slot++)
        listed += pc_slots_node(p->slots, slot)->queue >= PC_QUEUE_WINDOW;
    return listed == pc_queues_count(&p->queues) + p->dense.count;
}

bool pc_policy_valid(const pc_policy *p)
{
    bool learning = p->sketch.now.words != NULL;
    return notes_valid(p) && all_listed(p) && pc_queues_valid(&p->queues) && pc_dense_valid(&p->dense, p->slots) &&
           learning == learns(p->mode, p->queues.capacity) && (p->duel != NULL) == (learning && p->mode == PC_ADAPTIVE) &&
           (!learning || pc_sketch_valid(&p->sketch)) && (p->duel == NULL || pc_duel_valid(p->duel)) &&
           p->queues.arm == arm_of(p);
}
