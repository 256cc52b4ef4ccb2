/* list.h: doubly linked lists of slots, linked through pc_node. Every list has a queue id of its own, which is
 * written into the nodes it holds: a slot is in exactly one list, and a debug build checks it at every step.
 *
 *     oldest <- prev  [slot]  next -> newest
 *
 * All functions are O(1). A list counts its slots and, where the slots have weights, their sum.
 */
#ifndef PC_LIST_H
#define PC_LIST_H

#include "slots.h"

typedef struct {
    uint32_t oldest, newest;
    uint32_t count;
    uint8_t queue; /* the id written into node.queue; not PC_QUEUE_FREE */
    uint64_t weight; /* of all slots; equals count when the slots have no weights */
} pc_list;

static inline void pc_list_init(pc_list *l, uint8_t queue)
{
    *l = (pc_list){PC_NIL, PC_NIL, 0, queue, 0};
}

static inline uint32_t pc_list_weigh(const pc_slots *s, uint32_t slot)
{
    return s->weight.size ? *pc_slots_weight(s, slot) : 1;
}

/* Puts a slot that is in no list at the newest end. */
static inline void pc_list_push(pc_list *l, pc_slots *s, uint32_t slot)
{
    pc_node *n = pc_slots_node(s, slot);
    PC_ASSERT(n->queue == PC_QUEUE_FREE);
    n->queue = l->queue;
    n->next = PC_NIL;
    n->prev = l->newest;
    if (l->newest != PC_NIL)
        pc_slots_node(s, l->newest)->next = slot;
    else
        l->oldest = slot;
    l->newest = slot;
    l->count++;
    l->weight += pc_list_weigh(s, slot);
}

/* Takes a slot out of the list; its node keeps no trace of it. */
static inline void pc_list_unlink(pc_list *l, pc_slots *s, uint32_t slot)
{
    pc_node *n = pc_slots_node(s, slot);
    PC_ASSERT(n->queue == l->queue && l->count > 0);
    if (n->prev != PC_NIL)
        pc_slots_node(s, n->prev)->next = n->next;
    else
        l->oldest = n->next;
    if (n->next != PC_NIL)
        pc_slots_node(s, n->next)->prev = n->prev;
    else
        l->newest = n->prev;
    n->queue = PC_QUEUE_FREE;
    l->count--;
    l->weight -= pc_list_weigh(s, slot);
}

/* Takes the oldest slot out of the list, which has one. */
static inline uint32_t pc_list_pop(pc_list *l, pc_slots *s)
{
    uint32_t slot = l->oldest;
    pc_node *n = pc_slots_node(s, slot);
    PC_ASSERT(n->queue == l->queue && l->count > 0);
    l->oldest = n->next;
    if (n->next != PC_NIL)
        pc_slots_node(s, n->next)->prev = PC_NIL;
    else
        l->newest = PC_NIL;
    n->queue = PC_QUEUE_FREE;
    l->count--;
    l->weight -= pc_list_weigh(s, slot);
    return slot;
}

/* Makes a slot of the list its newest; writes nothing when it is that already. */
static inline void pc_list_touch(pc_list *l, pc_slots *s, uint32_t slot)
{
    pc_node *n = pc_slots_node(s, slot);
    PC_ASSERT(n->queue == l->queue);
    uint32_t after = n->next, before = n->prev;
    if (after == PC_NIL)
        return;
    pc_slots_node(s, after)->prev = before;
    if (before != PC_NIL)
        pc_slots_node(s, before)->next = after;
    else
        l->oldest = after;
    pc_slots_node(s, l->newest)->next = slot;
    n->prev = l->newest;
    n->next = PC_NIL;
    l->newest = slot;
}

/* Whether the links, the queue ids, the count and the weight agree. O(n), for tests. */
bool pc_list_valid(const pc_list *l, const pc_slots *s);

#endif
