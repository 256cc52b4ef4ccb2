/* A census counts each block that was born once, by the word at its place, and reads nothing that it must not. */
#include "../census.h"
#include "failing_alloc.h"
#include "pc_test.h"

#include <stdlib.h>
#include <string.h>

enum { KINDS = 300, PLACES = 3 };

static const size_t PLACE[PLACES] = {8, 24, 40};

static uintptr_t word_of(uint64_t kind)
{
    return (uintptr_t)(0x7f0000000000 + kind * 1072);
}

static pc_census *census_of(unsigned kinds)
{
    static pc_census c;
    pc_alloc alloc = pc_alloc_system();
    CHECK(pc_census_init(&c, &alloc, kinds) == PC_OK);
    for (unsigned i = 0; i < kinds; i++)
        CHECK(pc_census_add(&c, word_of(i), PLACE[i % PLACES]) == PC_OK);
    return &c;
}

/* A block that holds one word, and whose end is where the sanitizer says so. */
static char *born(pc_census *c, size_t size, size_t place, uintptr_t word)
{
    char *block = calloc(1, size);
    pc_census_born(c, block, size);
    if (place + sizeof word <= size)
        memcpy(block + place, &word, sizeof word);
    return block;
}

static void gone(pc_census *c, char *block)
{
    pc_census_gone(c, block);
    free(block);
}

/* Against plain counting, with blocks of all sizes, words that do not count, and right words at wrong places. */
static void each_block_is_counted_once(void)
{
    enum { ALIVE = 5000, STEPS = 200000 };
    static char *alive[ALIVE];
    uint64_t seed = 3, expected[KINDS] = {0}, births = 0;
    pc_census *c = census_of(KINDS);
    for (int step = 0; step < STEPS; step++) {
        size_t i = pc_test_random(&seed) % ALIVE;
        if (alive[i] != NULL)
            gone(c, alive[i]);
        uint64_t kind = pc_test_random(&seed) % (2 * KINDS); /* half of them unknown */
        size_t place = PLACE[pc_test_random(&seed) % PLACES], size = 1 + pc_test_random(&seed) % 64;
        alive[i] = born(c, size, place, word_of(kind));
        births++;
        if (kind < KINDS && place == PLACE[kind % PLACES] && place + sizeof(uintptr_t) <= size)
            expected[kind]++;
    }
    pc_census_end(c);
    CHECK(c->born == births);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        const pc_kind *found = pc_census_find(c, word_of(kind));
        CHECK(found->gone + found->stayed == expected[kind] && expected[kind] > 0);
    }
    CHECK(pc_census_find(c, word_of(KINDS)) == NULL && pc_census_find(c, 0) == NULL);
    for (int i = 0; i < ALIVE; i++)
        free(alive[i]);
    pc_census_destroy(c);
}

static void what_goes_at_once_is_told_from_what_stays(void)
{
    pc_census *c = census_of(2);
    static char *kept[3000];
    for (int i = 0; i < 3000; i++) {
        gone(c, born(c, 48, PLACE[0], word_of(0)));
        kept[i] = born(c, 48, PLACE[1], word_of(1));
    }
    pc_census_end(c);
    const pc_kind *first = pc_census_find(c, word_of(0)), *second = pc_census_find(c, word_of(1));
    CHECK(first->gone == 3000 && first->stayed == 0 && second->gone == 0 && second->stayed == 3000);
    for (int i = 0; i < 3000; i++)
        free(kept[i]);
    pc_census_destroy(c);
}

static void what_moved_or_was_not_born_is_not_read(void)
{
    pc_census *c = census_of(1);
    char *block = born(c, 48, PLACE[0], word_of(0)), *other = calloc(1, 48);
    pc_census_moved(c, block);
    free(block); /* read now, the sanitizer would say so */
    pc_census_moved(c, other);
    pc_census_gone(c, other);
    pc_census_gone(c, NULL);
    free(other);
    pc_census_end(c);
    CHECK(pc_census_find(c, word_of(0))->stayed == 0);
    pc_census_destroy(c);
}

static void bounds_are_kept(void)
{
    pc_census *c = census_of(0);
    CHECK(pc_census_add(c, 16, 8) == PC_OK); /* room is a power of two, and more than was asked for */
    while (pc_census_add(c, 16 * (c->count + 1), 8) == PC_OK)
        CHECK(c->count < 100);
    pc_census_destroy(c);
    CHECK(pc_census_find(c, 16) == NULL);
    c = census_of(10);
    for (size_t place = 0; place < PC_CENSUS_PLACES - PLACES; place++)
        CHECK(pc_census_add(c, 16 * (place + 1), 100 + place) == PC_OK);
    CHECK(pc_census_add(c, 1600, 200) == PC_TOO_LARGE);
    pc_census_destroy(c);
    failing_state state = {.allowance = 0};
    pc_alloc alloc = failing_alloc(&state);
    CHECK(pc_census_init(c, &alloc, 10) == PC_NO_MEMORY && pc_census_init(c, &alloc, SIZE_MAX / 4) == PC_TOO_LARGE);
}

int main(void)
{
    RUN(each_block_is_counted_once);
    RUN(what_goes_at_once_is_told_from_what_stays);
    RUN(what_moved_or_was_not_born_is_not_read);
    RUN(bounds_are_kept);
    return REPORT();
}
