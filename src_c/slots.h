/* slots.h: the slot arrays. A slot is a small integer; what belongs to it lives in columns indexed by it.
 *
 *   column     bytes  there when
 *   node          20  always: hash, links, stamp, meta
 *   payload        n  the owner asked for n opaque bytes a slot (Cython keeps the key and the value there)
 *   weight         4  pc_slots_want_weights
 *   life          16  pc_slots_want_lives: deadline and links of the timer wheel
 *   idle          16  pc_slots_want_idles: the time that each access grants anew, and the end beyond which it does not
 *
 * Columns are chunked: PC_CHUNK slots a chunk, found through a table of pointers. Growing by a chunk never moves
 * a slot that is in use, so the cost of one insert stays bounded and pointers into a chunk stay valid. Only the
 * first chunk starts small and doubles (moving at most PC_CHUNK / 2 slots), so that a cache of ten entries does not
 * pay for four thousand.
 *
 * Ownership: the caller owns what the payload points to. A freed slot's payload is zeroed before it is reused.
 * Threads: none; the owner locks.
 */
#ifndef PC_SLOTS_H
#define PC_SLOTS_H

#include "alloc.h"

#include <string.h>

#define PC_CHUNK_BITS 12
#define PC_CHUNK (1u << PC_CHUNK_BITS)
#define PC_SLOTS_MAX (1u << 30)

/* The hot 20 bytes: everything that a lookup's policy work needs, on one cache line with its neighbours. */
typedef struct {
    uint32_t hash;
    uint32_t next; /* towards the newest; in a free slot the next free one */
    uint32_t prev; /* towards the oldest */
    uint32_t stamp;
    /* Bit fields, because a store through a uint8_t may alias anything: the compiler would have to load every
     * pointer anew after each change of a queue. */
    uint32_t queue : 8; /* which list holds the slot (list.h); PC_QUEUE_FREE when it is not in use */
    uint32_t flags : 8; /* PC_SLOT_* */
    uint32_t count : 4;  /* requests for the key lately, 0 to 15, as of ... */
    uint32_t epoch : 12; /* ... this halving of the sketch (policy.h) */
} pc_node;

enum { PC_QUEUE_FREE = 0 };
enum { PC_SLOT_PINNED = 1, PC_SLOT_TIMED = 2, PC_SLOT_COUNTED = 4 /* the sketch does not know the count */ };

static_assert(sizeof(pc_node) == 20, "the memory figure counts on a node of 20 bytes");

typedef struct {
    uint64_t deadline;   /* ns of the owner's clock; means something only with PC_SLOT_TIMED */
    uint32_t next, prev; /* links inside a bucket of the timer wheel */
} pc_life;

typedef struct {
    uint64_t grant; /* ns that an access adds to its own moment; 0 is no idle limit */
    uint64_t end;   /* the deadline that no access moves */
} pc_idle;

/* One chunked array of fixed-size elements. */
typedef struct {
    char **chunks;
    uint32_t size; /* of an element; 0 = the column does not exist */
} pc_column;

typedef struct {
    pc_column node, payload, weight, life, idle;
    pc_alloc alloc;
    uint32_t chunks;   /* allocated, in every column that exists */
    uint32_t capacity; /* slots allocated */
    uint32_t used;     /* slots ever handed out: live and free ones are below this */
    uint32_t live;
    uint32_t free_head;
    uint32_t table; /* places in each column's table of chunks */
    size_t bytes;   /* allocated, all columns and tables */
    bool bare;      /* no column but node: a slot that leaves has no other cell to clear */
} pc_slots;

pc_status pc_slots_init(pc_slots *s, const pc_alloc *alloc, uint32_t payload_size);

/* Returns the memory; the slots are then empty and usable, with the same columns. */
void pc_slots_destroy(pc_slots *s);

/* Add a column to slots that may already be in use; new cells are zero. Fine when it is there already. */
pc_status pc_slots_want_weights(pc_slots *s);
pc_status pc_slots_want_lives(pc_slots *s);
pc_status pc_slots_want_idles(pc_slots *s);

/* One more chunk, or a first one of twice the size; what pc_slots_reserve does when there is no free slot. */
pc_status pc_slots_grow(pc_slots *s);

/* Moves everything into `out` (destroy that later) and leaves `s` empty, with the same columns. Cannot fail. */
void pc_slots_detach(pc_slots *s, pc_slots *out);

bool pc_slots_valid(const pc_slots *s);

static inline void *pc_column_at(const pc_column *c, uint32_t slot)
{
    return c->chunks[slot >> PC_CHUNK_BITS] + (size_t)(slot & (PC_CHUNK - 1)) * c->size;
}

static inline pc_node *pc_slots_node(const pc_slots *s, uint32_t slot)
{
    return (pc_node *)(void *)(s->node.chunks[slot >> PC_CHUNK_BITS] + (size_t)(slot & (PC_CHUNK - 1)) * sizeof(pc_node));
}

static inline void *pc_slots_payload(const pc_slots *s, uint32_t slot)
{
    return pc_column_at(&s->payload, slot);
}

static inline uint32_t *pc_slots_weight(const pc_slots *s, uint32_t slot)
{
    return (uint32_t *)(void *)(s->weight.chunks[slot >> PC_CHUNK_BITS] +
                                (size_t)(slot & (PC_CHUNK - 1)) * sizeof(uint32_t));
}

static inline pc_life *pc_slots_life(const pc_slots *s, uint32_t slot)
{
    return (pc_life *)(void *)(s->life.chunks[slot >> PC_CHUNK_BITS] + (size_t)(slot & (PC_CHUNK - 1)) * sizeof(pc_life));
}

static inline pc_idle *pc_slots_idle(const pc_slots *s, uint32_t slot)
{
    return (pc_idle *)(void *)(s->idle.chunks[slot >> PC_CHUNK_BITS] + (size_t)(slot & (PC_CHUNK - 1)) * sizeof(pc_idle));
}

/* Room for one more slot, so that the next pc_slots_take cannot fail. PC_TOO_LARGE beyond PC_SLOTS_MAX. */
static inline pc_status pc_slots_reserve(pc_slots *s)
{
    return PC_LIKELY(s->free_head != PC_NIL || s->used < s->capacity) ? PC_OK : pc_slots_grow(s);
}

/* A free slot, all cells zero but for node.hash; the caller links it. Needs pc_slots_reserve before. */
static inline uint32_t pc_slots_take(pc_slots *s, uint32_t hash)
{
    uint32_t slot = s->free_head;
    if (slot == PC_NIL)
        slot = s->used++;
    else
        s->free_head = pc_slots_node(s, slot)->next;
    PC_ASSERT(slot < s->capacity);
    pc_node *n = pc_slots_node(s, slot);
    n->hash = hash;
    n->next = PC_NIL;
    s->live++;
    return slot;
}

/* Zeroes the cells of a slot beside its node. */
static inline void pc_slots_clear(const pc_slots *s, uint32_t slot)
{
    if (PC_LIKELY(s->payload.size == 2 * sizeof(void *))) /* a constant size needs no call */
        memset(pc_slots_payload(s, slot), 0, 2 * sizeof(void *));
    else if (s->payload.size != 0)
        memset(pc_slots_payload(s, slot), 0, s->payload.size);
    if (s->weight.size != 0)
        *pc_slots_weight(s, slot) = 0;
    if (s->life.size != 0)
        *pc_slots_life(s, slot) = (pc_life){0};
    if (s->idle.size != 0)
        *pc_slots_idle(s, slot) = (pc_idle){0};
}

/* Gives a slot back and zeroes its cells. It must be in no list. */
static inline void pc_slots_give(pc_slots *s, uint32_t slot)
{
    pc_node *n = pc_slots_node(s, slot);
    PC_ASSERT(slot < s->used && n->queue == PC_QUEUE_FREE);
    *n = (pc_node){.next = s->free_head};
    if (!s->bare)
        pc_slots_clear(s, slot);
    s->free_head = slot;
    s->live--;
}

static inline bool pc_slots_in_use(const pc_slots *s, uint32_t slot)
{
    return slot < s->used && pc_slots_node(s, slot)->queue != PC_QUEUE_FREE;
}

#endif
