/* The ring: what one thread sees, and that many never see a torn, foreign or doubled record. */
#include "../ring.h"
#include "failing_alloc.h"
#include "pc_test.h"
#include "pc_threads.h"

#include <string.h>

static pc_ring *ring_of(uint64_t capacity)
{
    pc_alloc alloc = pc_alloc_system();
    pc_ring *r = pc_ring_create(&alloc, capacity);
    CHECK(r != NULL);
    return r;
}

/* The record that belongs to a ticket, and to no other. */
static bool put_own(pc_ring *r, uint64_t t)
{
    return pc_ring_write(r, t, t, t * UINT64_C(0x9E3779B97F4A7C15), ~t);
}

static bool is_own(const pc_record *record)
{
    uint64_t t = record->word[0];
    return record->word[1] == t * UINT64_C(0x9E3779B97F4A7C15) && record->word[2] == ~t;
}

static uint64_t put_next(pc_ring *r)
{
    return put_own(r, pc_ring_take_tickets(r, 1));
}

static void the_newest_records_are_kept_in_order(void)
{
    enum { CAPACITY = 64 };
    pc_ring *r = ring_of(CAPACITY);
    pc_record out[CAPACITY];
    CHECK(pc_ring_snapshot(r, out) == 0);
    for (uint64_t n = 1; n <= 5 * CAPACITY; n++) {
        CHECK(put_next(r));
        uint64_t count = pc_ring_snapshot(r, out);
        CHECK(count == (n < CAPACITY ? n : CAPACITY));
        for (uint64_t i = 0; i < count; i++)
            CHECK(is_own(&out[i]) && out[i].word[0] == n - count + i);
        CHECK(pc_ring_valid(r) && pc_ring_poisoned(r) == 0);
    }
    pc_ring_destroy(r);
}

static void a_stalled_writer_costs_one_record_a_lap_and_nobody_waits(void)
{
    enum { CAPACITY = 64 };
    pc_ring *r = ring_of(CAPACITY);
    pc_record out[CAPACITY];
    for (int i = 0; i < 10; i++)
        put_next(r);
    uint64_t stalled = pc_ring_take_tickets(r, 1); /* has a ticket, and claimed its slot */
    pc_store(&r->slots[stalled & r->mask].seq, 2 * stalled + 1, memory_order_relaxed);
    uint64_t accepted = 10;
    for (int i = 0; i < 3 * CAPACITY; i++)
        accepted += put_next(r);
    CHECK(pc_load(&r->dropped, memory_order_relaxed) == 3); /* once in each later lap */
    CHECK(accepted + 3 + 1 == pc_load(&r->head, memory_order_relaxed));
    CHECK(pc_ring_snapshot(r, out) == CAPACITY - 1);
    CHECK(pc_ring_poisoned(r) == 1 && !pc_ring_valid(r));
    pc_ring_reset(r);
    CHECK(pc_ring_valid(r) && pc_ring_snapshot(r, out) == 0 && put_next(r) && pc_ring_snapshot(r, out) == 1);
    pc_ring_destroy(r);
}

static void a_writer_that_was_lapped_drops_its_record(void)
{
    enum { CAPACITY = 64 };
    pc_ring *r = ring_of(CAPACITY);
    pc_record out;
    uint64_t late = pc_ring_take_tickets(r, 1);
    CHECK(pc_ring_get(r, late, &out) == PC_RING_UNWRITTEN);
    for (int i = 0; i < CAPACITY; i++)
        CHECK(put_next(r));
    CHECK(!put_own(r, late)); /* the slot has the next lap's record */
    CHECK(pc_ring_get(r, late, &out) == PC_RING_OVERWRITTEN);
    CHECK(pc_load(&r->dropped, memory_order_relaxed) == 1 && pc_ring_valid(r));
    pc_ring_destroy(r);
}

static void a_put_with_the_lock_is_a_put(void)
{
    enum { CAPACITY = 64 };
    pc_ring *one = ring_of(CAPACITY), *other = ring_of(CAPACITY);
    pc_record expected[CAPACITY], found[CAPACITY];
    for (uint64_t i = 0; i < 5 * CAPACITY; i++) {
        if (i == 70) { /* a writer vanishes */
            for (int ring = 0; ring < 2; ring++) {
                pc_ring *r = ring ? other : one;
                uint64_t lost = pc_ring_take_tickets(r, 1);
                pc_store(&r->slots[lost & r->mask].seq, 2 * lost + 1, memory_order_relaxed);
            }
        }
        CHECK(pc_ring_put(one, i, i * 3, ~i) == pc_ring_put_locked(other, i % 3, i, i * 3, ~i));
        uint64_t count = pc_ring_snapshot(one, expected);
        CHECK(count == pc_ring_snapshot(other, found) && memcmp(expected, found, count * sizeof *found) == 0);
    }
    CHECK(pc_load(&one->head, memory_order_relaxed) == pc_load(&other->head, memory_order_relaxed));
    CHECK(pc_load(&other->dropped, memory_order_relaxed) == 3);
    pc_ring_destroy(one);
    pc_ring_destroy(other);
}

static void a_drain_delivers_each_record_once(void)
{
    enum { CAPACITY = 64 };
    pc_ring *r = ring_of(CAPACITY);
    pc_ring_reader reader = {0};
    pc_record out[CAPACITY];
    uint64_t state = 1, expected = 0, delivered = 0;
    for (int round = 0; round < 2000; round++) {
        for (uint64_t n = pc_test_random(&state) % 100; n > 0; n--)
            put_next(r);
        uint64_t head = pc_load(&r->head, memory_order_relaxed);
        if (head - expected > CAPACITY)
            expected = head - CAPACITY;
        uint64_t count = pc_ring_drain(r, &reader, out, pc_test_random(&state) % (CAPACITY + 1));
        for (uint64_t i = 0; i < count; i++)
            CHECK(is_own(&out[i]) && out[i].word[0] == expected++);
        delivered += count;
        CHECK(delivered + reader.missed == reader.next && reader.next == expected);
    }
    CHECK(delivered > 30000 && reader.missed > 1000);
    pc_ring_destroy(r);
}

static void a_drain_comes_back_for_what_was_being_written(void)
{
    enum { CAPACITY = 1024 };
    pc_ring *r = ring_of(CAPACITY);
    pc_ring_reader reader = {0};
    pc_record out[CAPACITY];
    put_next(r);
    uint64_t first = pc_ring_take_tickets(r, 200);
    put_next(r);
    CHECK(pc_ring_drain(r, &reader, out, CAPACITY) == 2);
    CHECK(reader.unsettled_count == PC_RING_UNSETTLED && reader.missed == 200 - PC_RING_UNSETTLED);
    put_own(r, first + 199);
    put_own(r, first + 190);
    CHECK(pc_ring_drain(r, &reader, out, 1) == 1 && out[0].word[0] == first + 190);
    CHECK(pc_ring_drain(r, &reader, out, CAPACITY) == 1 && out[0].word[0] == first + 199);
    CHECK(pc_ring_drain(r, &reader, out, CAPACITY) == 0);
    CHECK(4 + reader.missed + reader.unsettled_count == reader.next);
    for (int i = 0; i < 2 * CAPACITY; i++)
        put_next(r);
    CHECK(pc_ring_drain(r, &reader, out, CAPACITY) == CAPACITY && reader.unsettled_count == 0);
    CHECK(4 + CAPACITY + reader.missed == reader.next);
    pc_ring_destroy(r);
}

static void without_memory_there_is_no_ring(void)
{
    failing_state state = {.allowance = 0};
    pc_alloc alloc = failing_alloc(&state);
    CHECK(pc_ring_create(&alloc, 64) == NULL);
    pc_ring_destroy(NULL);
    state.allowance = -1;
    pc_ring *r = pc_ring_create(&alloc, 4096);
    CHECK(r != NULL && (uintptr_t)r % PC_CACHE_LINE == 0 && (uintptr_t)r->slots % PC_CACHE_LINE == 0);
    CHECK(pc_ring_bytes(r) > 4096 * 32 && pc_ring_bytes(r) < 4096 * 32 + 1024);
    pc_ring_destroy(r);
    CHECK(state.blocks == 0);
}

/* --- many threads ------------------------------------------------------------------------------------------- */

enum { WRITERS = 3 };

typedef struct {
    pc_ring *ring;
    uint64_t puts;                /* of each writer */
    atomic_uint writing;          /* writers that are not finished */
    _Atomic uint64_t accepted;
    uint64_t read, torn, doubled; /* of the one reader */
} stress;

static void check_snapshot(stress *s, pc_record *out)
{
    uint64_t count = pc_ring_snapshot(s->ring, out);
    for (uint64_t i = 0; i < count; i++) {
        s->torn += !is_own(&out[i]);
        s->doubled += i > 0 && out[i].word[0] <= out[i - 1].word[0];
    }
    s->read += count;
}

static void write_or_read(void *context, unsigned index)
{
    stress *s = context;
    if (index < WRITERS) {
        uint64_t accepted = 0;
        for (uint64_t i = 0; i < s->puts; i++)
            accepted += put_next(s->ring);
        atomic_fetch_add(&s->accepted, accepted);
        atomic_fetch_sub(&s->writing, 1);
        return;
    }
    pc_record *out = malloc((size_t)(s->ring->mask + 1) * sizeof *out);
    while (atomic_load(&s->writing) > 0)
        check_snapshot(s, out);
    check_snapshot(s, out);
    free(out);
}

static void stress_ring(uint64_t capacity, uint64_t puts)
{
    stress s = {.ring = ring_of(capacity), .puts = pc_stress(puts), .writing = WRITERS};
    pc_together(WRITERS + 1, write_or_read, &s);
    uint64_t head = pc_load(&s.ring->head, memory_order_relaxed);
    uint64_t dropped = pc_load(&s.ring->dropped, memory_order_relaxed);
    printf("     capacity %5llu: %llu puts, %llu dropped, %llu records read, %llu torn\n", (unsigned long long)capacity,
           (unsigned long long)head, (unsigned long long)dropped, (unsigned long long)s.read, (unsigned long long)s.torn);
    CHECK(s.torn == 0 && s.doubled == 0 && s.read > 0);
    CHECK(head == WRITERS * s.puts && s.accepted + dropped == head);
    CHECK(pc_ring_valid(s.ring));
    pc_ring_destroy(s.ring);
}

static void many_writers_and_a_reader_see_whole_records(void)
{
    stress_ring(64, 100000);
    stress_ring(4096, 100000);
}

/* Writers with a lock, who now and then write without it, and a reader who has none. */
typedef struct {
    stress s;
    atomic_flag lock;
    uint64_t away; /* with the lock */
} locked_stress;

static void lock(locked_stress *l)
{
    while (atomic_flag_test_and_set_explicit(&l->lock, memory_order_acquire))
        sched_yield();
}

static void unlock(locked_stress *l)
{
    atomic_flag_clear_explicit(&l->lock, memory_order_release);
}

static uint64_t put_in_turn(locked_stress *l)
{
    lock(l);
    uint64_t t = pc_load(&l->s.ring->head, memory_order_relaxed); /* ours, if nobody is away */
    bool known = l->away == 0;
    uint64_t accepted = known ? pc_ring_put_locked(l->s.ring, 0, t, t * UINT64_C(0x9E3779B97F4A7C15), ~t)
                              : pc_ring_put_locked(l->s.ring, l->away, 1, UINT64_C(0x9E3779B97F4A7C15), ~UINT64_C(1));
    unlock(l);
    return accepted;
}

static uint64_t put_away(locked_stress *l)
{
    lock(l);
    l->away++;
    unlock(l);
    uint64_t accepted = put_next(l->s.ring);
    lock(l);
    l->away--;
    unlock(l);
    return accepted;
}

static void write_locked_or_read(void *context, unsigned index)
{
    locked_stress *l = context;
    if (index == WRITERS) {
        pc_record *out = malloc((size_t)(l->s.ring->mask + 1) * sizeof *out);
        bool more;
        do {
            more = atomic_load(&l->s.writing) > 0; /* the last look is after the last put, and finds something */
            uint64_t count = pc_ring_snapshot(l->s.ring, out);
            for (uint64_t i = 0; i < count; i++)
                l->s.torn += !is_own(&out[i]);
            l->s.read += count;
        } while (more);
        free(out);
        return;
    }
    uint64_t accepted = 0;
    for (uint64_t i = 0; i < l->s.puts; i++)
        accepted += i % 16 == index ? put_away(l) : put_in_turn(l);
    atomic_fetch_add(&l->s.accepted, accepted);
    atomic_fetch_sub(&l->s.writing, 1);
}

static void writers_with_a_lock_lose_no_ticket_and_tear_no_record(void)
{
    locked_stress l = {.s = {.ring = ring_of(64), .puts = pc_stress(50000), .writing = WRITERS},
                       .lock = ATOMIC_FLAG_INIT};
    pc_together(WRITERS + 1, write_locked_or_read, &l);
    uint64_t head = pc_load(&l.s.ring->head, memory_order_relaxed);
    CHECK(l.s.torn == 0);
    CHECK(l.s.read > 0);
    CHECK(l.away == 0);
    CHECK(head == WRITERS * l.s.puts && l.s.accepted + pc_load(&l.s.ring->dropped, memory_order_relaxed) == head);
    CHECK(pc_ring_valid(l.s.ring));
    pc_ring_destroy(l.s.ring);
}

/* One reader drains while others write: everything that was accepted is delivered or counted, once. */
static void drain_all(void *context, unsigned index)
{
    stress *s = context;
    if (index < WRITERS) {
        write_or_read(context, index);
        return;
    }
    pc_record out[256];
    pc_ring_reader reader = {0};
    uint64_t count;
    do {
        count = pc_ring_drain(s->ring, &reader, out, 256);
        for (uint64_t i = 0; i < count; i++)
            s->torn += !is_own(&out[i]);
        s->read += count;
    } while (count > 0 || atomic_load(&s->writing) > 0);
    s->read += pc_ring_drain(s->ring, &reader, out, 256);
    CHECK(s->read + reader.missed + reader.unsettled_count == reader.next);
}

static void a_drain_beside_writers_accounts_for_every_ticket(void)
{
    stress s = {.ring = ring_of(4096), .puts = pc_stress(50000), .writing = WRITERS};
    pc_together(WRITERS + 1, drain_all, &s);
    CHECK(s.torn == 0 && s.read > 0);
    pc_ring_destroy(s.ring);
}

int main(void)
{
    RUN(the_newest_records_are_kept_in_order);
    RUN(a_stalled_writer_costs_one_record_a_lap_and_nobody_waits);
    RUN(a_writer_that_was_lapped_drops_its_record);
    RUN(a_put_with_the_lock_is_a_put);
    RUN(a_drain_delivers_each_record_once);
    RUN(a_drain_comes_back_for_what_was_being_written);
    RUN(without_memory_there_is_no_ring);
    RUN(many_writers_and_a_reader_see_whole_records);
    RUN(writers_with_a_lock_lose_no_ticket_and_tear_no_record);
    RUN(a_drain_beside_writers_accounts_for_every_ticket);
    return REPORT();
}
