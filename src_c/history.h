/* history.h: the last visits of keys, in order, apart for each context: what followed what.
 *
 * Visits lie in chunks of 64. A context appends to a chunk of its own and takes the next one when that is full, so
 * that what interleaved clients do does not mix; the chunks of a context are linked. All chunks are one ring, and the
 * one taken longest ago is taken again: memory is bounded, whoever comes.
 *
 *     position: | sequence number of the chunk, 26 bits | place in it, 6 bits |        0: none
 *
 * A chunk that was taken again has another sequence number, so that a position tells whether it is still there. After
 * 2^32 visits the numbers begin anew; an old position may then show a wrong visit, and is only a wrong guess.
 * Contexts are known by a hash, and those whose hashes agree modulo the number of contexts share a history.
 */
#ifndef PC_HISTORY_H
#define PC_HISTORY_H

#include "alloc.h"

#define PC_CHUNK 64u
#define PC_RUNS 16u
#define PC_RUN_GAP 4u
#define PC_APART INT32_MAX

typedef struct {
    uint32_t row, tag; /* the owner's number for the key, and bits of its hash: a number may have been given away */
    uint32_t before;   /* position of the key's visit before this one */
} pc_visit;

typedef struct {
    uint32_t sequence, next; /* next: sequence number of the context's following chunk, 0 for none yet */
    uint32_t ordinal;        /* of the first visit among the context's */
    uint16_t context, used;
} pc_chunk;

/* A stretch of history that is being repeated: where the next visit of it is, and how many there were. */
typedef struct {
    uint32_t at, length;
} pc_run;

typedef struct {
    uint32_t chunk, ordinal; /* of the chunk in use, 0 for none; visits so far */
    uint32_t seen;           /* the owner's time of the latest visit ... */
    float pace;              /* ... and between visits, lately */
    pc_run runs[PC_RUNS];    /* of the visits of this context, latest first */
} pc_context;

typedef struct {
    pc_visit *visits;
    pc_chunk *chunks;
    pc_context *contexts;
    uint32_t mask;         /* chunks - 1 */
    uint32_t context_mask; /* contexts - 1 */
    uint32_t sequence;     /* of the chunk taken last */
    pc_alloc alloc;
} pc_history;

/* For at least `visits` visits of `contexts` contexts (at most 65536); both are rounded up to powers of two. */
pc_status pc_history_init(pc_history *h, const pc_alloc *alloc, uint32_t visits, uint32_t contexts);
void pc_history_destroy(pc_history *h);

/* Appends a visit and returns its position. */
uint32_t pc_history_append(pc_history *h, uint32_t context, uint32_t row, uint32_t tag, uint32_t before);

static inline const pc_chunk *pc_history_chunk(const pc_history *h, uint32_t at)
{
    return &h->chunks[(at / PC_CHUNK) & h->mask];
}

/* Whether a visit is still there. */
static inline bool pc_history_holds(const pc_history *h, uint32_t at)
{
    const pc_chunk *chunk = pc_history_chunk(h, at);
    return at != 0 && chunk->sequence == at / PC_CHUNK && at % PC_CHUNK < chunk->used;
}

static inline const pc_visit *pc_history_visit(const pc_history *h, uint32_t at)
{
    return &h->visits[((at / PC_CHUNK) & h->mask) * PC_CHUNK + at % PC_CHUNK];
}

/* Says that a context comes at `now`, and returns the time between its visits, lately: at least 1. */
float pc_history_pace(pc_history *h, uint32_t context, uint32_t now);

/* The position `steps` visits of the same context later, or 0. Takes one step in memory for 64 visits. */
uint32_t pc_history_after(const pc_history *h, uint32_t at, uint32_t steps);

/* How many visits of its context b is later than a (negative: earlier); PC_APART for what is gone or of two contexts. */
int32_t pc_history_distance(const pc_history *h, uint32_t a, uint32_t b);

/* A context has come to a key whose visit before was at `at`: how many visits in a row repeat history there, this one
 * included. A run may leave out PC_RUN_GAP - 1 visits, and PC_RUNS may go on at once: they interleave. */
uint32_t pc_history_follow(pc_history *h, uint32_t context, uint32_t at);

bool pc_history_valid(const pc_history *h);
size_t pc_history_bytes(const pc_history *h);

#endif
