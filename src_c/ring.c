#include "ring.h"

pc_ring *pc_ring_create(const pc_alloc *alloc, uint64_t capacity)
{
    PC_ASSERT(capacity >= PC_RING_SMALLEST && capacity <= PC_RING_LARGEST && (capacity & (capacity - 1)) == 0);
    size_t bytes = sizeof(pc_ring) + (size_t)capacity * sizeof(pc_ring_slot);
    void *block = pc_zalloc(alloc, 1, bytes + PC_CACHE_LINE);
    if (block == NULL)
        return NULL;
    uintptr_t aligned = ((uintptr_t)block + PC_CACHE_LINE - 1) & ~(uintptr_t)(PC_CACHE_LINE - 1);
    pc_ring *r = (pc_ring *)aligned; /* zeroed memory is an empty ring */
    r->slots = (pc_ring_slot *)(r + 1);
    r->mask = capacity - 1;
    r->block = block;
    r->alloc = *alloc;
    return r;
}

void pc_ring_destroy(pc_ring *r)
{
    if (r == NULL)
        return;
    pc_alloc alloc = r->alloc;
    pc_release(&alloc, r->block);
}

void pc_ring_reset(pc_ring *r)
{
    for (uint64_t i = 0; i <= r->mask; i++)
        pc_store(&r->slots[i].seq, 0, memory_order_relaxed); /* nobody else is there */
    pc_store(&r->head, 0, memory_order_relaxed);
    pc_store(&r->dropped, 0, memory_order_relaxed);
}

uint64_t pc_ring_snapshot(const pc_ring *r, pc_record *out)
{
    uint64_t head = pc_load(&r->head, memory_order_relaxed); /* each slot's seq says what is there */
    uint64_t first = head > r->mask ? head - r->mask - 1 : 0, count = 0;
    for (uint64_t ticket = first; ticket < head; ticket++)
        count += pc_ring_get(r, ticket, &out[count]) == PC_RING_RECORD;
    return count;
}

/* Delivers what has become of the tickets that were unsettled at the last call, and forgets those that are lost. */
static uint64_t settle(const pc_ring *r, pc_ring_reader *reader, pc_record *out, uint64_t room)
{
    uint64_t count = 0;
    unsigned kept = 0;
    for (unsigned i = 0; i < reader->unsettled_count; i++) {
        uint64_t ticket = reader->unsettled[i];
        pc_ring_found found = count < room ? pc_ring_get(r, ticket, &out[count]) : PC_RING_UNWRITTEN;
        if (found == PC_RING_RECORD)
            count++;
        else if (found == PC_RING_OVERWRITTEN)
            reader->missed++;
        else
            reader->unsettled[kept++] = ticket;
    }
    reader->unsettled_count = kept;
    return count;
}

/* Keeps an eye on a ticket; where there are too many of them, the oldest is given up. */
static void watch(pc_ring_reader *reader, uint64_t ticket)
{
    if (reader->unsettled_count == PC_RING_UNSETTLED) {
        for (unsigned i = 1; i < PC_RING_UNSETTLED; i++)
            reader->unsettled[i - 1] = reader->unsettled[i];
        reader->unsettled_count--;
        reader->missed++;
    }
    reader->unsettled[reader->unsettled_count++] = ticket;
}

uint64_t pc_ring_drain(const pc_ring *r, pc_ring_reader *reader, pc_record *out, uint64_t room)
{
    uint64_t head = pc_load(&r->head, memory_order_relaxed), count = settle(r, reader, out, room);
    if (head > reader->next && head - reader->next > r->mask + 1) { /* lapped: these are overwritten for certain */
        reader->missed += head - r->mask - 1 - reader->next;
        reader->next = head - r->mask - 1;
    }
    for (; reader->next < head && count < room; reader->next++) {
        pc_ring_found found = pc_ring_get(r, reader->next, &out[count]);
        if (found == PC_RING_RECORD)
            count++;
        else if (found == PC_RING_OVERWRITTEN)
            reader->missed++;
        else
            watch(reader, reader->next);
    }
    return count;
}

uint64_t pc_ring_poisoned(const pc_ring *r)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i <= r->mask; i++)
        count += pc_load(&r->slots[i].seq, memory_order_relaxed) & 1; /* a look, not a decision */
    return count;
}

bool pc_ring_valid(const pc_ring *r)
{
    uint64_t head = pc_load(&r->head, memory_order_relaxed), dropped = pc_load(&r->dropped, memory_order_relaxed);
    if (dropped > head)
        return false;
    for (uint64_t i = 0; i <= r->mask; i++) {
        uint64_t seq = pc_load(&r->slots[i].seq, memory_order_relaxed);
        if (seq & 1)
            return false;
        if (seq != 0 && (seq / 2 > head || ((seq / 2 - 1) & r->mask) != i))
            return false;
    }
    return true;
}

size_t pc_ring_bytes(const pc_ring *r)
{
    return sizeof(pc_ring) + PC_CACHE_LINE + (size_t)(r->mask + 1) * sizeof(pc_ring_slot);
}
