/* ids.h: dense numbers for arbitrary 64-bit ids, in order of first appearance. What a replay indexes arrays with.
 *
 * Linear probing over a table that is at most half full and doubles. The hash is seeded, so no trace can be crafted to
 * make it slow.
 */
#ifndef PC_IDS_H
#define PC_IDS_H

#include "alloc.h"

typedef struct {
    uint64_t id;
    uint32_t number; /* + 1; 0 = empty place */
} pc_ids_place;

typedef struct {
    pc_ids_place *places;
    uint64_t mask;  /* places - 1 */
    uint32_t count; /* ids numbered so far */
    uint64_t seed[2];
    pc_alloc alloc;
} pc_ids;

pc_status pc_ids_init(pc_ids *d, const pc_alloc *alloc, uint64_t seed);
void pc_ids_destroy(pc_ids *d);

/* The numbers of `count` ids. On failure some of them are told: PC_TOO_LARGE beyond 2^31 different ids. */
pc_status pc_ids_number(pc_ids *d, const uint64_t *ids, uint32_t *numbers, size_t count);

#endif
