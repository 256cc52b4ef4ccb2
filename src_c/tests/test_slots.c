#include "../slots.h"
#include "failing_alloc.h"
#include "pc_test.h"

static uint32_t take(pc_slots *s, uint32_t hash)
{
    CHECK(pc_slots_reserve(s) == PC_OK);
    uint32_t slot = pc_slots_take(s, hash);
    pc_slots_node(s, slot)->queue = 7;
    return slot;
}

static void give(pc_slots *s, uint32_t slot)
{
    pc_slots_node(s, slot)->queue = PC_QUEUE_FREE;
    pc_slots_give(s, slot);
}

static void growing_moves_no_slot_and_keeps_its_cells(void)
{
    pc_alloc system = pc_alloc_system();
    pc_slots s;
    CHECK(pc_slots_init(&s, &system, 16) == PC_OK);
    for (uint32_t i = 0; i < 3 * PC_CHUNK + 5; i++) {
        CHECK(take(&s, i * 7) == i);
        *(uint64_t *)pc_slots_payload(&s, i) = i + 1;
    }
    for (uint32_t i = 0; i < 3 * PC_CHUNK + 5; i++)
        CHECK(pc_slots_node(&s, i)->hash == i * 7 && *(uint64_t *)pc_slots_payload(&s, i) == i + 1);
    CHECK(pc_slots_valid(&s));
    CHECK(s.bytes >= (size_t)s.capacity * 36 && s.bytes < (size_t)s.capacity * 37);
    pc_slots_destroy(&s);
    CHECK(s.bytes == 0);
}

static void a_freed_slot_comes_back_zeroed(void)
{
    pc_alloc system = pc_alloc_system();
    pc_slots s;
    pc_slots_init(&s, &system, 16);
    uint32_t first = take(&s, 1), second = take(&s, 2);
    *(uint64_t *)pc_slots_payload(&s, first) = 99;
    pc_slots_node(&s, first)->flags = PC_SLOT_TIMED;
    give(&s, first);
    CHECK(pc_slots_in_use(&s, second) && !pc_slots_in_use(&s, first));
    CHECK(take(&s, 3) == first);
    CHECK(*(uint64_t *)pc_slots_payload(&s, first) == 0 && pc_slots_node(&s, first)->flags == 0);
    CHECK(pc_slots_valid(&s));
    pc_slots_destroy(&s);
}

static void a_column_can_be_added_late(void)
{
    pc_alloc system = pc_alloc_system();
    pc_slots s;
    pc_slots_init(&s, &system, 8);
    for (uint32_t i = 0; i < PC_CHUNK + 40; i++)
        take(&s, i);
    CHECK(pc_slots_want_lives(&s) == PC_OK && pc_slots_want_lives(&s) == PC_OK);
    CHECK(pc_slots_life(&s, PC_CHUNK + 39)->deadline == 0);
    pc_slots_life(&s, 3)->deadline = 5;
    for (uint32_t i = 0; i < PC_CHUNK; i++)
        take(&s, i);
    CHECK(pc_slots_life(&s, 3)->deadline == 5 && pc_slots_valid(&s));
    pc_slots_destroy(&s);
}

static void running_out_of_memory_leaves_everything_as_it_was(void)
{
    for (long allowance = 0; allowance < 40; allowance++) {
        failing_state state = {-1, 0};
        pc_alloc alloc = failing_alloc(&state);
        pc_slots s;
        pc_slots_init(&s, &alloc, 16);
        state.allowance = allowance;
        uint32_t taken = 0;
        while (taken < 2 * PC_CHUNK && pc_slots_reserve(&s) == PC_OK)
            pc_slots_node(&s, pc_slots_take(&s, taken++))->queue = 7;
        pc_status lives = pc_slots_want_lives(&s);
        CHECK(lives == PC_OK || s.life.size == 0);
        CHECK(pc_slots_valid(&s) && s.live == taken);
        state.allowance = -1;
        CHECK(pc_slots_reserve(&s) == PC_OK && pc_slots_want_lives(&s) == PC_OK);
        pc_slots_destroy(&s);
        CHECK(state.blocks == 0);
    }
}

int main(void)
{
    RUN(growing_moves_no_slot_and_keeps_its_cells);
    RUN(a_freed_slot_comes_back_zeroed);
    RUN(a_column_can_be_added_late);
    RUN(running_out_of_memory_leaves_everything_as_it_was);
    return REPORT();
}
