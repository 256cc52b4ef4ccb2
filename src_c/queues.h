/* queues.h: in which order do slots leave? Three lists, four rules to play them by, and a switch between the rules
 * that moves no data. The real cache is one pc_queues; each shadow of the duel (duel.h) is another, small one.
 *
 *     insert -> [ window ] -> contest -> [ probation ] <-> [ protected ]        [ pinned ]: weight 0, never leaves
 *
 *   arm     window  a newcomer                                            who leaves
 *   LIRS       1 %  goes to the window; seen again within the reuse       the window's oldest
 *                   distance of the coldest main entry: to main
 *   TINY20    20 %  goes to the window; or to probation when its ghost    the loser of a contest: the window's oldest
 *                   is younger than main's oldest entry                   against probation's oldest, by frequency
 *   LRU      100 %  goes to the window                                    the window's oldest
 *   TINY1      1 %  goes to the window                                    as in TINY20
 *
 * LIRS (Jiang and Zhang, SIGMETRICS 2002) by time stamps in place of its stack: a stack tells whether x was used
 * more recently than the coldest main entry, and so do two stamps. TINY is W-TinyLFU (Einziger, Friedman and
 * Manes, ACM TOS 2017) with main split 80/20 into protected and probation.
 *
 * The clock counts misses; a slot's stamp is the clock at its last access. Stamps are compared modulo 2^32.
 * Everything is measured in weight: that is entries, where slots have no weights. An entry that would push several
 * others out must be asked for more often than all of them together (aggregated victims: Einziger, Eytan,
 * Friedman and Manes, ACM TOS 2022).
 * Work is bounded: a call moves at most PC_QUEUES_MOVES slots between lists, the rest follows with later calls.
 */
#ifndef PC_QUEUES_H
#define PC_QUEUES_H

#include "ghost.h"
#include "list.h"
#include "sketch.h"

#define PC_QUEUES_MOVES 64u

enum { PC_QUEUE_WINDOW = 2, PC_QUEUE_PROBATION, PC_QUEUE_PROTECTED, PC_QUEUE_PINNED, PC_QUEUE_DENSE };
enum { PC_QUEUES_LISTS = PC_QUEUE_PINNED - PC_QUEUE_WINDOW + 1 };

typedef enum { PC_ARM_LIRS, PC_ARM_TINY20, PC_ARM_LRU, PC_ARM_TINY1, PC_ARMS } pc_arm;

typedef struct {
    pc_slots *slots;
    const pc_sketch *sketch; /* who is popular; may be NULL under LRU */
    pc_ghost *ghost;         /* who left lately; its buckets may be NULL under LRU */
    pc_list lists[PC_QUEUES_LISTS]; /* by queue id from PC_QUEUE_WINDOW on: a node tells which one holds it */
    uint64_t capacity;
    uint64_t window_room, protected_room; /* weight that the arm wants there at most */
    uint64_t granted; /* weight that main still has to free for the winner of the last contest */
    uint64_t random;  /* state of the generator */
    uint32_t clock;
    uint32_t newcomer; /* inserted last; PC_NIL once it is settled or gone */
    pc_arm arm;
    bool counting; /* slots carry their keys' frequencies themselves (policy.h); else the sketch is asked */
    bool plain; /* LRU without ghosts, weights and leftovers in main: the window's order is all there is */
    uint32_t calm; /* bit i: a hit on a slot of queue i makes it the newest there and nothing else. 0 after a switch
                    * or a resize, until the lists have the sizes that the arm wants */
} pc_queues;

void pc_queues_init(pc_queues *q, pc_slots *slots, const pc_sketch *sketch, pc_ghost *ghost, uint64_t capacity,
                    uint64_t seed);

/* Forgets all slots, for an owner who emptied them by other means. */
void pc_queues_clear(pc_queues *q);

/* 64 random bits. */
uint64_t pc_queues_draw(pc_queues *q);

/* The share of the capacity that an arm gives to its window. */
double pc_arm_window(pc_arm arm);

/* Plays by another arm from now on; the lists follow with the next calls. */
void pc_queues_play(pc_queues *q, pc_arm arm);
void pc_queues_resize(pc_queues *q, uint64_t capacity);

/* A slot that a hit may move to another list was asked for (see pc_queues_hit). */
void pc_queues_promote(pc_queues *q, uint32_t slot);

/* The choices of pc_queues_insert and pc_queues_victim where the queues are not plain. */
void pc_queues_place(pc_queues *q, uint32_t slot);
uint32_t pc_queues_choose(pc_queues *q);

/* Unlinks a slot that leaves for another reason: its ghost is not worth a bucket. */
void pc_queues_remove(pc_queues *q, uint32_t slot);

/* Gives a slot another weight; a weight of 0 pins it. */
void pc_queues_reweigh(pc_queues *q, uint32_t slot, uint32_t weight);

/* Links a slot at the newest end of the given list (one of PC_QUEUE_WINDOW, _PROBATION, _PROTECTED). */
void pc_queues_link(pc_queues *q, uint32_t slot, uint8_t queue);

/* The lists in the order in which their slots leave, as well as that can be foretold: place 0 to 3. */
const pc_list *pc_queues_order(const pc_queues *q, unsigned place);

bool pc_queues_valid(const pc_queues *q);

static inline const pc_list *pc_queues_list(const pc_queues *q, unsigned queue)
{
    return &q->lists[queue - PC_QUEUE_WINDOW];
}

/* How often the key of a node was asked for lately, as it counts itself. */
static inline unsigned pc_node_count(const pc_node *n, uint32_t epoch)
{
    uint32_t age = (epoch - n->epoch) & 0xfff;
    return age < 4 ? n->count >> age : 0;
}

static inline uint64_t pc_queues_main(const pc_queues *q)
{
    return pc_queues_list(q, PC_QUEUE_PROBATION)->weight + pc_queues_list(q, PC_QUEUE_PROTECTED)->weight;
}

static inline uint64_t pc_queues_weight(const pc_queues *q)
{
    return pc_queues_list(q, PC_QUEUE_WINDOW)->weight + pc_queues_main(q);
}

/* A slot of the lists was asked for. */
static inline void pc_queues_hit(pc_queues *q, uint32_t slot)
{
    pc_node *n = pc_slots_node(q->slots, slot);
    if (PC_LIKELY(q->calm >> n->queue & 1))
        pc_list_touch(&q->lists[n->queue - PC_QUEUE_WINDOW], q->slots, slot);
    else
        pc_queues_promote(q, slot);
    n->stamp = q->clock;
}

/* Links a slot that has its hash and its weight and is in no list. The total may exceed the capacity afterwards:
 * call pc_queues_victim until it does not. */
static inline void pc_queues_insert(pc_queues *q, uint32_t slot)
{
    q->newcomer = slot;
    pc_slots_node(q->slots, slot)->stamp = ++q->clock;
    if (q->plain)
        pc_list_push(&q->lists[0], q->slots, slot);
    else
        pc_queues_place(q, slot);
}

/* Unlinks the slot that has to leave and remembers its ghost; the newcomer itself when it was refused. Only when
 * pc_queues_weight exceeds the capacity. */
static inline uint32_t pc_queues_victim(pc_queues *q)
{
    if (q->plain)
        return pc_list_pop(&q->lists[0], q->slots);
    uint32_t slot = pc_queues_choose(q);
    pc_list_unlink(&q->lists[pc_slots_node(q->slots, slot)->queue - PC_QUEUE_WINDOW], q->slots, slot);
    return slot;
}

/* Slots in all lists. */
uint32_t pc_queues_count(const pc_queues *q);

#endif
