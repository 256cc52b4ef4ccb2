/* wheel.h: hierarchical timer wheel (Varghese and Lauck, SOSP 1987) over the slots' deadlines.
 *
 *     level  bucket       reach        all levels have 64 buckets; a bucket is a list of slots, linked through
 *       0    1.07 s       68.7 s       pc_life.next and .prev
 *       1    68.7 s       73.3 min
 *       2    73.3 min     3.26 days    A slot goes to the lowest level that reaches its deadline. When the clock
 *       3    3.26 days    208 days     enters a bucket of a higher level, its slots move down; when it has left a
 *       4    208 days     36 years     bucket of level 0, its slots have ended.
 *
 * A slot of the wheel is noticed at most 1.07 s late; who needs the exact moment compares the deadline. Deadlines may
 * move later without telling the wheel (idle limits do, on every access): the slot is put back when it comes up.
 * A deadline that moves earlier must be removed and added again.
 *
 * Work per call is bounded by the caller's budget; the wheel continues where it stopped.
 */
#ifndef PC_WHEEL_H
#define PC_WHEEL_H

#include "slots.h"

#define PC_WHEEL_LEVELS 5
#define PC_WHEEL_BUCKETS 64

typedef struct {
    /* First slot of each list, or PC_NIL. The row beyond the levels has one list: slots that were taken out of a
     * bucket whose time has come and are still to be looked at. */
    uint32_t bucket[PC_WHEEL_LEVELS + 1][PC_WHEEL_BUCKETS];
    uint64_t tick[PC_WHEEL_LEVELS]; /* the next bucket of the level to take out, counted since time 0 */
    uint32_t count;
} pc_wheel;

void pc_wheel_init(pc_wheel *w, uint64_t now);

/* Adds a slot whose deadline is set. It must not be in the wheel. */
void pc_wheel_add(pc_wheel *w, pc_slots *s, uint32_t slot);

/* Takes a slot out; it must be there. */
void pc_wheel_remove(pc_wheel *w, pc_slots *s, uint32_t slot);

/* Takes out and returns a slot that has ended, or PC_NIL when none is due or the budget is used up. Each slot looked
 * at costs one of *budget; buckets that are passed cost nothing, there are at most 320 of them a call. */
uint32_t pc_wheel_due(pc_wheel *w, pc_slots *s, uint64_t now, uint32_t *budget);

/* Whether the lists are sound and hold `count` slots. O(n), for tests. */
bool pc_wheel_valid(const pc_wheel *w, const pc_slots *s);

#endif
