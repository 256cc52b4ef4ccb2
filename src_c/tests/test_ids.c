/* Numbers are dense, first come first, and the same id always has the same one. */
#include "../ids.h"
#include "failing_alloc.h"
#include "pc_test.h"

enum { COUNT = 20000 };

static uint64_t ids[COUNT];
static uint32_t numbers[COUNT];

static void numbers_follow_the_first_appearance(void)
{
    uint64_t seed = 7;
    for (int i = 0; i < COUNT; i++)
        ids[i] = (pc_test_random(&seed) >> 40) % 5000 * UINT64_C(0x100000001);
    pc_alloc alloc = pc_alloc_system();
    pc_ids d;
    CHECK(pc_ids_init(&d, &alloc, 1) == PC_OK);
    CHECK(pc_ids_number(&d, ids, numbers, 777) == PC_OK);
    CHECK(pc_ids_number(&d, ids + 777, numbers + 777, COUNT - 777) == PC_OK);
    static uint64_t first[5000];
    uint32_t known = 0;
    for (int i = 0; i < COUNT; i++) {
        CHECK(numbers[i] <= known);
        if (numbers[i] == known)
            first[known++] = ids[i];
        CHECK(first[numbers[i]] == ids[i]);
    }
    for (uint32_t i = 0; i < known; i++) /* dense numbers of different ids */
        for (uint32_t j = 0; j < i; j += 97)
            CHECK(first[i] != first[j]);
    CHECK(known == d.count);
    pc_ids_destroy(&d);
}

static void lack_of_memory_is_told(void)
{
    for (int i = 0; i < COUNT; i++)
        ids[i] = (uint64_t)i << 32;
    for (long allowance = 0; allowance < 9; allowance++) {
        failing_state state = {.allowance = allowance};
        pc_alloc alloc = failing_alloc(&state);
        pc_ids d;
        if (pc_ids_init(&d, &alloc, 1) == PC_OK)
            CHECK(pc_ids_number(&d, ids, numbers, COUNT) == (allowance < 7 ? PC_NO_MEMORY : PC_OK));
        pc_ids_destroy(&d);
        CHECK(state.blocks == 0);
    }
}

int main(void)
{
    RUN(numbers_follow_the_first_appearance);
    RUN(lack_of_memory_is_told);
    return REPORT();
}
