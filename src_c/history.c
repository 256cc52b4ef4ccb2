#include "history.h"

#include <string.h>

#define SEQUENCES (1u << 26)
#define PACE_LIMIT 65536.0f

pc_status pc_history_init(pc_history *h, const pc_alloc *alloc, uint32_t visits, uint32_t contexts)
{
    uint32_t chunks = (uint32_t)pc_ceil_pow2(((uint64_t)visits + PC_CHUNK - 1) / PC_CHUNK + 1);
    contexts = (uint32_t)pc_ceil_pow2(contexts < 65536 ? contexts : 65536);
    *h = (pc_history){.mask = chunks - 1, .context_mask = contexts - 1, .alloc = *alloc};
    h->visits = pc_zalloc(alloc, (size_t)chunks * PC_CHUNK, sizeof *h->visits);
    h->chunks = pc_zalloc(alloc, chunks, sizeof *h->chunks);
    h->contexts = pc_zalloc(alloc, contexts, sizeof *h->contexts);
    if (h->visits != NULL && h->chunks != NULL && h->contexts != NULL)
        return PC_OK;
    pc_history_destroy(h);
    return PC_NO_MEMORY;
}

void pc_history_destroy(pc_history *h)
{
    pc_release(&h->alloc, h->visits);
    pc_release(&h->alloc, h->chunks);
    pc_release(&h->alloc, h->contexts);
    h->visits = NULL;
    h->chunks = NULL;
    h->contexts = NULL;
}

static pc_chunk *chunk_of(const pc_history *h, uint32_t sequence)
{
    pc_chunk *chunk = &h->chunks[sequence & h->mask];
    return sequence != 0 && chunk->sequence == sequence ? chunk : NULL;
}

/* The chunk to which a context appends; a new one where it has none, or its own is full or was taken by others. */
static pc_chunk *open_chunk(pc_history *h, uint32_t number)
{
    pc_context *context = &h->contexts[number];
    pc_chunk *current = chunk_of(h, context->chunk);
    if (PC_LIKELY(current != NULL && current->used < PC_CHUNK))
        return current;
    h->sequence = (h->sequence + 1) % SEQUENCES;
    h->sequence += h->sequence == 0; /* 0 is no position */
    if (current != NULL)
        current->next = h->sequence;
    context->chunk = h->sequence;
    pc_chunk *taken = &h->chunks[h->sequence & h->mask]; /* `current` itself, where a context rested that long */
    *taken = (pc_chunk){.sequence = h->sequence, .ordinal = context->ordinal, .context = (uint16_t)number};
    return taken;
}

uint32_t pc_history_append(pc_history *h, uint32_t context, uint32_t row, uint32_t tag, uint32_t before)
{
    pc_chunk *chunk = open_chunk(h, context & h->context_mask);
    uint32_t at = chunk->sequence * PC_CHUNK + chunk->used++;
    h->contexts[context & h->context_mask].ordinal++;
    h->visits[(at / PC_CHUNK & h->mask) * PC_CHUNK + at % PC_CHUNK] = (pc_visit){row, tag, before};
    return at;
}

float pc_history_pace(pc_history *h, uint32_t number, uint32_t now)
{
    pc_context *context = &h->contexts[number & h->context_mask];
    float since = context->ordinal == 0 ? 1 : (float)(now - context->seen);
    context->seen = now;
    context->pace += ((since < PACE_LIMIT ? since : PACE_LIMIT) - context->pace) / 16;
    return context->pace < 1 ? 1 : context->pace;
}

uint32_t pc_history_after(const pc_history *h, uint32_t at, uint32_t steps)
{
    uint32_t sequence = at / PC_CHUNK, place = at % PC_CHUNK + steps;
    const pc_chunk *chunk = chunk_of(h, sequence);
    for (; chunk != NULL && place >= PC_CHUNK; place -= PC_CHUNK) {
        sequence = chunk->next;
        chunk = chunk_of(h, sequence);
    }
    return chunk != NULL && place < chunk->used ? sequence * PC_CHUNK + place : 0;
}

int32_t pc_history_distance(const pc_history *h, uint32_t a, uint32_t b)
{
    if (!pc_history_holds(h, a) || !pc_history_holds(h, b))
        return PC_APART;
    const pc_chunk *first = pc_history_chunk(h, a), *second = pc_history_chunk(h, b);
    if (first->context != second->context)
        return PC_APART;
    return (int32_t)(second->ordinal + b % PC_CHUNK - first->ordinal - a % PC_CHUNK);
}

static uint32_t expected_at(const pc_history *h, uint32_t at)
{
    uint32_t next = pc_history_after(h, at, 1);
    return next != 0 ? next : at + 1;
}

uint32_t pc_history_follow(pc_history *h, uint32_t context, uint32_t at)
{
    pc_run *runs = h->contexts[context & h->context_mask].runs;
    unsigned found = 0;
    while (found < PC_RUNS - 1 && (runs[found].length == 0 || at - runs[found].at >= PC_RUN_GAP))
        found++;
    uint32_t length = runs[found].length != 0 && at - runs[found].at < PC_RUN_GAP ? runs[found].length : 0;
    memmove(&runs[1], &runs[0], found * sizeof *runs); /* the latest first; the one that goes on longest ago is lost */
    runs[0] = (pc_run){expected_at(h, at), length + (length != UINT32_MAX)};
    return runs[0].length;
}

static bool chunk_valid(const pc_history *h, uint32_t index)
{
    const pc_chunk *chunk = &h->chunks[index];
    if (chunk->sequence == 0)
        return chunk->used == 0;
    const pc_chunk *next = chunk_of(h, chunk->next);
    return (chunk->sequence & h->mask) == index && chunk->used >= 1 && chunk->used <= PC_CHUNK &&
           chunk->context <= h->context_mask &&
           (next == NULL ||
            (chunk->used == PC_CHUNK && next->context == chunk->context && next->ordinal == chunk->ordinal + PC_CHUNK));
}

bool pc_history_valid(const pc_history *h)
{
    for (uint32_t i = 0; i <= h->mask; i++)
        if (!chunk_valid(h, i))
            return false;
    for (uint32_t i = 0; i <= h->context_mask; i++) {
        const pc_chunk *chunk = chunk_of(h, h->contexts[i].chunk);
        if (chunk != NULL && (chunk->context != i || chunk->ordinal + chunk->used != h->contexts[i].ordinal))
            return false;
    }
    return true;
}

size_t pc_history_bytes(const pc_history *h)
{
    return ((size_t)h->mask + 1) * (PC_CHUNK * sizeof *h->visits + sizeof *h->chunks) +
           ((size_t)h->context_mask + 1) * sizeof *h->contexts;
}
