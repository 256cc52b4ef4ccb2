/* alloc.h: the allocator that a structure was given, and the only way to memory in src_c.
 *
 * Injected, so that Python's tracing allocator sees the core's memory and tests can make the n-th allocation fail.
 * Memory is always handed out zeroed: for large blocks calloc gets zero pages from the kernel on first touch, which
 * is what keeps the growth of a big table out of any single call.
 */
#ifndef PC_ALLOC_H
#define PC_ALLOC_H

#include "base.h"

typedef struct {
    void *(*zalloc)(void *ctx, size_t size); /* zeroed memory aligned for any type, or NULL */
    void (*release)(void *ctx, void *block); /* block is not NULL and came from zalloc */
    void *ctx;
} pc_alloc;

/* The C library's calloc and free. */
pc_alloc pc_alloc_system(void);

/* count * size zeroed bytes, or NULL when memory ran out or the product overflows. */
void *pc_zalloc(const pc_alloc *alloc, size_t count, size_t size);

/* Gives back a block of pc_zalloc; NULL is fine. */
void pc_release(const pc_alloc *alloc, void *block);

#endif
