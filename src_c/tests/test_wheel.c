#include "../wheel.h"
#include "pc_test.h"

#define SECOND UINT64_C(1000000000)
#define LATE (UINT64_C(1) << 30) /* how late the wheel may notice: one bucket of level 0 */
enum { SLOTS = 3000 };

static pc_slots slots;
static pc_wheel wheel;

static void start(uint64_t now)
{
    pc_alloc system = pc_alloc_system();
    pc_slots_init(&slots, &system, 8);
    CHECK(pc_slots_want_lives(&slots) == PC_OK);
    pc_wheel_init(&wheel, now);
}

static uint32_t add(uint64_t deadline)
{
    CHECK(pc_slots_reserve(&slots) == PC_OK);
    uint32_t slot = pc_slots_take(&slots, 0);
    pc_slots_node(&slots, slot)->queue = 7;
    pc_slots_node(&slots, slot)->flags = PC_SLOT_TIMED;
    pc_slots_life(&slots, slot)->deadline = deadline;
    pc_wheel_add(&wheel, &slots, slot);
    return slot;
}

static uint32_t due_all(uint64_t now, bool gone[SLOTS])
{
    uint32_t budget = UINT32_MAX, n = 0;
    for (uint32_t slot; (slot = pc_wheel_due(&wheel, &slots, now, &budget)) != PC_NIL; n++) {
        CHECK(pc_slots_life(&slots, slot)->deadline <= now);
        if (gone) {
            CHECK(!gone[slot]);
            gone[slot] = true;
        }
    }
    CHECK(pc_wheel_valid(&wheel, &slots));
    return n;
}

/* Random deadlines up to `reach` ahead and random steps of the clock: each slot comes up once, never early, and at
 * most one bucket of level 0 late when the wheel is asked at that moment. */
static void random_life(uint64_t reach, uint64_t step, uint64_t seed)
{
    static bool gone[SLOTS];
    static uint64_t deadline[SLOTS];
    uint64_t now = pc_test_random(&seed) >> 8;
    start(now);
    uint32_t n = 0, seen = 0;
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 7 && n < SLOTS; i++, n++) {
            deadline[n] = now + pc_test_random(&seed) % reach;
            CHECK(add(deadline[n]) == n);
            gone[n] = false;
        }
        now += pc_test_random(&seed) % step;
        seen += due_all(now, gone);
        for (uint32_t i = 0; i < n; i++)
            CHECK(gone[i] || deadline[i] + LATE > now);
    }
    for (uint32_t i = 0; i < n; i++)
        CHECK(!gone[i] || deadline[i] <= now);
    CHECK(wheel.count == n - seen);
    pc_slots_destroy(&slots);
}

static void every_slot_comes_up_once_and_in_time(void)
{
    random_life(60 * SECOND, SECOND, 1);
    random_life(3600 * SECOND, 20 * SECOND, 2);
    random_life(86400 * 30 * SECOND, 3600 * SECOND, 3);
    random_life(86400 * 365 * 10 * SECOND, 86400 * 3 * SECOND, 4);
    random_life(SECOND / 10, 86400 * SECOND, 5);
    random_life(3600 * SECOND, 100 * 3600 * SECOND, 6);
}

static void what_is_beyond_all_levels_waits(void)
{
    start(0);
    uint32_t slot = add(UINT64_MAX / 2);
    uint64_t year = UINT64_C(86400) * 365 * SECOND;
    for (uint64_t now = 0; now < 200 * year; now += year / 2)
        CHECK(due_all(now, NULL) == 0);
    uint32_t budget = UINT32_MAX;
    CHECK(pc_wheel_due(&wheel, &slots, UINT64_MAX / 2 + 2 * LATE, &budget) == slot);
    pc_slots_destroy(&slots);
}

static void the_budget_bounds_the_work_and_nothing_is_lost(void)
{
    start(0);
    for (uint32_t i = 0; i < 1000; i++)
        add((i % 50) * SECOND);
    uint32_t seen = 0, calls = 0;
    while (seen < 1000 && calls++ < 1000) {
        uint32_t budget = 10;
        while (pc_wheel_due(&wheel, &slots, 60 * SECOND, &budget) != PC_NIL)
            seen++;
        CHECK(budget == 0 || seen == 1000);
    }
    CHECK(seen == 1000 && calls < 130);
    pc_slots_destroy(&slots);
}

static void a_deadline_that_moved_later_is_put_back(void)
{
    start(0);
    uint32_t slot = add(5 * SECOND);
    pc_slots_life(&slots, slot)->deadline = 500 * SECOND;
    CHECK(due_all(400 * SECOND, NULL) == 0 && due_all(502 * SECOND, NULL) == 1);
    pc_slots_destroy(&slots);
}

static void slots_can_be_removed_anywhere(void)
{
    start(0);
    uint64_t seed = 7;
    for (uint32_t i = 0; i < 500; i++)
        add(pc_test_random(&seed) % (10000 * SECOND));
    for (uint32_t i = 0; i < 500; i += 2)
        pc_wheel_remove(&wheel, &slots, i);
    CHECK(pc_wheel_valid(&wheel, &slots) && wheel.count == 250);
    CHECK(due_all(20000 * SECOND, NULL) == 250);
    pc_slots_destroy(&slots);
}

int main(void)
{
    RUN(every_slot_comes_up_once_and_in_time);
    RUN(what_is_beyond_all_levels_waits);
    RUN(the_budget_bounds_the_work_and_nothing_is_lost);
    RUN(a_deadline_that_moved_later_is_put_back);
    RUN(slots_can_be_removed_anywhere);
    return REPORT();
}
