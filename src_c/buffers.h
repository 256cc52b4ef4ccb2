/* buffers.h: blocks of memory by size class, lent, returned and lent again.
 *
 *   thread A                thread B                 A request is rounded up to its class. The calling thread's
 *   magazine [4K: ■■■]      magazine [4K: ■]         magazine is asked first and needs no lock; it is filled from and
 *        \  8 at a time        /                     emptied into the depot, eight blocks at a time. Large blocks go
 *         depot: rack of each class [1K ■■] [4K ■■■■] [16K ■] [64K] [80K ■] ...    to the depot at once: what is done
 *                                                    with them costs more than a lock.
 *
 * Classes are 1, 4, 16 and 64 KB, then four to each power of two (80, 96, 112, 128, 160, ... KB), so that above 64 KB
 * less than a quarter of a block is wasted. What is larger than the largest class is made for its holder and given back
 * to the system afterwards ("oversize").
 *
 * A block is named by its descriptor and a generation, which moves on when the block is returned. Descriptors live as
 * long as the depot, so a stale pair is always noticed and never points at freed memory. Generation, a "pending" bit
 * and the number of views share one atomic word: of two releases, or of a release and a view, exactly one wins.
 *
 * Threads. pc_block_* may be called by any thread. pc_magazine_* belong to the magazine's thread. What is marked
 * "locked" is called with the depot's lock held, which is the caller's: it needs none where a bigger lock (the GIL)
 * stands around everything. Nothing that is locked allocates, frees or clears; that happens outside.
 *
 * Magazines and depots: Bonwick and Adams, "Magazines and Vmem", USENIX 2001, also for the working set (pc_depot_age).
 * The steps between powers of two are those of jemalloc.
 */
#ifndef PC_BUFFERS_H
#define PC_BUFFERS_H

#include "pages.h"

#include <stdatomic.h>

#define PC_SMALL 4              /* classes that magazines hold: up to 64 KB */
#define PC_CLASSES 64           /* up to 2 GB */
#define PC_OVERSIZE PC_CLASSES  /* the class of what is too large to keep */
#define PC_SMALLEST 1024u
#define PC_STEPS_FROM 65536u    /* from here on, four classes to a power of two */
#define PC_LARGEST ((size_t)1 << 31)
#define PC_BATCH 8              /* blocks that move between magazine and depot at once */
#define PC_MAGAZINE (2 * PC_BATCH)

#define PC_PENDING ((uint64_t)1 << 24)
#define PC_VIEWS (PC_PENDING - 1)
#define PC_GENERATION ((uint64_t)1 << 25)

typedef enum { PC_CLEAR_ON_RETURN, PC_CLEAR_ON_ACQUIRE, PC_CLEAR_NEVER } pc_clearing;

typedef struct pc_block {
    _Atomic uint64_t state;   /* generation, pending, views */
    _Atomic size_t mark;      /* only the first `mark` bytes can be other than zero */
    unsigned char *memory;    /* NULL for a spare descriptor */
    size_t size, asked;       /* bytes of the block, and those that its holder may use */
    void *origin;             /* what is given back to the system */
    struct pc_block *next;    /* in a rack, among the spares, or in a chain */
    unsigned class;
    bool mapped;
} pc_block;

/* Only ever grow, and each is written by one thread at a time; in_use and its like are differences of sums. */
typedef struct {
    _Atomic uint64_t reused, made, oversize;           /* how blocks were come by */
    _Atomic uint64_t returned, discarded, trimmed;     /* what became of them: discarded for want of room */
    _Atomic uint64_t lent_bytes, asked_bytes;          /* sizes of what was lent, and what had been asked for */
    _Atomic uint64_t returned_bytes, unasked_bytes;    /* the same sums over what came back */
    _Atomic uint64_t cleared_bytes;
} pc_tally;

typedef struct {
    pc_block *top; /* the block that came last, and is warmest, leaves first */
    uint32_t count, low; /* low: the least count since the last pc_depot_age */
} pc_rack;

typedef struct {
    pc_alloc alloc;
    size_t alignment, largest;
    uint64_t max_bytes;  /* of idle blocks, in the racks and granted to magazines */
    uint32_t per_class;  /* idle blocks in one rack */
    pc_clearing clearing;
    pc_rack racks[PC_CLASSES];
    pc_block *spares;    /* descriptors whose memory is gone */
    uint64_t idle_bytes; /* in the racks */
    uint64_t granted;    /* bytes that magazines may hold, in all; what they do not hold now may come back to them */
    bool closed;         /* nothing is kept any more */
    _Atomic uint32_t recalls; /* moves on when magazines are to be emptied */
    pc_tally tally;
} pc_depot;

typedef struct pc_magazine {
    pc_block *blocks[PC_SMALL][PC_MAGAZINE];
    uint32_t counts[PC_SMALL];
    _Atomic uint64_t idle_bytes; /* for other threads to read */
    uint64_t granted;            /* bytes of the depot's that it may hold without asking */
    uint32_t recalls;            /* the depot's, when this magazine was last emptied for it */
    uint32_t gives;              /* blocks that came back to it */
    pc_tally tally;
} pc_magazine;

/* The class of a request of `size` bytes (at least 1), the class's bytes, and where classes end for a depot. */
unsigned pc_class_of(size_t size);
size_t pc_class_size(unsigned class);

/* Settings as in the struct; alignment is a power of two from 16 to PC_PAGE, largest at most PC_LARGEST. */
void pc_depot_init(pc_depot *d, const pc_alloc *alloc, size_t alignment, size_t largest, uint64_t max_bytes,
                   uint32_t per_class, pc_clearing clearing);

/* Frees everything that is idle and all descriptors; nothing is lent and no magazine holds anything. */
void pc_depot_destroy(pc_depot *d);

/* --- lending ------------------------------------------------------------------------------------------------- */

/* The class that the depot uses for `size`: PC_OVERSIZE above its largest. */
unsigned pc_depot_class(const pc_depot *d, size_t size);

/* An idle block or NULL. */
pc_block *pc_depot_take(pc_depot *d, unsigned class);                       /* locked */
pc_block *pc_magazine_take(pc_magazine *m, unsigned class);
void pc_depot_refill(pc_depot *d, pc_magazine *m, unsigned class);          /* locked */

/* A descriptor without memory: one that was used before, or a new one (NULL when memory ran out). Never freed before
 * the depot is: a stale handle may still look at it. */
pc_block *pc_depot_spare(pc_depot *d);                                      /* locked */
void pc_depot_keep_spare(pc_depot *d, pc_block *spare);                     /* locked */
pc_block *pc_block_new(const pc_depot *d);

/* Gives a descriptor zeroed memory for `size` bytes of a class. PC_NO_MEMORY leaves it spare. */
pc_status pc_block_furnish(const pc_depot *d, pc_block *b, unsigned class, size_t size);

/* Makes an idle block its holder's: `asked` bytes of it, zero unless nothing is ever cleared. Returns the bytes that
 * were cleared for that. */
size_t pc_block_lend(const pc_depot *d, pc_block *b, size_t asked);

/* Counts that into t: the magazine's of the calling thread, or the depot's when locked. */
void pc_block_lent(const pc_block *b, bool fresh, size_t cleared, pc_tally *t);

/* --- taking back: a block whose release was won (below) ------------------------------------------------------- */

/* Clears what may have been written, if that is the time for it. Returns the bytes cleared. */
size_t pc_block_clean(const pc_depot *d, pc_block *b);

/* Counts the return into t, as pc_block_lent. */
void pc_block_returned(const pc_block *b, size_t cleared, pc_tally *t);

/* Keeps the block if there is room, else returns it, to be emptied with pc_block_empty. */
pc_block *pc_depot_give(pc_depot *d, pc_block *b);                          /* locked */

/* False when the magazine is full, may not hold as many bytes, or does not hold this class. */
bool pc_magazine_give(pc_magazine *m, pc_block *b);

/* Keeps the block after that, with a grant for the magazine while there are bytes left, or else in the depot; what has
 * no room comes back as a chain. */
pc_block *pc_depot_keep(pc_depot *d, pc_magazine *m, pc_block *b);          /* locked */

/* Moves a batch of this class, or everything, to the depot; what has no room there comes back as a chain. */
pc_block *pc_depot_unload(pc_depot *d, pc_magazine *m, unsigned class);     /* locked */
pc_block *pc_depot_unload_all(pc_depot *d, pc_magazine *m);                 /* locked */

/* Adds the magazine's counts to the depot's, when its thread ends. */
void pc_depot_absorb(pc_depot *d, pc_magazine *m);                          /* locked */

/* Gives the memory of a block back to the system. The descriptor is spare afterwards. */
void pc_block_empty(const pc_depot *d, pc_block *b);

/* --- giving memory back ---------------------------------------------------------------------------------------- */

/* Takes idle blocks out until at most `target` idle bytes remain, the largest first; returns their chain. */
pc_block *pc_depot_trim(pc_depot *d, uint64_t target);                      /* locked */

/* Takes out what was not needed since the last call: of each class the least number that was idle at any moment. */
pc_block *pc_depot_age(pc_depot *d);                                        /* locked */

/* --- a block and its holder ------------------------------------------------------------------------------------- */

typedef enum {
    PC_RELEASED,  /* the caller won: it takes the block back */
    PC_DEFERRED,  /* whoever drops the last view will */
    PC_EXPORTED,  /* refused: there are views */
    PC_STALE,     /* the generation is over, or its release is pending */
} pc_verdict;

/* Ends a generation. With views it is refused, or, if `defer`, left to the last of them. */
pc_verdict pc_block_release(pc_block *b, uint64_t generation, bool defer);

/* Adds a view that may write the first `reach` bytes. False when the generation is over or pending. */
bool pc_block_export(pc_block *b, uint64_t generation, size_t reach);

/* Drops a view. True when it was the last of a deferred release: the caller takes the block back. */
bool pc_block_unexport(pc_block *b);

/* Whether this generation still holds the block; pending no longer counts. */
bool pc_block_held(const pc_block *b, uint64_t generation);
uint64_t pc_block_generation(const pc_block *b);
uint32_t pc_block_views(const pc_block *b);

/* Counts, sizes and sums of racks and spares agree. */
bool pc_depot_valid(const pc_depot *d);                                     /* locked */
bool pc_magazine_valid(const pc_magazine *m);

#endif
