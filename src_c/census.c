/* census.c: see census.h. */
#include "census.h"

#include <string.h>

pc_status pc_census_init(pc_census *c, const pc_alloc *alloc, size_t kinds)
{
    if (kinds > SIZE_MAX / 4 / sizeof(pc_kind))
        return PC_TOO_LARGE;
    size_t room = (size_t)pc_ceil_pow2(2 * kinds + 2);
    pc_kind *table = pc_zalloc(alloc, room, sizeof(pc_kind));
    if (table == NULL)
        return PC_NO_MEMORY;
    memset(c, 0, sizeof *c);
    c->alloc = *alloc;
    c->kinds = table;
    c->room = room;
    return PC_OK;
}

void pc_census_destroy(pc_census *c)
{
    pc_release(&c->alloc, c->kinds);
    c->kinds = NULL;
    c->room = c->count = 0;
}

static unsigned bit_of(uint64_t hash)
{
    return (unsigned)(hash >> 48);
}

/* The place of a word in the table: its own, or the free one where it would be. */
static pc_kind *kind_at(const pc_census *c, uintptr_t word, uint64_t hash)
{
    size_t i = (size_t)(hash >> 20) & (c->room - 1);
    while (c->kinds[i].word != 0 && c->kinds[i].word != word)
        i = (i + 1) & (c->room - 1);
    return &c->kinds[i];
}

static bool know_place(pc_census *c, size_t place)
{
    for (unsigned i = 0; i < c->placed; i++)
        if (c->places[i] == place)
            return true;
    if (c->placed == PC_CENSUS_PLACES)
        return false;
    c->places[c->placed++] = place;
    return true;
}

pc_status pc_census_add(pc_census *c, uintptr_t word, size_t place)
{
    if (2 * (c->count + 1) > c->room || !know_place(c, place))
        return PC_TOO_LARGE;
    uint64_t hash = pc_census_hash(word);
    pc_kind *kind = kind_at(c, word, hash);
    PC_ASSERT(word != 0 && kind->word == 0);
    kind->word = word;
    kind->place = place;
    c->filter[bit_of(hash) / 64] |= UINT64_C(1) << bit_of(hash) % 64;
    c->count++;
    return PC_OK;
}

const pc_kind *pc_census_find(const pc_census *c, uintptr_t word)
{
    if (c->room == 0)
        return NULL;
    const pc_kind *kind = kind_at(c, word, pc_census_hash(word));
    return kind->word == word && word != 0 ? kind : NULL;
}

void pc_census_look(pc_census *c, const pc_birth *birth, bool gone)
{
    for (unsigned i = 0; i < c->placed; i++) {
        size_t place = c->places[i];
        uintptr_t word;
        if (birth->size < sizeof word || place > birth->size - sizeof word)
            continue;
        memcpy(&word, (const char *)birth->block + place, sizeof word);
        uint64_t hash = pc_census_hash(word);
        if (!(c->filter[bit_of(hash) / 64] >> bit_of(hash) % 64 & 1) || word == 0)
            continue;
        pc_kind *kind = kind_at(c, word, hash);
        if (kind->word == 0 || kind->place != place)
            continue;
        kind->gone += gone;
        kind->stayed += !gone;
        return;
    }
}

void pc_census_end(pc_census *c)
{
    for (size_t i = 0; i < PC_CENSUS_BIRTHS; i++) {
        if (c->births[i].block != NULL)
            pc_census_look(c, &c->births[i], false);
        c->births[i].block = NULL;
    }
}
