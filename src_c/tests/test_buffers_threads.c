#define _POSIX_C_SOURCE 200112L /* barriers */
/* Buffer pools among threads: magazines over one depot, blocks released by threads that did not borrow them, and one
 * winner when several threads release or view the same block. Meant for the thread sanitizer; right under all. */
#include "../buffers.h"
#include "failing_alloc.h"
#include "pc_test.h"

#include <pthread.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 20000, SHELF = 8 };

typedef struct {
    pc_depot depot;
    pthread_mutex_t lock, shelf_lock;
    pc_block *shelf[SHELF]; /* borrowed blocks on their way to whoever comes next */
    _Atomic int torn;
} hall;

static void lock(hall *h)
{
    pthread_mutex_lock(&h->lock);
}

static void unlock(hall *h)
{
    pthread_mutex_unlock(&h->lock);
}

static void drop(hall *h, pc_block *chain)
{
    while (chain != NULL) {
        pc_block *b = chain;
        chain = b->next;
        pc_block_empty(&h->depot, b);
        lock(h);
        pc_depot_keep_spare(&h->depot, b);
        unlock(h);
    }
}

static pc_block *find_idle(hall *h, pc_magazine *m, unsigned class)
{
    pc_block *b = class < PC_SMALL ? pc_magazine_take(m, class) : NULL;
    if (b != NULL)
        return b;
    lock(h);
    if (class < PC_SMALL)
        pc_depot_refill(&h->depot, m, class);
    else
        b = pc_depot_take(&h->depot, class);
    unlock(h);
    return class < PC_SMALL ? pc_magazine_take(m, class) : b;
}

static pc_block *borrow(hall *h, pc_magazine *m, size_t size)
{
    unsigned class = pc_depot_class(&h->depot, size);
    pc_block *b = find_idle(h, m, class);
    bool fresh = b == NULL;
    if (fresh) {
        lock(h);
        b = pc_depot_spare(&h->depot);
        unlock(h);
        if (b == NULL)
            b = pc_block_new(&h->depot);
        if (pc_block_furnish(&h->depot, b, class, size) != PC_OK)
            abort();
    }
    pc_block_lent(b, fresh, pc_block_lend(&h->depot, b, size), &m->tally);
    return b;
}

static void take_back(hall *h, pc_magazine *m, pc_block *b)
{
    size_t cleared = pc_block_clean(&h->depot, b);
    pc_block_returned(b, cleared, &m->tally);
    if (pc_magazine_give(m, b))
        return;
    pc_block *chain = NULL;
    lock(h);
    if (b->class < PC_SMALL) {
        chain = pc_depot_keep(&h->depot, m, b);
    } else {
        chain = pc_depot_give(&h->depot, b);
    }
    unlock(h);
    drop(h, chain);
}

/* Puts a block on the shelf and takes what lay there. */
static pc_block *exchange(hall *h, pc_block *b, uint64_t chance)
{
    pthread_mutex_lock(&h->shelf_lock);
    pc_block **place = &h->shelf[chance % SHELF], *other = *place;
    *place = b;
    pthread_mutex_unlock(&h->shelf_lock);
    return other;
}

static void finish(hall *h, pc_magazine *m, pc_block *b)
{
    if (pc_block_release(b, pc_block_generation(b), false) == PC_RELEASED)
        take_back(h, m, b);
}

static void *traffic(void *argument)
{
    hall *h = argument;
    pc_magazine *m = calloc(1, sizeof *m);
    uint64_t chance = (uint64_t)(uintptr_t)m;
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = 1 + pc_test_random(&chance) % (i % 16 == 0 ? 200000 : 20000);
        pc_block *b = borrow(h, m, size);
        for (size_t at = 0; at < size; at += 997)
            h->torn += b->memory[at] != 0;
        pc_block_export(b, pc_block_generation(b), size);
        memset(b->memory, 1, size < 256 ? size : 256);
        b->memory[size - 1] = 1;
        pc_block_unexport(b);
        b = exchange(h, b, pc_test_random(&chance));
        if (b != NULL)
            finish(h, m, b);
    }
    lock(h); /* the thread ends: its magazine goes back */
    pc_block *chain = pc_depot_unload_all(&h->depot, m);
    pc_depot_absorb(&h->depot, m);
    unlock(h);
    drop(h, chain);
    free(m);
    return NULL;
}

static void run_threads(void *(*work)(void *), void *argument)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, argument);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static hall *open_hall(void)
{
    hall *h = calloc(1, sizeof *h);
    pc_alloc alloc = pc_alloc_system();
    pc_depot_init(&h->depot, &alloc, 64, 1 << 20, 8 << 20, 20, PC_CLEAR_ON_RETURN);
    pthread_mutex_init(&h->lock, NULL);
    pthread_mutex_init(&h->shelf_lock, NULL);
    return h;
}

static void close_hall(hall *h)
{
    pthread_mutex_destroy(&h->lock);
    pthread_mutex_destroy(&h->shelf_lock);
    pc_depot_destroy(&h->depot);
    free(h);
}

static void blocks_travel_between_threads_and_all_come_home(void)
{
    hall *h = open_hall();
    run_threads(traffic, h);
    pc_magazine m = {.recalls = 0};
    for (int i = 0; i < SHELF; i++)
        if (h->shelf[i] != NULL)
            finish(h, &m, h->shelf[i]);
    drop(h, pc_depot_unload_all(&h->depot, &m));
    pc_depot_absorb(&h->depot, &m);
    const pc_tally *t = &h->depot.tally;
    CHECK(h->torn == 0 && pc_depot_valid(&h->depot));
    CHECK(t->reused + t->made == THREADS * ROUNDS && t->returned == THREADS * ROUNDS);
    CHECK(t->lent_bytes == t->returned_bytes && t->asked_bytes == t->unasked_bytes);
    CHECK(t->made < t->reused);
    close_hall(h);
}

typedef struct {
    hall *h;
    pc_block *block;
    pthread_barrier_t barrier;
    _Atomic int won, viewed;
} duel;

static void *release_or_view(void *argument)
{
    duel *d = argument;
    for (uint64_t generation = 0; generation < ROUNDS / 4; generation++) {
        pthread_barrier_wait(&d->barrier);
        bool last = false;
        if (pc_block_export(d->block, generation, 8)) {
            d->viewed++;
            last = pc_block_unexport(d->block);
        }
        if (last || pc_block_release(d->block, generation, true) == PC_RELEASED)
            d->won++;
        pthread_barrier_wait(&d->barrier);
    }
    return NULL;
}

static void of_many_releases_one_wins(void)
{
    hall *h = open_hall();
    pc_magazine m = {.recalls = 0};
    duel d = {.h = h, .block = borrow(h, &m, 100)};
    pthread_barrier_init(&d.barrier, NULL, THREADS);
    run_threads(release_or_view, &d);
    CHECK(d.won == ROUNDS / 4 && pc_block_generation(d.block) == ROUNDS / 4 && pc_block_views(d.block) == 0);
    pthread_barrier_destroy(&d.barrier);
    take_back(h, &m, d.block);
    drop(h, pc_depot_unload_all(&h->depot, &m));
    close_hall(h);
}

int main(void)
{
    RUN(blocks_travel_between_threads_and_all_come_home);
    RUN(of_many_releases_one_wins);
    return REPORT();
}
