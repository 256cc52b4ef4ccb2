#include "ids.h"

#define FIRST_PLACES 1024u
#define COUNT_MAX (1u << 31)

pc_status pc_ids_init(pc_ids *d, const pc_alloc *alloc, uint64_t seed)
{
    *d = (pc_ids){.mask = FIRST_PLACES - 1, .seed = {pc_mix64(seed + 1), pc_mix64(seed + 2) | 1}, .alloc = *alloc};
    d->places = pc_zalloc(alloc, FIRST_PLACES, sizeof *d->places);
    return d->places ? PC_OK : PC_NO_MEMORY;
}

void pc_ids_destroy(pc_ids *d)
{
    pc_release(&d->alloc, d->places);
    d->places = NULL;
}

/* The place of an id, or the empty one where it would go. */
static inline pc_ids_place *place_of(const pc_ids *d, uint64_t id)
{
    uint64_t at = pc_fold_mul64(id ^ d->seed[0], d->seed[1]);
    while (d->places[at & d->mask].number != 0 && d->places[at & d->mask].id != id)
        at++;
    return &d->places[at & d->mask];
}

static pc_status grow(pc_ids *d)
{
    pc_ids wider = *d;
    wider.mask = d->mask * 2 + 1;
    wider.places = pc_zalloc(&d->alloc, wider.mask + 1, sizeof *wider.places);
    if (wider.places == NULL)
        return PC_NO_MEMORY;
    for (uint64_t at = 0; at <= d->mask; at++)
        if (d->places[at].number != 0)
            *place_of(&wider, d->places[at].id) = d->places[at];
    pc_ids_destroy(d);
    *d = wider;
    return PC_OK;
}

static pc_status add(pc_ids *d, pc_ids_place *place, uint64_t id)
{
    if (d->count >= COUNT_MAX)
        return PC_TOO_LARGE;
    *place = (pc_ids_place){id, ++d->count};
    return d->count <= d->mask / 2 ? PC_OK : grow(d);
}

pc_status pc_ids_number(pc_ids *d, const uint64_t *ids, uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pc_ids_place *place = place_of(d, ids[i]);
        numbers[i] = (place->number ? place->number : d->count + 1) - 1;
        pc_status status = place->number ? PC_OK : add(d, place, ids[i]);
        if (PC_UNLIKELY(status != PC_OK))
            return status;
    }
    return PC_OK;
}
