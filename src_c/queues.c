#include "queues.h"

#include <string.h>

#define WARM 6u        /* a loser of a contest that was asked for so often ... */
#define LUCKY 127u     /* ... is let in once in 128 times, lest crafted frequencies close the cache (Caffeine) */
#define VICTIMS_MAX 64 /* slots that one contest looks at, at most */

enum { WINDOW = PC_QUEUE_WINDOW, PROBATION = PC_QUEUE_PROBATION, PROTECTED = PC_QUEUE_PROTECTED };

typedef struct {
    unsigned window_percent;
    unsigned protected_percent; /* of what is not window */
} arm_shape;

/* LIRS keeps no second segment: what returns from probation stays protected however much that is. */
static const arm_shape SHAPES[PC_ARMS] = {
    [PC_ARM_LIRS] = {1, 100},
    [PC_ARM_TINY20] = {20, 80},
    [PC_ARM_LRU] = {100, 100},
    [PC_ARM_TINY1] = {1, 80},
};

/* Where a hit changes nothing but the order (pc_queues.calm). */
static const uint8_t CALM[PC_ARMS] = {
    [PC_ARM_LIRS] = 1 << PROTECTED | 1 << PC_QUEUE_PINNED,
    [PC_ARM_TINY20] = 1 << WINDOW | 1 << PROTECTED | 1 << PC_QUEUE_PINNED,
    [PC_ARM_LRU] = 1 << WINDOW | 1 << PC_QUEUE_PINNED,
    [PC_ARM_TINY1] = 1 << WINDOW | 1 << PROTECTED | 1 << PC_QUEUE_PINNED,
};

static pc_list *list_of(pc_queues *q, unsigned queue)
{
    PC_ASSERT(queue >= WINDOW && queue <= PC_QUEUE_PINNED);
    return &q->lists[queue - WINDOW];
}

double pc_arm_window(pc_arm arm)
{
    return SHAPES[arm].window_percent / 100.0;
}

/* a * percent / 100 without overflow. */
static uint64_t percent_of(uint64_t a, unsigned percent)
{
    return a / 100 * percent + a % 100 * percent / 100;
}

/* To be settled again. */
static void unsettle(pc_queues *q)
{
    q->calm = 0;
    q->plain = false;
}

/* The window has at least one entry and leaves at least one to main, where there are two. */
static void set_rooms(pc_queues *q)
{
    const arm_shape *shape = &SHAPES[q->arm];
    uint64_t capacity = q->capacity, window = percent_of(capacity, shape->window_percent);
    if (capacity % 100 * shape->window_percent % 100 >= 50)
        window++;
    if (shape->window_percent < 100) {
        window = window > 0 ? window : 1;
        window = window < capacity ? window : capacity - (capacity > 0);
    }
    q->window_room = window;
    q->protected_room = percent_of(capacity - window, shape->protected_percent);
    if (q->arm == PC_ARM_LIRS)
        q->protected_room = UINT64_MAX;
    unsettle(q);
}

void pc_queues_init(pc_queues *q, pc_slots *slots, const pc_sketch *sketch, pc_ghost *ghost, uint64_t capacity,
                    uint64_t seed)
{
    *q = (pc_queues){.slots = slots, .sketch = sketch, .ghost = ghost, .capacity = capacity, .random = seed | 1};
    pc_queues_clear(q);
    pc_queues_play(q, PC_ARM_LRU);
}

void pc_queues_clear(pc_queues *q)
{
    for (uint8_t queue = WINDOW; queue <= PC_QUEUE_PINNED; queue++)
        pc_list_init(list_of(q, queue), queue);
    q->newcomer = PC_NIL;
}

void pc_queues_play(pc_queues *q, pc_arm arm)
{
    q->arm = arm;
    set_rooms(q);
}

void pc_queues_resize(pc_queues *q, uint64_t capacity)
{
    q->capacity = capacity;
    set_rooms(q);
}

/* xorshift64 (Marsaglia, 2003). */
uint64_t pc_queues_draw(pc_queues *q)
{
    q->random ^= q->random << 13;
    q->random ^= q->random >> 7;
    q->random ^= q->random << 17;
    return q->random;
}

static uint32_t weigh(const pc_queues *q, uint32_t slot)
{
    return pc_list_weigh(q->slots, slot);
}

static uint32_t stamp_of(const pc_queues *q, uint32_t slot)
{
    return pc_slots_node(q->slots, slot)->stamp;
}

static bool later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static uint32_t oldest_of(const pc_queues *q, unsigned queue)
{
    return pc_queues_list(q, queue)->oldest;
}

static uint64_t held_by(const pc_queues *q, unsigned queue)
{
    return pc_queues_list(q, queue)->weight;
}

/* The slot becomes the newest of another list. */
static void move(pc_queues *q, uint32_t slot, unsigned to)
{
    pc_list_unlink(list_of(q, pc_slots_node(q->slots, slot)->queue), q->slots, slot);
    pc_list_push(list_of(q, to), q->slots, slot);
}

static void touch(pc_queues *q, uint32_t slot)
{
    pc_list_touch(list_of(q, pc_slots_node(q->slots, slot)->queue), q->slots, slot);
}

static uint32_t main_oldest(const pc_queues *q)
{
    uint32_t oldest = oldest_of(q, PROBATION);
    return oldest != PC_NIL ? oldest : oldest_of(q, PROTECTED);
}

/* LIRS: main gives up what exceeds its room. */
static void trim_main(pc_queues *q)
{
    uint64_t room = q->capacity - q->window_room;
    for (unsigned i = 0; i < PC_QUEUES_MOVES && pc_queues_main(q) > room; i++)
        move(q, main_oldest(q), WINDOW);
}

/* TINY: the protected list gives up what exceeds its share. */
static void trim_protected(pc_queues *q)
{
    for (unsigned i = 0; i < PC_QUEUES_MOVES && held_by(q, PROTECTED) > q->protected_room; i++)
        move(q, oldest_of(q, PROTECTED), PROBATION);
}

/* The window passes what exceeds its room on to probation, unopposed because the cache is not full. */
static void spill_window(pc_queues *q)
{
    for (unsigned i = 0; i < PC_QUEUES_MOVES && held_by(q, WINDOW) > q->window_room; i++)
        move(q, oldest_of(q, WINDOW), PROBATION);
}

/* Main has an entry for which the window has room, and there is no other room for newcomers. */
static bool window_starves(const pc_queues *q)
{
    uint32_t oldest = main_oldest(q);
    return oldest != PC_NIL && held_by(q, WINDOW) + weigh(q, oldest) <= q->window_room &&
           pc_queues_weight(q) + weigh(q, oldest) > q->capacity;
}

/* One move towards the sizes that the arm wants; false when there is none to make. */
static bool settle_step(pc_queues *q)
{
    if (held_by(q, PROTECTED) > q->protected_room)
        move(q, oldest_of(q, PROTECTED), PROBATION);
    else if (held_by(q, WINDOW) > q->window_room)
        move(q, oldest_of(q, WINDOW), PROBATION);
    else if (window_starves(q))
        move(q, main_oldest(q), WINDOW);
    else
        return false;
    return true;
}

static PC_NOINLINE void settle(pc_queues *q)
{
    for (unsigned i = 0; i < PC_QUEUES_MOVES; i++)
        if (!settle_step(q)) {
            q->calm = CALM[q->arm];
            q->plain =
                q->arm == PC_ARM_LRU && q->ghost->buckets == NULL && q->slots->weight.size == 0 && pc_queues_main(q) == 0;
            return;
        }
}

/* LIRS: used again sooner than the coldest main entry: the shorter reuse distance earns the place. */
static bool hotter_than_main(const pc_queues *q, uint32_t stamp)
{
    uint32_t oldest = main_oldest(q);
    return oldest != PC_NIL && later(stamp, stamp_of(q, oldest));
}

static void hit_window(pc_queues *q, uint32_t slot, uint32_t stamp)
{
    if (q->arm == PC_ARM_LIRS && hotter_than_main(q, stamp)) {
        move(q, slot, PROTECTED);
        trim_main(q);
    } else {
        touch(q, slot);
    }
}

static void hit_main(pc_queues *q, uint32_t slot, unsigned queue)
{
    if (q->arm == PC_ARM_LRU && held_by(q, WINDOW) + weigh(q, slot) <= q->window_room) {
        move(q, slot, WINDOW);
    } else if (q->arm == PC_ARM_LRU || queue == PROTECTED) {
        touch(q, slot);
    } else {
        move(q, slot, PROTECTED);
        trim_protected(q);
    }
}

void pc_queues_promote(pc_queues *q, uint32_t slot)
{
    if (PC_UNLIKELY(q->calm == 0))
        settle(q);
    const pc_node *n = pc_slots_node(q->slots, slot);
    if (n->queue == WINDOW)
        hit_window(q, slot, n->stamp);
    else if (n->queue == PC_QUEUE_PINNED)
        touch(q, slot);
    else
        hit_main(q, slot, n->queue);
}

/* LIRS: a ghost with a shorter reuse distance than main's coldest goes to main, and so does all while main fills. */
static bool enters_main(const pc_queues *q, uint32_t slot, bool ghost, uint32_t seen)
{
    uint32_t weight = weigh(q, slot);
    if (ghost && hotter_than_main(q, seen))
        return true;
    return pc_queues_weight(q) + weight <= q->capacity && pc_queues_main(q) + weight <= q->capacity - q->window_room;
}

/* TINY20: a ghost younger than the oldest entry of main would still be here had it been let in. */
static bool enters_probation(const pc_queues *q, uint32_t seen)
{
    uint32_t a = oldest_of(q, PROBATION), b = oldest_of(q, PROTECTED);
    return (a != PC_NIL && later(seen, stamp_of(q, a))) || (b != PC_NIL && later(seen, stamp_of(q, b)));
}

static unsigned entrance(pc_queues *q, uint32_t slot)
{
    if (weigh(q, slot) == 0)
        return PC_QUEUE_PINNED;
    uint32_t seen = 0;
    bool ghost = pc_ghost_take(q->ghost, pc_slots_node(q->slots, slot)->hash, q->clock, &seen);
    if (q->arm == PC_ARM_LIRS && enters_main(q, slot, ghost, seen))
        return PROTECTED;
    if (q->arm == PC_ARM_TINY20 && ghost && enters_probation(q, seen))
        return PROBATION;
    return WINDOW;
}

void pc_queues_place(pc_queues *q, uint32_t slot)
{
    if (PC_UNLIKELY(q->calm == 0))
        settle(q);
    q->granted = 0;
    pc_list_push(list_of(q, entrance(q, slot)), q->slots, slot);
    if (q->arm == PC_ARM_LRU)
        return;
    if (q->arm == PC_ARM_LIRS)
        trim_main(q);
    else if (pc_queues_weight(q) <= q->capacity)
        spill_window(q);
}

static unsigned frequency(const pc_queues *q, uint32_t slot)
{
    const pc_node *n = pc_slots_node(q->slots, slot);
    return q->counting ? pc_node_count(n, q->sketch->epoch) : pc_sketch_estimate(q->sketch, n->hash);
}

/* The slot after this one in the order in which main gives its entries up. */
static uint32_t next_of_main(const pc_queues *q, uint32_t slot)
{
    const pc_node *n = pc_slots_node(q->slots, slot);
    return n->next == PC_NIL && n->queue == PROBATION ? oldest_of(q, PROTECTED) : n->next;
}

/* Whether a candidate is asked for more often than all that would have to leave main for it, together. */
static bool outweighs(const pc_queues *q, unsigned popularity, uint64_t cost)
{
    uint32_t victim = main_oldest(q);
    uint64_t freed = 0;
    unsigned sum = 0;
    for (int i = 0; i < VICTIMS_MAX && victim != PC_NIL; i++, victim = next_of_main(q, victim)) {
        sum += frequency(q, victim);
        freed += weigh(q, victim);
        if (popularity <= sum)
            return false;
        if (freed >= cost)
            return true;
    }
    return false;
}

/* Whether a slot of the window may move to main, which then gives up as much, as far as there is need. */
static bool wins(pc_queues *q, uint32_t candidate)
{
    if (q->slots->weight.size == 0) { /* one for one */
        unsigned wanted = frequency(q, candidate);
        bool more = wanted > frequency(q, main_oldest(q)) || (wanted >= WARM && (pc_queues_draw(q) & LUCKY) == 0);
        q->granted = more;
        return more;
    }
    uint64_t excess = pc_queues_weight(q) - q->capacity, weight = weigh(q, candidate);
    uint64_t cost = weight < excess ? weight : excess;
    unsigned popularity = frequency(q, candidate);
    bool won = outweighs(q, popularity, cost) || (popularity >= WARM && (pc_queues_draw(q) & LUCKY) == 0);
    if (won)
        q->granted = cost;
    return won;
}

/* TINY: the slot that leaves; the winner of a contest has been moved to probation. */
static uint32_t tiny_victim(pc_queues *q)
{
    uint32_t candidate = oldest_of(q, WINDOW), victim = main_oldest(q);
    if (victim == PC_NIL)
        return candidate;
    if (q->granted > 0 || held_by(q, WINDOW) <= q->window_room)
        return victim;
    if (!wins(q, candidate))
        return candidate;
    move(q, candidate, PROBATION);
    return victim;
}

/* LIRS: the window's oldest; main's coldest only when the newcomer is alone in the window, unless it is heavier than
 * the whole window and not popular enough for what it would push out. */
static uint32_t lirs_victim(pc_queues *q)
{
    uint32_t oldest = oldest_of(q, WINDOW), coldest = main_oldest(q);
    if (coldest == PC_NIL || (oldest != PC_NIL && oldest != q->newcomer))
        return oldest;
    if (oldest == PC_NIL || q->granted > 0 || weigh(q, oldest) <= q->window_room || weigh(q, oldest) == 1)
        return coldest;
    if (!wins(q, oldest))
        return oldest;
    move(q, oldest, PROTECTED);
    return coldest;
}

/* LRU: entries that an earlier arm left in main go first only when the window is within its room. */
static uint32_t lru_victim(const pc_queues *q)
{
    bool window = held_by(q, WINDOW) > q->window_room || main_oldest(q) == PC_NIL;
    return window ? oldest_of(q, WINDOW) : main_oldest(q);
}

uint32_t pc_queues_choose(pc_queues *q)
{
    PC_ASSERT(pc_queues_weight(q) > q->capacity);
    uint32_t slot = q->arm == PC_ARM_LRU ? lru_victim(q) : q->arm == PC_ARM_LIRS ? lirs_victim(q) : tiny_victim(q);
    const pc_node *n = pc_slots_node(q->slots, slot);
    if (q->granted > 0)
        q->granted -= q->granted < weigh(q, slot) ? q->granted : weigh(q, slot);
    pc_ghost_put(q->ghost, n->hash, n->stamp, q->clock);
    if (slot == q->newcomer)
        q->newcomer = PC_NIL;
    return slot;
}

void pc_queues_remove(pc_queues *q, uint32_t slot)
{
    pc_list_unlink(list_of(q, pc_slots_node(q->slots, slot)->queue), q->slots, slot);
    if (slot == q->newcomer)
        q->newcomer = PC_NIL;
}

void pc_queues_reweigh(pc_queues *q, uint32_t slot, uint32_t weight)
{
    pc_list *list = list_of(q, pc_slots_node(q->slots, slot)->queue);
    uint32_t *cell = pc_slots_weight(q->slots, slot);
    if ((*cell == 0) == (weight == 0)) {
        list->weight += (uint64_t)weight - *cell;
        *cell = weight;
        return;
    }
    pc_list_unlink(list, q->slots, slot);
    *cell = weight;
    pc_list_push(list_of(q, weight == 0 ? PC_QUEUE_PINNED : WINDOW), q->slots, slot);
}

void pc_queues_link(pc_queues *q, uint32_t slot, uint8_t queue)
{
    pc_list *list = list_of(q, weigh(q, slot) == 0 ? PC_QUEUE_PINNED : queue);
    pc_slots_node(q->slots, slot)->stamp = q->clock;
    pc_list_push(list, q->slots, slot);
    unsettle(q);
}

const pc_list *pc_queues_order(const pc_queues *q, unsigned place)
{
    static const uint8_t LIRS[] = {WINDOW, PROBATION, PROTECTED, PC_QUEUE_PINNED};
    static const uint8_t OTHERS[] = {PROBATION, WINDOW, PROTECTED, PC_QUEUE_PINNED};
    return pc_queues_list(q, q->arm == PC_ARM_LIRS ? LIRS[place] : OTHERS[place]);
}

uint32_t pc_queues_count(const pc_queues *q)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < PC_QUEUES_LISTS; i++)
        count += q->lists[i].count;
    return count;
}

bool pc_queues_valid(const pc_queues *q)
{
    for (unsigned i = 0; i < PC_QUEUES_LISTS; i++)
        if (!pc_list_valid(&q->lists[i], q->slots))
            return false;
    return q->window_room <= q->capacity && held_by(q, PC_QUEUE_PINNED) == 0 && pc_ghost_valid(q->ghost);
}
