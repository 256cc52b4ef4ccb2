/* policy.h: which slot leaves when the cache is full? The four policies of perfcore in one structure, between which
 * an owner can switch while it runs.
 *
 *   mode      who stays                                       a hit                  memory an entry
 *   LRU       what was used last                              moves a slot           none
 *   LFU       what was used most, lately (TinyLFU, 1 %)       + counts in the sketch 16 bytes: sketch and ghosts
 *   RANDOM    chance, and who came last                       writes nothing         4 bytes
 *   ADAPTIVE  as one of the four arms of queues.h would,      + 1 key in 8 or less   16 bytes and 128 KB
 *             whichever wins the duel of their shadows          is played by shadows
 *
 * Hits are noted in a buffer and applied 64 at a time, or before whatever depends on order or frees a slot. Then the
 * slots' nodes, their neighbours and their counters can be fetched from memory all at once. So the policy must be
 * told before a slot is given back: every slot leaves through pc_policy_victim or pc_policy_remove.
 *
 * A switch of the mode or the capacity moves nothing by itself: each later call moves at most PC_QUEUES_MOVES slots.
 * The random numbers come from the seed: same seed and same calls, same victims.
 * Weights: when the slots have them, capacity is a weight. A slot of weight 0 is pinned: it never leaves by itself.
 * Threads: none; the owner locks.
 */
#ifndef PC_POLICY_H
#define PC_POLICY_H

#include "dense.h"
#include "duel.h"
#include "queues.h"

#define PC_UNBOUNDED UINT64_MAX
#define PC_POLICY_NOTES 64u
#define PC_POLICY_FAR 16384u

typedef enum { PC_LRU, PC_LFU, PC_RANDOM, PC_ADAPTIVE } pc_mode;

typedef struct {
    pc_slots *slots;
    pc_queues queues;
    pc_dense dense; /* all slots under RANDOM; what has not yet moved to the queues after it */
    pc_sketch sketch;
    pc_ghost ghost;
    pc_duel *duel; /* NULL unless ADAPTIVE */
    pc_alloc alloc;
    uint64_t seed;
    uint64_t fate;     /* RANDOM: the number that chooses the next victim, drawn early so that it can be fetched */
    uint64_t covered;  /* entries that sketch and ghosts are made for ... */
    uint64_t widen_at; /* ... and the number at which they are made twice as large; UINT64_MAX for never */
    pc_mode mode;
    uint32_t noted;
    uint32_t notes[PC_POLICY_NOTES]; /* slots that were hit, not yet applied */
} pc_policy;

/* The policy keeps the pointer to `slots`, whose columns decide whether there are weights. */
pc_status pc_policy_init(pc_policy *p, pc_slots *slots, const pc_alloc *alloc, pc_mode mode, uint64_t capacity,
                         uint64_t seed);
void pc_policy_destroy(pc_policy *p);

/* Forgets all entries, for an owner who emptied the slots by other means; what was learnt about keys stays. */
void pc_policy_clear(pc_policy *p);

/* Applies the hits that were noted. */
void pc_policy_catch_up(pc_policy *p);

/* Applies a hit: counts it, shows it to the duel, moves the slot. */
void pc_policy_hit(pc_policy *p, uint32_t slot);

/* A slot was asked for and is there. */
static inline void pc_policy_note_hit(pc_policy *p, uint32_t slot)
{
    if (PC_UNLIKELY(p->mode == PC_RANDOM))
        return;
    if (p->queues.slots->live <= PC_POLICY_FAR && p->dense.count == 0) { /* cheaper at once: nothing to fetch */
        if (p->queues.plain)
            pc_queues_hit(&p->queues, slot);
        else
            pc_policy_hit(p, slot);
        return;
    }
    p->notes[p->noted] = slot;
    if (PC_UNLIKELY(++p->noted == PC_POLICY_NOTES))
        pc_policy_catch_up(p);
}

/* Fetches from memory what the insertion of a key will need, for a caller who has other work to do before it. Worth
 * it only for more than PC_POLICY_FAR slots: then nodes, sketch and ghosts exceed an L2 cache. */
void pc_policy_fetch(const pc_policy *p, uint32_t hash);

static inline void pc_policy_prefetch(const pc_policy *p, uint32_t hash)
{
    if (p->queues.slots->live > PC_POLICY_FAR && p->sketch.now.words != NULL)
        pc_policy_fetch(p, hash);
}

/* Room for one more slot, so that the next pc_policy_insert cannot fail. */
pc_status pc_policy_reserve(pc_policy *p);

/* pc_policy_insert where more is to be done than to link the slot. */
void pc_policy_admit(pc_policy *p, uint32_t slot);

/* Unlinks and returns a slot that has to leave because the total exceeds the capacity (see pc_policy_victim). */
uint32_t pc_policy_evict(pc_policy *p);

/* Unlinks a slot that leaves for another reason. */
void pc_policy_remove(pc_policy *p, uint32_t slot);

/* Gives a slot another weight (only where slots have weights); then call pc_policy_victim as after an insertion. */
void pc_policy_reweigh(pc_policy *p, uint32_t slot, uint32_t weight);

/* On PC_NO_MEMORY the policy is as before. After a resize call pc_policy_victim as after an insertion. */
pc_status pc_policy_resize(pc_policy *p, uint64_t capacity);
pc_status pc_policy_set_mode(pc_policy *p, pc_mode mode);

/* Puts an entry of a saved cache back, coldest first: into the list with the id that node.queue had, with the
 * frequency that pc_policy_frequency told. Instead of pc_policy_insert. */
void pc_policy_restore(pc_policy *p, uint32_t slot, uint8_t queue, unsigned frequency);

/* How often the key of a slot, or one that is not there, was asked for lately, 0 to 15; 0 where the mode does not
 * count. */
unsigned pc_policy_frequency(const pc_policy *p, uint32_t slot);
unsigned pc_policy_absent_frequency(const pc_policy *p, uint32_t hash);

/* How many misses ago a key was last asked for that has since left for lack of room, or UINT32_MAX when it is not
 * remembered. LRU and RANDOM remember none. */
uint32_t pc_policy_ghost_age(const pc_policy *p, uint32_t hash);

/* Walks over all slots, from those that leave first to those that leave last, or back. Any change ends the walk. */
typedef struct {
    unsigned part; /* 0: dense; 1 to 4: the lists of pc_queues_order */
    uint32_t at;   /* slot, or place in dense */
    bool hottest_first;
} pc_policy_walk;

pc_policy_walk pc_policy_walk_from(pc_policy *p, bool hottest_first);
uint32_t pc_policy_walk_next(const pc_policy *p, pc_policy_walk *walk); /* PC_NIL at the end */

/* Why it does what it does. */
typedef struct {
    pc_mode mode;
    pc_arm arm;
    uint64_t window_room, window_weight, protected_room, main_weight, pinned_count;
    uint32_t clock;       /* misses */
    uint32_t switches;    /* of the arm */
    uint32_t sample_rate; /* R: the duel looks at one key in R; 0 without a duel */
    uint32_t shadow_size; /* entries in the shadow of the current arm */
    double hits[PC_ARMS];    /* of the shadows, older ones decayed */
    double discord[PC_ARMS]; /* requests where just one of that arm and the current one hit */
} pc_policy_state;

pc_policy_state pc_policy_explain(const pc_policy *p);

static inline uint64_t pc_policy_weight(const pc_policy *p)
{
    return pc_queues_weight(&p->queues) + p->dense.weight;
}

/* Takes in a slot that has its hash and weight and is in no list. Needs pc_policy_reserve before. The total may
 * exceed the capacity afterwards: call pc_policy_victim until it does not. */
static inline void pc_policy_insert(pc_policy *p, uint32_t slot)
{
    if (p->noted != 0)
        pc_policy_catch_up(p);
    if (p->mode == PC_LRU && p->dense.count == 0)
        pc_queues_insert(&p->queues, slot);
    else
        pc_policy_admit(p, slot);
}

/* Unlinks and returns a slot that has to leave, and remembers it as a ghost; PC_NIL when the capacity is kept. The
 * slot that was inserted last may come back at once: it was refused. */
static inline uint32_t pc_policy_victim(pc_policy *p)
{
    if (pc_policy_weight(p) <= p->queues.capacity)
        return PC_NIL;
    return p->noted == 0 && p->queues.plain && p->dense.count == 0 ? pc_queues_victim(&p->queues) : pc_policy_evict(p);
}

/* Bytes allocated, beside the slots. */
size_t pc_policy_bytes(const pc_policy *p);

/* Whether every slot in use is in one list, and everything else agrees. O(n), for tests. */
bool pc_policy_valid(const pc_policy *p);

#endif
