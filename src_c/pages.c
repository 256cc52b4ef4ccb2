#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#define _DARWIN_C_SOURCE

#include "pages.h"

#include <unistd.h>

#if defined(_POSIX_MAPPED_FILES)
#include <sys/mman.h>

void *pc_pages_map(const pc_alloc *alloc, size_t size)
{
    (void)alloc;
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

void pc_pages_unmap(const pc_alloc *alloc, void *block, size_t size)
{
    (void)alloc;
    if (block != NULL)
        munmap(block, size);
}

#else

/* The allocator's own address stands in the word before the block. */
void *pc_pages_map(const pc_alloc *alloc, size_t size)
{
    if (size > SIZE_MAX - 2 * PC_PAGE)
        return NULL;
    char *origin = pc_zalloc(alloc, 1, size + PC_PAGE + sizeof(void *));
    if (origin == NULL)
        return NULL;
    uintptr_t first = (uintptr_t)origin + sizeof(void *);
    void **block = (void **)((first + PC_PAGE - 1) & ~(uintptr_t)(PC_PAGE - 1));
    block[-1] = origin;
    return block;
}

void pc_pages_unmap(const pc_alloc *alloc, void *block, size_t size)
{
    (void)size;
    if (block != NULL)
        pc_release(alloc, ((void **)block)[-1]);
}

#endif
