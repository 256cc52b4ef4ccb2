#include "slots.h"

#define FIRST_CHUNK 16u /* slots in the first chunk before it doubles */
#define FIRST_TABLE 8u  /* places in the first table of chunks */

enum { COLUMNS = 5 };

static pc_column *column_of(pc_slots *s, int i)
{
    pc_column *columns[COLUMNS] = {&s->node, &s->payload, &s->weight, &s->life, &s->idle};
    return columns[i];
}

/* Slots in each allocated chunk: only the first one alone can be smaller than the rest. */
static uint32_t chunk_room(const pc_slots *s)
{
    return s->chunks > 1 ? PC_CHUNK : s->capacity;
}

pc_status pc_slots_init(pc_slots *s, const pc_alloc *alloc, uint32_t payload_size)
{
    memset(s, 0, sizeof *s);
    s->alloc = *alloc;
    s->node.size = sizeof(pc_node);
    s->payload.size = payload_size;
    s->bare = payload_size == 0;
    s->free_head = PC_NIL;
    return PC_OK;
}

static void release_column(pc_slots *s, pc_column *c)
{
    for (uint32_t i = 0; c->chunks != NULL && i < s->chunks; i++)
        pc_release(&s->alloc, c->chunks[i]);
    pc_release(&s->alloc, c->chunks);
    c->chunks = NULL;
}

void pc_slots_detach(pc_slots *s, pc_slots *out)
{
    *out = *s;
    for (int i = 0; i < COLUMNS; i++)
        column_of(s, i)->chunks = NULL;
    s->chunks = s->capacity = s->used = s->live = s->table = 0;
    s->bytes = 0;
    s->free_head = PC_NIL;
}

void pc_slots_destroy(pc_slots *s)
{
    pc_slots gone;
    pc_slots_detach(s, &gone);
    for (int i = 0; i < COLUMNS; i++)
        release_column(&gone, column_of(&gone, i));
}

/* One block of `count` elements for every column that exists (of the column's own size when `size` is 0), or
 * nothing at all. */
static pc_status fresh_blocks(pc_slots *s, uint32_t count, size_t size, char *fresh[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++) {
        uint32_t element = column_of(s, i)->size;
        fresh[i] = element ? pc_zalloc(&s->alloc, count, size ? size : element) : NULL;
        if (element && fresh[i] == NULL) {
            while (i-- > 0)
                pc_release(&s->alloc, fresh[i]);
            return PC_NO_MEMORY;
        }
    }
    return PC_OK;
}

/* Doubles the tables of chunks, in all columns or in none. */
static pc_status grow_tables(pc_slots *s)
{
    uint32_t places = s->table ? s->table * 2 : FIRST_TABLE;
    char *fresh[COLUMNS];
    if (fresh_blocks(s, places, sizeof(char *), fresh) != PC_OK)
        return PC_NO_MEMORY;
    for (int i = 0; i < COLUMNS; i++) {
        pc_column *c = column_of(s, i);
        if (fresh[i] == NULL)
            continue;
        if (c->chunks != NULL)
            memcpy(fresh[i], c->chunks, s->chunks * sizeof(char *));
        pc_release(&s->alloc, c->chunks);
        c->chunks = (char **)(void *)fresh[i];
        s->bytes += (places - s->table) * sizeof(char *);
    }
    s->table = places;
    return PC_OK;
}

static void account(pc_slots *s, uint32_t slots)
{
    for (int i = 0; i < COLUMNS; i++)
        s->bytes += (size_t)slots * column_of(s, i)->size;
    s->capacity += slots;
}

static pc_status add_chunk(pc_slots *s)
{
    if (s->chunks == s->table && grow_tables(s) != PC_OK)
        return PC_NO_MEMORY;
    uint32_t room = s->chunks ? PC_CHUNK : FIRST_CHUNK;
    char *fresh[COLUMNS];
    if (fresh_blocks(s, room, 0, fresh) != PC_OK)
        return PC_NO_MEMORY;
    for (int i = 0; i < COLUMNS; i++)
        if (fresh[i] != NULL)
            column_of(s, i)->chunks[s->chunks] = fresh[i];
    s->chunks++;
    account(s, room);
    return PC_OK;
}

static pc_status double_first_chunk(pc_slots *s)
{
    char *fresh[COLUMNS];
    if (fresh_blocks(s, s->capacity * 2, 0, fresh) != PC_OK)
        return PC_NO_MEMORY;
    for (int i = 0; i < COLUMNS; i++) {
        pc_column *c = column_of(s, i);
        if (fresh[i] == NULL)
            continue;
        memcpy(fresh[i], c->chunks[0], (size_t)s->capacity * c->size);
        pc_release(&s->alloc, c->chunks[0]);
        c->chunks[0] = fresh[i];
    }
    account(s, s->capacity);
    return PC_OK;
}

pc_status pc_slots_grow(pc_slots *s)
{
    if (s->capacity >= PC_SLOTS_MAX)
        return PC_TOO_LARGE;
    return s->chunks == 1 && s->capacity < PC_CHUNK ? double_first_chunk(s) : add_chunk(s);
}

static pc_status want(pc_slots *s, pc_column *c, uint32_t size)
{
    if (c->size != 0)
        return PC_OK;
    char **table = s->table ? pc_zalloc(&s->alloc, s->table, sizeof *table) : NULL;
    if (s->table && table == NULL)
        return PC_NO_MEMORY;
    uint32_t room = chunk_room(s);
    for (uint32_t i = 0; i < s->chunks; i++) {
        table[i] = pc_zalloc(&s->alloc, room, size);
        if (table[i] == NULL) {
            while (i-- > 0)
                pc_release(&s->alloc, table[i]);
            pc_release(&s->alloc, table);
            return PC_NO_MEMORY;
        }
    }
    c->chunks = table;
    c->size = size;
    s->bare = false;
    s->bytes += s->table * sizeof *table + (size_t)s->capacity * size;
    return PC_OK;
}

pc_status pc_slots_want_weights(pc_slots *s)
{
    return want(s, &s->weight, sizeof(uint32_t));
}

pc_status pc_slots_want_lives(pc_slots *s)
{
    return want(s, &s->life, sizeof(pc_life));
}

pc_status pc_slots_want_idles(pc_slots *s)
{
    return want(s, &s->idle, sizeof(pc_idle));
}

bool pc_slots_valid(const pc_slots *s)
{
    uint32_t free = 0, live = 0;
    for (uint32_t slot = s->free_head; slot != PC_NIL; slot = pc_slots_node(s, slot)->next)
        if (slot >= s->used || pc_slots_node(s, slot)->queue != PC_QUEUE_FREE || ++free > s->used)
            return false;
    for (uint32_t slot = 0; slot < s->used; slot++)
        live += pc_slots_node(s, slot)->queue != PC_QUEUE_FREE;
    return live == s->live && live + free == s->used && s->used <= s->capacity;
}
