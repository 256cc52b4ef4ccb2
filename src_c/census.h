/* census.h: who is born: how many of an allocator's blocks were objects of which kind.
 *
 * Whoever allocates tells of each block that it hands out and takes back. A block says what it is by a word in it, an
 * object's pointer to its type: which words count, and at which place of a block each is looked for, is told first.
 * Nothing can be read when a block is born, for nothing has been written to it. So it is looked at when it goes, when
 * a younger one needs its place among the births, or at the end: each block that was born is looked at once, unless it
 * moved. Only blocks that have not gone are ever read, and of them no more than was asked for.
 *
 * A birth and a death together are a handful of nanoseconds: both find their place by one multiplication, the births
 * are 16 KB, and most words that do not count are told apart by a filter of 8 KB.
 *
 * Not for several threads at a time.
 */
#ifndef PC_CENSUS_H
#define PC_CENSUS_H

#include "alloc.h"

enum {
    PC_CENSUS_BIRTHS = 1024,
    PC_CENSUS_FILTER = 1 << 16, /* bits */
    PC_CENSUS_PLACES = 4,
};

typedef struct {
    uintptr_t word;  /* 0: no kind */
    size_t place;    /* where in a block it is looked for */
    uint64_t gone;   /* of those born, how many were given back soon, */
    uint64_t stayed; /* and how many outlived the next thousand births or the census */
} pc_kind;

typedef struct {
    const void *block; /* NULL: nothing */
    size_t size;
} pc_birth;

typedef struct {
    pc_alloc alloc;
    pc_kind *kinds; /* a table of room, at most half full */
    size_t room, count;
    size_t places[PC_CENSUS_PLACES];
    unsigned placed;
    uint64_t born; /* blocks in all */
    uint64_t filter[PC_CENSUS_FILTER / 64];
    pc_birth births[PC_CENSUS_BIRTHS];
} pc_census;

/* An empty census with room for so many kinds. Starts anew what was used before, after pc_census_destroy. */
pc_status pc_census_init(pc_census *c, const pc_alloc *alloc, size_t kinds);
void pc_census_destroy(pc_census *c);

/* Let a word count at a place; it must not be 0, and not be known. PC_TOO_LARGE when there is no room for it, or when
 * it would be a fifth place. */
pc_status pc_census_add(pc_census *c, uintptr_t word, size_t place);

/* What is known of a word, or NULL. */
const pc_kind *pc_census_find(const pc_census *c, uintptr_t word);

/* Look at all blocks that have not gone; nothing is read afterwards. */
void pc_census_end(pc_census *c);

/* For the two below. */
void pc_census_look(pc_census *c, const pc_birth *birth, bool gone);

static inline uint64_t pc_census_hash(uintptr_t word)
{
    return (uint64_t)(word >> 4) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline pc_birth *pc_census_birth(pc_census *c, const void *block)
{
    return &c->births[pc_census_hash((uintptr_t)block) >> 54];
}

static_assert(PC_CENSUS_BIRTHS == 1 << 10, "ten bits of the hash choose the place of a birth");

/* A block of so many bytes was handed out. */
static inline void pc_census_born(pc_census *c, const void *block, size_t size)
{
    pc_birth *birth = pc_census_birth(c, block);
    if (birth->block != NULL)
        pc_census_look(c, birth, false);
    birth->block = block;
    birth->size = size;
    c->born++;
}

/* A block is about to be taken back; what it holds may still be read. One that was not born is fine. */
static inline void pc_census_gone(pc_census *c, const void *block)
{
    pc_birth *birth = pc_census_birth(c, block);
    if (birth->block != block || block == NULL)
        return;
    pc_census_look(c, birth, true);
    birth->block = NULL;
}

/* A block may be anywhere from now on, or of another size. */
static inline void pc_census_moved(pc_census *c, const void *block)
{
    pc_birth *birth = pc_census_birth(c, block);
    if (birth->block == block)
        birth->block = NULL;
}

#endif
