#include "wheel.h"

#define FIRST_SHIFT 30u /* 2^30 ns is 1.07 s */
#define LEVEL_SHIFT 6u
#define PENDING PC_WHEEL_LEVELS
#define HEAD 0x80000000u /* in pc_life.prev of a bucket's first slot: HEAD | level << LEVEL_SHIFT | bucket */

static_assert(PC_WHEEL_BUCKETS == 1u << LEVEL_SHIFT, "a level's reach is the next one's bucket");
static_assert(PC_SLOTS_MAX <= HEAD, "a slot id must not look like a head");

static unsigned shift_of(unsigned level)
{
    return FIRST_SHIFT + LEVEL_SHIFT * level;
}

/* The first bucket of the level that must stay. One of level 0 goes when the clock has left it and all in it has
 * ended; a higher one goes when the clock enters it. */
static uint64_t limit_of(unsigned level, uint64_t now)
{
    return (now >> shift_of(level)) + (level > 0);
}

void pc_wheel_init(pc_wheel *w, uint64_t now)
{
    for (unsigned level = 0; level <= PENDING; level++)
        for (unsigned i = 0; i < PC_WHEEL_BUCKETS; i++)
            w->bucket[level][i] = PC_NIL;
    for (unsigned level = 0; level < PC_WHEEL_LEVELS; level++)
        w->tick[level] = limit_of(level, now);
    w->count = 0;
}

static void push(pc_wheel *w, pc_slots *s, unsigned level, uint64_t tick, uint32_t slot)
{
    uint32_t i = (uint32_t)tick & (PC_WHEEL_BUCKETS - 1);
    uint32_t *head = &w->bucket[level][i];
    pc_life *life = pc_slots_life(s, slot);
    life->prev = HEAD | level << LEVEL_SHIFT | i;
    life->next = *head;
    if (*head != PC_NIL)
        pc_slots_life(s, *head)->prev = slot;
    *head = slot;
    w->count++;
}

void pc_wheel_add(pc_wheel *w, pc_slots *s, uint32_t slot)
{
    uint64_t deadline = pc_slots_life(s, slot)->deadline;
    unsigned level = 0;
    while (level < PC_WHEEL_LEVELS - 1 && deadline >> shift_of(level) >= w->tick[level] + PC_WHEEL_BUCKETS)
        level++;
    uint64_t tick = deadline >> shift_of(level), last = w->tick[level] + PC_WHEEL_BUCKETS - 1;
    if (tick < w->tick[level]) {
        /* This level has passed that bucket already. One level down it can only come up too early, and is then
         * added again; here it would come up too late. */
        level -= level > 0;
        tick = level > 0 || deadline >> FIRST_SHIFT >= w->tick[0] ? w->tick[level] + PC_WHEEL_BUCKETS - 1 : w->tick[0];
    } else if (tick > last) {
        tick = last;
    }
    push(w, s, level, tick, slot);
}

void pc_wheel_remove(pc_wheel *w, pc_slots *s, uint32_t slot)
{
    const pc_life *life = pc_slots_life(s, slot);
    if (life->prev & HEAD)
        w->bucket[(life->prev & ~HEAD) >> LEVEL_SHIFT][life->prev & (PC_WHEEL_BUCKETS - 1)] = life->next;
    else
        pc_slots_life(s, life->prev)->next = life->next;
    if (life->next != PC_NIL)
        pc_slots_life(s, life->next)->prev = life->prev;
    w->count--;
}

/* Moves the whole list of a level's next bucket to the pending ones. */
static void take_out(pc_wheel *w, pc_slots *s, unsigned level)
{
    uint32_t *head = &w->bucket[level][w->tick[level]++ & (PC_WHEEL_BUCKETS - 1)];
    w->bucket[PENDING][0] = *head;
    if (*head != PC_NIL)
        pc_slots_life(s, *head)->prev = HEAD | PENDING << LEVEL_SHIFT;
    *head = PC_NIL;
}

/* Takes out the next bucket whose time has come, the finest level first, so that what moves down from a higher one
 * finds the lower ones at the present time. False when there is none. */
static bool advance(pc_wheel *w, pc_slots *s, uint64_t now)
{
    for (unsigned level = 0; level < PC_WHEEL_LEVELS; level++) {
        uint64_t limit = limit_of(level, now);
        if (limit > w->tick[level] + PC_WHEEL_BUCKETS)
            w->tick[level] = limit - PC_WHEEL_BUCKETS; /* after a long sleep every bucket once is enough */
        if (w->tick[level] < limit) {
            take_out(w, s, level);
            return true;
        }
    }
    return false;
}

uint32_t pc_wheel_due(pc_wheel *w, pc_slots *s, uint64_t now, uint32_t *budget)
{
    while (*budget > 0) {
        uint32_t slot = w->bucket[PENDING][0];
        if (slot == PC_NIL) {
            if (!advance(w, s, now))
                return PC_NIL;
            continue;
        }
        --*budget;
        pc_wheel_remove(w, s, slot);
        if (pc_slots_life(s, slot)->deadline <= now)
            return slot;
        pc_wheel_add(w, s, slot);
    }
    return PC_NIL;
}

static bool bucket_valid(const pc_slots *s, uint32_t head, uint32_t prev, uint32_t *count, uint32_t most)
{
    for (uint32_t slot = head; slot != PC_NIL; slot = pc_slots_life(s, slot)->next) {
        if (!pc_slots_in_use(s, slot) || !(pc_slots_node(s, slot)->flags & PC_SLOT_TIMED) ||
            pc_slots_life(s, slot)->prev != prev || ++*count > most)
            return false;
        prev = slot;
    }
    return true;
}

bool pc_wheel_valid(const pc_wheel *w, const pc_slots *s)
{
    uint32_t count = 0;
    for (unsigned level = 0; level <= PENDING; level++)
        for (unsigned i = 0; i < PC_WHEEL_BUCKETS; i++)
            if (!bucket_valid(s, w->bucket[level][i], HEAD | level << LEVEL_SHIFT | i, &count, w->count))
                return false;
    return count == w->count;
}
