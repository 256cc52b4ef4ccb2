#include "alloc.h"

#include <stdlib.h>

static void *system_zalloc(void *ctx, size_t size)
{
    (void)ctx;
    return calloc(1, size);
}

static void system_release(void *ctx, void *block)
{
    (void)ctx;
    free(block);
}

pc_alloc pc_alloc_system(void)
{
    return (pc_alloc){system_zalloc, system_release, NULL};
}

void *pc_zalloc(const pc_alloc *alloc, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return alloc->zalloc(alloc->ctx, count * size);
}

void pc_release(const pc_alloc *alloc, void *block)
{
    if (block != NULL)
        alloc->release(alloc->ctx, block);
}
