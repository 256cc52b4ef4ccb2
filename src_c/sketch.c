#include "sketch.h"

#include <string.h>

#define PERIOD 10u /* additions a word between two halvings */
#define IDLE UINT32_MAX

static uint32_t lines_count(const pc_lines *l)
{
    return 1u << l->bits;
}

static size_t lines_bytes(const pc_lines *l)
{
    return l->words ? (size_t)lines_count(l) * PC_CACHE_LINE + PC_CACHE_LINE : 0;
}

static pc_status lines_init(pc_lines *l, const pc_alloc *alloc, unsigned bits)
{
    void *block = pc_zalloc(alloc, ((size_t)1 << bits) + 1, PC_CACHE_LINE);
    if (block == NULL)
        return PC_NO_MEMORY;
    uintptr_t aligned = ((uintptr_t)block + PC_CACHE_LINE - 1) & ~(uintptr_t)(PC_CACHE_LINE - 1);
    *l = (pc_lines){(uint64_t *)aligned, block, bits};
    return PC_OK;
}

static void rest(pc_sketch *s)
{
    s->hand = IDLE;
    s->due = (uint64_t)PERIOD * PC_SKETCH_LINE * lines_count(&s->now);
}

static unsigned bits_for(uint64_t entries, uint64_t least)
{
    uint64_t words = pc_ceil_pow2(entries > least ? entries : least);
    unsigned bits = 0;
    while (((uint64_t)PC_SKETCH_LINE << bits) < words && bits < 27)
        bits++;
    return bits;
}

pc_status pc_sketch_init(pc_sketch *s, const pc_alloc *alloc, uint64_t entries, uint64_t least)
{
    memset(s, 0, sizeof *s);
    s->alloc = *alloc;
    pc_status status = lines_init(&s->now, alloc, bits_for(entries, least));
    if (status == PC_OK)
        rest(s);
    return status;
}

void pc_sketch_destroy(pc_sketch *s)
{
    pc_release(&s->alloc, s->now.block);
    pc_release(&s->alloc, s->old.block);
    s->now = s->old = (pc_lines){0};
}

bool pc_sketch_cover(pc_sketch *s, uint64_t entries)
{
    if (entries <= (uint64_t)PC_SKETCH_LINE * lines_count(&s->now))
        return true;
    pc_lines wider;
    if (s->due == 0 || lines_init(&wider, &s->alloc, s->now.bits + 1) != PC_OK)
        return false;
    s->old = s->now;
    s->now = wider;
    s->split = 0;
    s->due = 0;
    return true;
}

/* A key of line i of old belongs to line 2i or 2i + 1 of now: the next bit of its hash tells. */
static void split_line(pc_sketch *s)
{
    const uint64_t *from = &s->old.words[(size_t)s->split * PC_SKETCH_LINE];
    uint64_t *to = &s->now.words[(size_t)s->split * 2 * PC_SKETCH_LINE];
    memcpy(to, from, PC_CACHE_LINE);
    memcpy(to + PC_SKETCH_LINE, from, PC_CACHE_LINE);
    if (++s->split < lines_count(&s->old))
        return;
    pc_release(&s->alloc, s->old.block);
    s->old = (pc_lines){0};
    rest(s);
}

static void halve_line(pc_sketch *s)
{
    uint64_t *line = &s->now.words[(size_t)s->hand * PC_SKETCH_LINE];
    for (unsigned i = 0; i < PC_SKETCH_LINE; i++)
        line[i] = (line[i] >> 1) & UINT64_C(0x7777777777777777);
    if (++s->hand == lines_count(&s->now))
        rest(s);
}

void pc_sketch_tend(pc_sketch *s)
{
    if (s->old.words != NULL) {
        split_line(s);
        return;
    }
    if (s->hand == IDLE) {
        s->hand = 0;
        s->additions = 0;
        s->due = 0;
        s->epoch++;
    }
    halve_line(s);
}

size_t pc_sketch_bytes(const pc_sketch *s)
{
    return lines_bytes(&s->now) + lines_bytes(&s->old);
}

bool pc_sketch_valid(const pc_sketch *s)
{
    bool splitting = s->old.words != NULL, halving = s->hand != IDLE;
    if (s->now.words == NULL || (uintptr_t)s->now.words % PC_CACHE_LINE != 0 || (splitting && halving))
        return false;
    if (splitting && (s->now.bits != s->old.bits + 1 || s->split >= lines_count(&s->old)))
        return false;
    if (halving && s->hand >= lines_count(&s->now))
        return false;
    return (splitting || halving) == (s->due == 0) && (s->due == 0 || s->additions < s->due);
}
