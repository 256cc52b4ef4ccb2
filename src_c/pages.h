/* pages.h: memory straight from the kernel, for blocks so large that the C library would hand them back and forth.
 *
 * A mapped block is zero when it comes and leaves the process when it goes: resident memory falls by its size at
 * once, whatever the C library's thresholds say. Where there is no mmap the block comes from the given allocator.
 */
#ifndef PC_PAGES_H
#define PC_PAGES_H

#include "alloc.h"

#define PC_PAGE 4096 /* the alignment that is promised; the kernel's pages may be larger */

/* `size` zeroed bytes on a page boundary, or NULL. */
void *pc_pages_map(const pc_alloc *alloc, size_t size);

/* Gives back a block of pc_pages_map of that very size; NULL is fine. */
void pc_pages_unmap(const pc_alloc *alloc, void *block, size_t size);

/* Tells the address sanitizer, where there is one, that nobody may touch these bytes; and that one may again. */
#if defined(__SANITIZE_ADDRESS__)
void __asan_poison_memory_region(void const volatile *address, size_t size);
void __asan_unpoison_memory_region(void const volatile *address, size_t size);
#define PC_POISON(address, size) __asan_poison_memory_region(address, size)
#define PC_UNPOISON(address, size) __asan_unpoison_memory_region(address, size)
#else
#define PC_POISON(address, size) ((void)(address), (void)(size))
#define PC_UNPOISON(address, size) ((void)(address), (void)(size))
#endif

#endif
