/* ring.h: the flight recorder: many writers, the oldest record is overwritten, and nobody ever waits.
 *
 *     head 4711 ─┐  the ticket of the next record; slot = ticket mod capacity
 *     ┌──────────▼─────────────────────────────┐
 *     │ seq │ word │ word │ word │ seq │ word …│   32 bytes a slot, two to a cache line
 *     └────────────────────────────────────────┘
 *     seq of a slot:  0 never written · 2t+1 the writer of ticket t is at work · 2t+2 holds the record of ticket t
 *
 * A record is three 64-bit words, whose meaning is the caller's. A writer takes a ticket, claims the slot by moving
 * seq from a finished lap to 2t+1, stores the words, and publishes with 2t+2. A reader of ticket t accepts the words
 * only when seq was 2t+2 before it read them and still is afterwards.
 *
 * Promises
 *   - Writers are wait-free: one fetch_add, one compare-exchange, four stores; no loop and no lock. A thread that
 *     is stopped in the middle delays nobody.
 *   - Readers never delay writers.
 *   - What a reader accepts is the record of exactly that ticket, whole. No snapshot has a record twice; records come
 *     in the order of their tickets.
 *   - head == accepted + dropped, always exact when no put is under way.
 *
 * What is lost, and that it is counted: the oldest records, by being overwritten (that is the purpose); and the
 * newest one, when its writer meets a peer that is still at work a whole lap behind, or was itself overtaken by a
 * lap (`dropped`: about one in 10,000 with three writers in a tight loop and 4096 slots).
 *
 * Where writers hold a lock anyway, as Python's threads hold the GIL, a put needs neither of the two locked instructions,
 * which are 8 of its 30 ns (pc_ring_put_locked). Readers need no lock then either.
 *
 * A writer that vanishes in the middle of a put leaves an odd seq behind, and every later lap drops one record
 * there. Threads do not vanish inside a C call, but fork() copies only one of them: call pc_ring_reset in the child.
 * pc_ring_poisoned counts such slots.
 *
 * Tickets do not wrap: 2^63 of them are 292 years at one in a nanosecond.
 *
 * Checked by tests/proofs (this file under Relacy and under a view machine, with every ordering weakened in turn;
 * the protocol in Spin) and by src_c/tests/test_ring.c under ThreadSanitizer. The claim's acquire is the one order
 * that Relacy cannot miss the lack of, because there the order of modification is the order of execution; the view
 * machine does.
 */
#ifndef PC_RING_H
#define PC_RING_H

#include "alloc.h"
#include "atomic.h"

#include <stdalign.h>

#define PC_RING_WORDS 3
#define PC_RING_SMALLEST 64u        /* below, writers in a tight loop would lap each other all the time */
#define PC_RING_LARGEST (1u << 30)  /* 32 GiB; a typing error, not a wish */
#define PC_RING_AHEAD 16u           /* puts between asking for a slot's line and writing it */
#define PC_RING_UNSETTLED 64u       /* tickets that a reader keeps an eye on */

typedef struct {
    pc_atomic_u64 seq;
    pc_atomic_u64 word[PC_RING_WORDS];
} pc_ring_slot;

typedef struct {
    alignas(PC_CACHE_LINE) pc_atomic_u64 head;    /* tickets taken; every put writes it */
    alignas(PC_CACHE_LINE) pc_atomic_u64 dropped; /* records that found no slot */
    alignas(PC_CACHE_LINE) pc_ring_slot *slots;   /* constant from here on */
    uint64_t mask;                                /* capacity - 1 */
    void *block;                                  /* what alloc gave */
    pc_alloc alloc;
} pc_ring;

typedef struct {
    uint64_t word[PC_RING_WORDS];
} pc_record;

/* A reader that takes each record once (pc_ring_drain). Zeroed, it stands at the first ticket. One thread at a time. */
typedef struct {
    uint64_t next;                            /* all tickets before it were looked at */
    uint64_t missed;                          /* of those, the ones that will never be delivered */
    uint64_t unsettled[PC_RING_UNSETTLED]; /* and the ones that were being written, or dropped: not yet known which */
    unsigned unsettled_count;
} pc_ring_reader;

typedef enum {
    PC_RING_RECORD, /* here it is */
    PC_RING_UNWRITTEN, /* not yet written, or dropped: the slot still belongs to an earlier lap */
    PC_RING_OVERWRITTEN,
} pc_ring_found;

/* A ring of a power of two of slots, from PC_RING_SMALLEST to PC_RING_LARGEST; NULL when memory ran out. */
pc_ring *pc_ring_create(const pc_alloc *alloc, uint64_t capacity);
void pc_ring_destroy(pc_ring *r);

/* Empties the ring and both counts. Only where no other thread uses it: in a child after fork(). */
void pc_ring_reset(pc_ring *r);

/* Copies the records of the last capacity tickets that are complete, oldest first, to `out` (room for capacity
 * records). Returns how many. Any thread, any time. */
uint64_t pc_ring_snapshot(const pc_ring *r, pc_record *out);

/* Copies at most `room` records that this reader has not had. Returns how many. A record that was being written comes
 * with the next call; one that was overwritten or dropped is counted in `missed`. Always
 * delivered + missed + unsettled_count == next. */
uint64_t pc_ring_drain(const pc_ring *r, pc_ring_reader *reader, pc_record *out, uint64_t room);

/* Slots in which a put is under way at this moment; when it stays, its writer vanished. */
uint64_t pc_ring_poisoned(const pc_ring *r);

/* head, dropped and the sequence numbers agree. Only where no put is under way. */
bool pc_ring_valid(const pc_ring *r);

size_t pc_ring_bytes(const pc_ring *r);

/* Takes `count` tickets and returns the first. relaxed: a ticket is only a number; the claim orders the rest. */
static inline uint64_t pc_ring_take_tickets(pc_ring *r, uint64_t count)
{
    return pc_fetch_add(&r->head, count, memory_order_relaxed);
}

static inline bool pc_ring_drop(pc_ring *r)
{
    (void)pc_fetch_add(&r->dropped, 1, memory_order_relaxed); /* a count; nothing is read because of it */
    return false;
}

/* Stores and publishes the record of a ticket whose slot is claimed. */
static inline bool pc_ring_fill(pc_ring_slot *slot, uint64_t ticket, uint64_t a, uint64_t b, uint64_t c)
{
    /* release: pairs with the reader's acquire of a word: who sees one of ours sees the claim, and rejects. */
    pc_store(&slot->word[0], a, memory_order_release);
    pc_store(&slot->word[1], b, memory_order_release);
    pc_store(&slot->word[2], c, memory_order_release);
    /* release: pairs with the reader's first acquire: who sees 2t+2 sees all three words. */
    pc_store(&slot->seq, 2 * ticket + 2, memory_order_release);
    return true;
}

/* Writes the record of a ticket that this thread took. False when it was dropped, and counted. */
static inline bool pc_ring_write(pc_ring *r, uint64_t ticket, uint64_t a, uint64_t b, uint64_t c)
{
    pc_ring_slot *slot = &r->slots[ticket & r->mask];
    uint64_t seq = pc_load(&slot->seq, memory_order_relaxed); /* a guess, which the exchange confirms */
    if (PC_UNLIKELY((seq & 1) || seq > 2 * ticket))
        return pc_ring_drop(r);
    /* acquire: pairs with the publishing release of the lap before, so that its words come before ours in the order
     * of modification; else a reader of our lap could still be given words of the earlier one. */
    if (PC_UNLIKELY(!pc_compare_exchange(&slot->seq, &seq, 2 * ticket + 1, memory_order_acquire, memory_order_relaxed)))
        return pc_ring_drop(r);
    return pc_ring_fill(slot, ticket, a, b, c);
}

/* Records three words. False when the record was dropped, and counted. The slots of a large ring have left the near
 * caches when they are written again, and an exchange waits for its line: it is asked for some puts ahead. */
static inline bool pc_ring_put(pc_ring *r, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t ticket = pc_ring_take_tickets(r, 1);
    PC_PREFETCH_WRITE(&r->slots[(ticket + PC_RING_AHEAD) & r->mask]);
    return pc_ring_write(r, ticket, a, b, c);
}

/* pc_ring_put while no other put is under way, and all that were have happened before: the lock's release and acquire
 * order what pc_ring_put orders by itself. */
static inline bool pc_ring_put_alone(pc_ring *r, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t ticket = pc_load(&r->head, memory_order_relaxed); /* the lock has the order */
    pc_store(&r->head, ticket + 1, memory_order_relaxed);
    PC_PREFETCH_WRITE(&r->slots[(ticket + PC_RING_AHEAD) & r->mask]);
    pc_ring_slot *slot = &r->slots[ticket & r->mask];
    if (PC_UNLIKELY(pc_load(&slot->seq, memory_order_relaxed) & 1)) /* its writer vanished */
        return pc_ring_drop(r);
    pc_store(&slot->seq, 2 * ticket + 1, memory_order_relaxed); /* seen by who sees the words, which are released */
    return pc_ring_fill(slot, ticket, a, b, c);
}

/* pc_ring_put under a lock that all hold who put, but for `away` of them: who puts without it says so with it, before
 * and after. Never wrong with an `away` that is too large. */
static inline bool pc_ring_put_locked(pc_ring *r, uint64_t away, uint64_t a, uint64_t b, uint64_t c)
{
    return away > 0 ? pc_ring_put(r, a, b, c) : pc_ring_put_alone(r, a, b, c);
}

/* The record of a ticket. */
static inline pc_ring_found pc_ring_get(const pc_ring *r, uint64_t ticket, pc_record *out)
{
    pc_ring_slot *slot = &r->slots[ticket & r->mask];
    uint64_t wanted = 2 * ticket + 2;
    uint64_t seq = pc_load(&slot->seq, memory_order_acquire); /* pairs with the publishing release */
    if (seq != wanted)
        return seq < wanted ? PC_RING_UNWRITTEN : PC_RING_OVERWRITTEN;
    /* acquire: pairs with the release of a later lap's word, so that the second look at seq cannot miss its claim. */
    out->word[0] = pc_load(&slot->word[0], memory_order_acquire);
    out->word[1] = pc_load(&slot->word[1], memory_order_acquire);
    out->word[2] = pc_load(&slot->word[2], memory_order_acquire);
    seq = pc_load(&slot->seq, memory_order_relaxed); /* ordered after the words by their acquire */
    return seq == wanted ? PC_RING_RECORD : PC_RING_OVERWRITTEN;
}

#endif
