/* failing_alloc.h: an allocator that counts its blocks and fails when its allowance is used up. */
#ifndef PC_FAILING_ALLOC_H
#define PC_FAILING_ALLOC_H

#include "../alloc.h"

#include <stdlib.h>

typedef struct {
    long allowance; /* allocations still granted; negative means no limit */
    long blocks;    /* not yet released */
} failing_state;

static void *failing_zalloc(void *ctx, size_t size)
{
    failing_state *state = ctx;
    if (state->allowance == 0)
        return NULL;
    if (state->allowance > 0)
        state->allowance--;
    state->blocks++;
    return calloc(1, size ? size : 1);
}

static void failing_release(void *ctx, void *block)
{
    ((failing_state *)ctx)->blocks--;
    free(block);
}

static inline pc_alloc failing_alloc(failing_state *state)
{
    return (pc_alloc){failing_zalloc, failing_release, state};
}

#endif
