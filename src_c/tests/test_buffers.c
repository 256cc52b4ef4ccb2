/* Buffer pools: what a block may be lent as, who may take it back, and what is left when nobody wants it. */
#include "../buffers.h"
#include "failing_alloc.h"
#include "pc_test.h"

#include <string.h>

enum { ROOM = 64 << 20 };

static pc_depot depot_of(failing_state *state, pc_clearing clearing)
{
    pc_depot d;
    *state = (failing_state){.allowance = -1};
    pc_alloc alloc = failing_alloc(state);
    pc_depot_init(&d, &alloc, 64, 64 << 20, ROOM, 20, clearing);
    return d;
}

/* What a caller does for a request, without magazines. */
static pc_block *borrow(pc_depot *d, size_t size)
{
    unsigned class = pc_depot_class(d, size);
    pc_block *b = pc_depot_take(d, class);
    bool fresh = b == NULL;
    if (fresh) {
        b = pc_depot_spare(d);
        if (b == NULL)
            b = pc_block_new(d);
        if (b == NULL)
            return NULL;
        if (pc_block_furnish(d, b, class, size) != PC_OK) {
            pc_depot_keep_spare(d, b);
            return NULL;
        }
    }
    pc_block_lent(b, fresh, pc_block_lend(d, b, size), &d->tally);
    return b;
}

static void drop(pc_depot *d, pc_block *chain)
{
    while (chain != NULL) {
        pc_block *b = chain;
        chain = b->next;
        pc_block_empty(d, b);
        pc_depot_keep_spare(d, b);
    }
}

static void take_back(pc_depot *d, pc_block *b)
{
    size_t cleared = pc_block_clean(d, b);
    pc_block_returned(b, cleared, &d->tally);
    drop(d, pc_depot_give(d, b));
}

static pc_verdict give_back(pc_depot *d, pc_block *b, uint64_t generation)
{
    pc_verdict verdict = pc_block_release(b, generation, false);
    if (verdict == PC_RELEASED)
        take_back(d, b);
    return verdict;
}

static void close_depot(pc_depot *d, const failing_state *state)
{
    CHECK(pc_depot_valid(d));
    pc_depot_destroy(d);
    CHECK(state->blocks == 0);
}

static bool all_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static void the_smallest_class_that_fits_is_chosen(void)
{
    unsigned previous = 0;
    for (size_t size = 1; size <= 1 << 22; size++) {
        unsigned class = pc_class_of(size);
        if (class != previous || size == 1)
            CHECK(class == 0 || pc_class_size(class - 1) == size - 1);
        previous = class;
        if (pc_class_size(class) < size)
            CHECK(false);
    }
    CHECK(pc_class_size(0) == 1024 && pc_class_size(1) == 4096 && pc_class_size(2) == 16384);
    CHECK(pc_class_size(3) == 65536 && pc_class_size(4) == 81920 && pc_class_size(7) == 131072);
    CHECK(pc_class_size(PC_CLASSES - 1) == PC_LARGEST && pc_class_of(PC_LARGEST) == PC_CLASSES - 1);
    CHECK(pc_class_of(PC_LARGEST + 1) == PC_OVERSIZE && pc_class_of(SIZE_MAX) == PC_OVERSIZE);
}

static void at_most_a_quarter_is_wasted_above_the_small_classes(void)
{
    for (unsigned class = PC_SMALL; class < PC_CLASSES; class++) {
        size_t least = pc_class_size(class - 1) + 1, size = pc_class_size(class);
        CHECK(pc_class_of(least) == class && pc_class_of(size) == class);
        CHECK((size - least) * 4 < size);
    }
}

static void a_block_comes_back_cleared_and_aligned(void)
{
    const size_t sizes[] = {1, 1000, 5000, 65536, 100000, 3 << 20};
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pc_block *b = borrow(&d, sizes[i]);
        uint64_t generation = pc_block_generation(b);
        CHECK((uintptr_t)b->memory % 64 == 0 && all_zero(b->memory, sizes[i]));
        CHECK(pc_block_export(b, generation, sizes[i]));
        memset(b->memory, 255, sizes[i]);
        CHECK(!pc_block_unexport(b));
        CHECK(give_back(&d, b, generation) == PC_RELEASED);
        CHECK(pc_depot_valid(&d));
        CHECK(borrow(&d, sizes[i]) == b && all_zero(b->memory, sizes[i]));
        CHECK(give_back(&d, b, generation + 1) == PC_RELEASED);
    }
    CHECK(d.tally.cleared_bytes == 1 + 1000 + 5000 + 65536 + 100000 + (3 << 20));
    CHECK(d.tally.lent_bytes == d.tally.returned_bytes && d.tally.asked_bytes == d.tally.unasked_bytes);
    close_depot(&d, &state);
}

static void only_what_could_be_written_is_cleared(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_block *b = borrow(&d, 60000);
    CHECK(give_back(&d, b, 0) == PC_RELEASED && d.tally.cleared_bytes == 0);
    CHECK(borrow(&d, 60000) == b && pc_block_export(b, 1, 100) && pc_block_export(b, 1, 50));
    CHECK(!pc_block_unexport(b) && !pc_block_unexport(b));
    CHECK(give_back(&d, b, 1) == PC_RELEASED && d.tally.cleared_bytes == 100);
    close_depot(&d, &state);
}

static void clearing_can_wait_or_be_left_out(void)
{
    failing_state state;
    for (int mode = PC_CLEAR_ON_ACQUIRE; mode <= PC_CLEAR_NEVER; mode++) {
        pc_depot d = depot_of(&state, (pc_clearing)mode);
        pc_block *b = borrow(&d, 4000);
        CHECK(pc_block_export(b, 0, 4000));
        memset(b->memory, 7, 4000);
        pc_block_unexport(b);
        CHECK(give_back(&d, b, 0) == PC_RELEASED && d.tally.cleared_bytes == 0);
        CHECK(borrow(&d, 2000) == b && all_zero(b->memory, 2000) == (mode == PC_CLEAR_ON_ACQUIRE));
        CHECK(give_back(&d, b, 1) == PC_RELEASED);
        close_depot(&d, &state);
    }
}

static void a_generation_ends_once(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_block *b = borrow(&d, 10);
    CHECK(pc_block_held(b, 0) && give_back(&d, b, 0) == PC_RELEASED);
    CHECK(give_back(&d, b, 0) == PC_STALE && !pc_block_held(b, 0) && !pc_block_export(b, 0, 10));
    CHECK(borrow(&d, 10) == b && pc_block_held(b, 1)); /* somebody else's by now */
    CHECK(give_back(&d, b, 0) == PC_STALE && pc_block_held(b, 1));
    CHECK(give_back(&d, b, 1) == PC_RELEASED);
    close_depot(&d, &state);
}

static void a_block_with_views_is_not_recycled(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_block *b = borrow(&d, 10);
    CHECK(pc_block_export(b, 0, 10) && pc_block_export(b, 0, 10) && pc_block_views(b) == 2);
    CHECK(give_back(&d, b, 0) == PC_EXPORTED && pc_block_held(b, 0));
    CHECK(pc_block_release(b, 0, true) == PC_DEFERRED && !pc_block_held(b, 0));
    CHECK(pc_block_release(b, 0, true) == PC_STALE && !pc_block_export(b, 0, 10));
    CHECK(!pc_block_unexport(b) && pc_block_unexport(b)); /* the second was the last */
    take_back(&d, b);
    CHECK(pc_block_generation(b) == 1 && borrow(&d, 10) == b);
    CHECK(give_back(&d, b, 1) == PC_RELEASED);
    close_depot(&d, &state);
}

static void racks_keep_no_more_than_they_may(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_block *blocks[30];
    for (int i = 0; i < 30; i++)
        blocks[i] = borrow(&d, 4096);
    for (int i = 0; i < 30; i++)
        CHECK(give_back(&d, blocks[i], 0) == PC_RELEASED);
    CHECK(d.racks[1].count == 20 && d.tally.discarded == 10 && d.idle_bytes == 20 * 4096);
    for (int i = 0; i < 3; i++)
        blocks[i] = borrow(&d, 30 << 20);
    for (int i = 0; i < 3; i++)
        CHECK(give_back(&d, blocks[i], pc_block_generation(blocks[i])) == PC_RELEASED);
    CHECK(d.idle_bytes <= ROOM && d.tally.discarded == 12); /* 32 MB blocks: one fits beside the small ones */
    close_depot(&d, &state);
}

static void what_is_too_large_is_made_and_given_back(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_block *b = borrow(&d, (64 << 20) + 1);
    CHECK(b->class == PC_OVERSIZE && b->size >= (64 << 20) + 1 && d.tally.oversize == 1);
    b->memory[64 << 20] = 1;
    CHECK(give_back(&d, b, 0) == PC_RELEASED && b->memory == NULL && d.idle_bytes == 0);
    CHECK(d.tally.discarded == 0 && give_back(&d, b, 0) == PC_STALE); /* the descriptor is still there to say so */
    CHECK(borrow(&d, 10) == b && pc_block_generation(b) == 1 && give_back(&d, b, 1) == PC_RELEASED);
    close_depot(&d, &state);
}

static void trimming_frees_the_largest_first(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_block *small[4], *large = borrow(&d, 1 << 20);
    for (int i = 0; i < 4; i++)
        small[i] = borrow(&d, 1024);
    for (int i = 0; i < 4; i++)
        CHECK(give_back(&d, small[i], 0) == PC_RELEASED);
    CHECK(give_back(&d, large, 0) == PC_RELEASED);
    drop(&d, pc_depot_trim(&d, 4096));
    CHECK(large->memory == NULL && d.idle_bytes == 4096 && d.tally.trimmed == 1);
    drop(&d, pc_depot_trim(&d, 2048));
    CHECK(d.idle_bytes == 2048 && small[0]->memory == NULL && small[3]->memory != NULL); /* the coldest went */
    close_depot(&d, &state);
}

static void what_nobody_needed_for_a_while_goes(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_block *blocks[10];
    for (int i = 0; i < 10; i++)
        blocks[i] = borrow(&d, 1024);
    for (int i = 0; i < 10; i++)
        give_back(&d, blocks[i], 0);
    drop(&d, pc_depot_age(&d));
    CHECK(d.racks[0].count == 10); /* all ten were out a moment ago */
    for (int i = 0; i < 3; i++)
        blocks[i] = borrow(&d, 1024);
    for (int i = 0; i < 3; i++)
        give_back(&d, blocks[i], pc_block_generation(blocks[i]));
    drop(&d, pc_depot_age(&d));
    CHECK(d.racks[0].count == 3); /* never more than three were needed */
    drop(&d, pc_depot_age(&d));
    CHECK(d.racks[0].count == 0);
    close_depot(&d, &state);
}

static void magazines_load_and_unload_by_the_batch(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_magazine m = {.recalls = 0};
    pc_block *blocks[PC_MAGAZINE + 1];
    for (int i = 0; i <= PC_MAGAZINE; i++)
        blocks[i] = borrow(&d, 1024);
    CHECK(!pc_magazine_give(&m, blocks[0])); /* it has been granted nothing yet */
    for (int i = 0; i < PC_MAGAZINE; i++)
        CHECK(i % PC_BATCH == 0 ? pc_depot_keep(&d, &m, blocks[i]) == NULL : pc_magazine_give(&m, blocks[i]));
    CHECK(!pc_magazine_give(&m, blocks[PC_MAGAZINE]) && pc_magazine_valid(&m) && d.granted == PC_MAGAZINE * 1024);
    drop(&d, pc_depot_unload(&d, &m, 0));
    CHECK(m.counts[0] == PC_BATCH && d.racks[0].count == PC_BATCH && d.granted == PC_BATCH * 1024);
    CHECK(pc_depot_keep(&d, &m, blocks[PC_MAGAZINE]) == NULL && m.counts[0] == PC_BATCH + 1 && pc_depot_valid(&d));
    drop(&d, pc_depot_unload_all(&d, &m));
    CHECK(m.counts[0] == 0 && m.idle_bytes == 0 && d.granted == 0 && m.granted == 0 &&
          d.racks[0].count == PC_MAGAZINE + 1);
    CHECK(pc_magazine_take(&m, 0) == NULL);
    pc_depot_refill(&d, &m, 0);
    CHECK(m.counts[0] == PC_BATCH && pc_magazine_take(&m, 0) != NULL && pc_magazine_valid(&m));
    drop(&d, pc_depot_unload_all(&d, &m));
    m.tally.made = 5;
    pc_depot_absorb(&d, &m);
    CHECK(m.tally.made == 0 && d.tally.made == PC_MAGAZINE + 1 + 5);
    drop(&d, pc_depot_trim(&d, 0));
    d.tally.made = 0;
    pc_depot_valid(&d);
    /* one block was taken from the magazine and is with nobody: hand it back before the end */
    for (int i = 0; i <= PC_MAGAZINE; i++)
        if (blocks[i]->memory != NULL)
            take_back(&d, blocks[i]);
    close_depot(&d, &state);
}

/* Whatever is lent, kept, moved and unloaded: racks and magazines together never hold more than they may. */
static void magazines_count_against_the_bytes_that_may_be_idle(void)
{
    enum { MAGAZINES = 3, LENT = 64, STEPS = 20000 };
    static const size_t sizes[] = {1024, 4096, 16384, 65536, 81920};
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_magazine m[MAGAZINES] = {{.recalls = 0}};
    pc_block *lent[LENT] = {NULL};
    uint64_t seed = 11, most = 0;
    d.max_bytes = 300000;
    d.per_class = 100;
    for (int step = 0; step < STEPS; step++) {
        pc_magazine *own = &m[pc_test_random(&seed) % MAGAZINES];
        size_t i = pc_test_random(&seed) % LENT;
        if (lent[i] != NULL) {
            pc_block *b = lent[i];
            lent[i] = NULL;
            CHECK(pc_block_release(b, pc_block_generation(b), false) == PC_RELEASED);
            pc_block_clean(&d, b);
            if (!pc_magazine_give(own, b))
                drop(&d, b->class < PC_SMALL ? pc_depot_keep(&d, own, b) : pc_depot_give(&d, b));
        } else {
            size_t size = sizes[pc_test_random(&seed) % 5];
            unsigned class = pc_depot_class(&d, size);
            if (class < PC_SMALL && own->counts[class] == 0)
                pc_depot_refill(&d, own, class);
            lent[i] = class < PC_SMALL ? pc_magazine_take(own, class) : pc_depot_take(&d, class);
            if (lent[i] == NULL)
                lent[i] = borrow(&d, size);
            else
                pc_block_lend(&d, lent[i], size);
        }
        if (step % 97 == 0)
            drop(&d, pc_depot_unload_all(&d, own));
        uint64_t idle = d.idle_bytes;
        for (int k = 0; k < MAGAZINES; k++) {
            idle += m[k].idle_bytes;
            CHECK(pc_magazine_valid(&m[k]));
        }
        CHECK(idle <= d.max_bytes && pc_depot_valid(&d));
        most = idle > most ? idle : most;
    }
    CHECK(most > d.max_bytes / 2);
    for (int k = 0; k < MAGAZINES; k++)
        drop(&d, pc_depot_unload_all(&d, &m[k]));
    CHECK(d.granted == 0);
    for (int i = 0; i < LENT; i++)
        if (lent[i] != NULL)
            give_back(&d, lent[i], pc_block_generation(lent[i]));
    close_depot(&d, &state);
}

static void large_blocks_are_no_magazines_business(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_magazine m = {.recalls = 0};
    pc_block *b = borrow(&d, 100000);
    CHECK(!pc_magazine_give(&m, b));
    CHECK(give_back(&d, b, 0) == PC_RELEASED);
    close_depot(&d, &state);
}

static void a_closed_depot_keeps_nothing(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    pc_block *b = borrow(&d, 100);
    d.closed = true;
    CHECK(give_back(&d, b, 0) == PC_RELEASED && b->memory == NULL && d.idle_bytes == 0);
    close_depot(&d, &state);
}

static void without_memory_nothing_is_lost(void)
{
    failing_state state;
    pc_depot d = depot_of(&state, PC_CLEAR_ON_RETURN);
    for (long allowance = 0; allowance < 2; allowance++) { /* no descriptor; a descriptor and no block */
        state.allowance = allowance;
        CHECK(borrow(&d, 1000) == NULL && pc_depot_valid(&d));
    }
    CHECK(d.spares != NULL);
    state.allowance = -1;
    CHECK(borrow(&d, SIZE_MAX) == NULL && borrow(&d, SIZE_MAX / 2) == NULL && pc_depot_valid(&d));
    close_depot(&d, &state);
}

int main(void)
{
    RUN(the_smallest_class_that_fits_is_chosen);
    RUN(at_most_a_quarter_is_wasted_above_the_small_classes);
    RUN(a_block_comes_back_cleared_and_aligned);
    RUN(only_what_could_be_written_is_cleared);
    RUN(clearing_can_wait_or_be_left_out);
    RUN(a_generation_ends_once);
    RUN(a_block_with_views_is_not_recycled);
    RUN(racks_keep_no_more_than_they_may);
    RUN(what_is_too_large_is_made_and_given_back);
    RUN(trimming_frees_the_largest_first);
    RUN(what_nobody_needed_for_a_while_goes);
    RUN(magazines_load_and_unload_by_the_batch);
    RUN(magazines_count_against_the_bytes_that_may_be_idle);
    RUN(large_blocks_are_no_magazines_business);
    RUN(a_closed_depot_keeps_nothing);
    RUN(without_memory_nothing_is_lost);
    return REPORT();
}
