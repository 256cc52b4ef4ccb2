#include "list.h"

bool pc_list_valid(const pc_list *l, const pc_slots *s)
{
    uint32_t count = 0, before = PC_NIL;
    uint64_t weight = 0;
    for (uint32_t slot = l->oldest; slot != PC_NIL; slot = pc_slots_node(s, slot)->next) {
        const pc_node *n = pc_slots_node(s, slot);
        if (slot >= s->used || n->queue != l->queue || n->prev != before || count == l->count)
            return false;
        weight += pc_list_weigh(s, slot);
        before = slot;
        count++;
    }
    return count == l->count && before == l->newest && weight == l->weight;
}
