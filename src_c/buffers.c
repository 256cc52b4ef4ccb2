#include "buffers.h"

#include <string.h>

#define MAP_FROM ((size_t)128 * 1024) /* smaller blocks come from the allocator: a mapping costs a system call */

static_assert(PC_SMALL == 4 && PC_STEPS_FROM == PC_SMALLEST << 6, "classes are 1, 4, 16 and 64 KB");
static_assert((PC_PENDING << 1) == PC_GENERATION, "views, pending and generation share a word");

/* --- size classes ---------------------------------------------------------------------------------------------- */

/* The position of the highest bit; x is not 0. */
static unsigned floor_log2(size_t x)
{
#if defined(__GNUC__)
    return 63u - (unsigned)__builtin_clzll(x);
#else
    unsigned n = 0;
    while (x >>= 1)
        n++;
    return n;
#endif
}

unsigned pc_class_of(size_t size)
{
    if (size <= PC_SMALLEST)
        return 0;
    if (size > PC_LARGEST)
        return PC_OVERSIZE;
    unsigned power = floor_log2(size - 1); /* 2^power < size <= 2^(power+1) */
    if (size <= PC_STEPS_FROM)
        return (power - 10) / 2 + 1;
    unsigned quarter = (unsigned)((size - 1) >> (power - 2)) & 3;
    return PC_SMALL + (power - 16) * 4 + quarter;
}

size_t pc_class_size(unsigned class)
{
    if (class < PC_SMALL)
        return (size_t)PC_SMALLEST << 2 * class;
    unsigned step = class - PC_SMALL;
    return (size_t)(5 + step % 4) << (14 + step / 4);
}

unsigned pc_depot_class(const pc_depot *d, size_t size)
{
    return size > d->largest ? PC_OVERSIZE : pc_class_of(size);
}

/* --- counting: one writer at a time, any number of readers ------------------------------------------------------ */

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static void absorb(_Atomic uint64_t *into, const _Atomic uint64_t *from)
{
    add(into, atomic_load_explicit(from, memory_order_relaxed));
}

void pc_depot_absorb(pc_depot *d, pc_magazine *m)
{
    pc_tally *into = &d->tally;
    const pc_tally *from = &m->tally;
    absorb(&into->reused, &from->reused);
    absorb(&into->made, &from->made);
    absorb(&into->oversize, &from->oversize);
    absorb(&into->returned, &from->returned);
    absorb(&into->discarded, &from->discarded);
    absorb(&into->trimmed, &from->trimmed);
    absorb(&into->lent_bytes, &from->lent_bytes);
    absorb(&into->asked_bytes, &from->asked_bytes);
    absorb(&into->returned_bytes, &from->returned_bytes);
    absorb(&into->unasked_bytes, &from->unasked_bytes);
    absorb(&into->cleared_bytes, &from->cleared_bytes);
    memset(&m->tally, 0, sizeof m->tally);
}

/* --- racks: with the lock --------------------------------------------------------------------------------------- */

static void push(pc_depot *d, pc_block *b)
{
    pc_rack *rack = &d->racks[b->class];
    b->next = rack->top;
    rack->top = b;
    rack->count++;
    d->idle_bytes += b->size;
}

static pc_block *pop(pc_depot *d, unsigned class)
{
    pc_rack *rack = &d->racks[class];
    pc_block *b = rack->top;
    if (b == NULL)
        return NULL;
    rack->top = b->next;
    b->next = NULL;
    d->idle_bytes -= b->size;
    if (--rack->count < rack->low)
        rack->low = rack->count;
    return b;
}

/* The `n` coldest blocks of a rack, in front of `chain`. */
static pc_block *cut(pc_depot *d, pc_rack *rack, uint32_t n, pc_block *chain)
{
    pc_block **end = &rack->top;
    for (uint32_t keep = rack->count - n; keep > 0; keep--)
        end = &(*end)->next;
    while (n-- > 0) {
        pc_block *b = *end;
        *end = b->next;
        b->next = chain;
        chain = b;
        rack->count--;
        d->idle_bytes -= b->size;
        add(&d->tally.trimmed, 1);
    }
    if (rack->low > rack->count)
        rack->low = rack->count;
    return chain;
}

pc_block *pc_depot_take(pc_depot *d, unsigned class)
{
    return class == PC_OVERSIZE ? NULL : pop(d, class);
}

/* Bytes that may still be idle. */
static uint64_t room_of(const pc_depot *d)
{
    return d->max_bytes - d->idle_bytes - d->granted;
}

pc_block *pc_depot_give(pc_depot *d, pc_block *b)
{
    bool room = b->class != PC_OVERSIZE && !d->closed && d->racks[b->class].count < d->per_class && b->size <= room_of(d);
    if (!room) {
        add(&d->tally.discarded, b->class != PC_OVERSIZE);
        return b;
    }
    push(d, b);
    return NULL;
}

pc_block *pc_depot_trim(pc_depot *d, uint64_t target)
{
    pc_block *chain = NULL;
    for (unsigned class = PC_CLASSES; class-- > 0 && d->idle_bytes > target;) {
        pc_rack *rack = &d->racks[class];
        uint64_t over = (d->idle_bytes - target + pc_class_size(class) - 1) / pc_class_size(class);
        chain = cut(d, rack, over < rack->count ? (uint32_t)over : rack->count, chain);
    }
    return chain;
}

pc_block *pc_depot_age(pc_depot *d)
{
    pc_block *chain = NULL;
    for (unsigned class = 0; class < PC_CLASSES; class++) {
        pc_rack *rack = &d->racks[class];
        chain = cut(d, rack, rack->low, chain);
        rack->low = rack->count;
    }
    return chain;
}

pc_block *pc_depot_spare(pc_depot *d)
{
    pc_block *b = d->spares;
    if (b != NULL) {
        d->spares = b->next;
        b->next = NULL;
    }
    return b;
}

void pc_depot_keep_spare(pc_depot *d, pc_block *spare)
{
    PC_ASSERT(spare->memory == NULL);
    spare->next = d->spares;
    d->spares = spare;
}

/* --- magazines -------------------------------------------------------------------------------------------------- */

static uint64_t held(const pc_magazine *m)
{
    return atomic_load_explicit(&m->idle_bytes, memory_order_relaxed);
}

static void load(pc_magazine *m, pc_block *b)
{
    PC_ASSERT(held(m) + b->size <= m->granted);
    m->blocks[b->class][m->counts[b->class]++] = b;
    add(&m->idle_bytes, b->size);
}

static pc_block *unload(pc_magazine *m, unsigned class)
{
    pc_block *b = m->blocks[class][--m->counts[class]];
    add(&m->idle_bytes, 0 - b->size);
    return b;
}

pc_block *pc_magazine_take(pc_magazine *m, unsigned class)
{
    return m->counts[class] ? unload(m, class) : NULL;
}

bool pc_magazine_give(pc_magazine *m, pc_block *b)
{
    if (b->class >= PC_SMALL || m->counts[b->class] == PC_MAGAZINE || b->size > m->granted - held(m))
        return false;
    load(m, b);
    return true;
}

static void grant(pc_depot *d, pc_magazine *m, uint64_t bytes)
{
    d->granted += bytes;
    m->granted += bytes;
}

static void take_back(pc_depot *d, pc_magazine *m, uint64_t bytes)
{
    d->granted -= bytes;
    m->granted -= bytes;
}

void pc_depot_refill(pc_depot *d, pc_magazine *m, unsigned class)
{
    pc_block *b;
    for (int n = 0; n < PC_BATCH && m->counts[class] < PC_MAGAZINE && (b = pop(d, class)) != NULL; n++) {
        if (b->size > m->granted - held(m))
            grant(d, m, b->size); /* what left the rack */
        load(m, b);
    }
}

static pc_block *unload_many(pc_depot *d, pc_magazine *m, unsigned class, uint32_t n, pc_block *chain)
{
    while (n-- > 0 && m->counts[class] > 0) {
        pc_block *b = unload(m, class);
        take_back(d, m, b->size);
        pc_block *rejected = pc_depot_give(d, b);
        if (rejected != NULL) {
            rejected->next = chain;
            chain = rejected;
        }
    }
    return chain;
}

pc_block *pc_depot_unload(pc_depot *d, pc_magazine *m, unsigned class)
{
    return unload_many(d, m, class, PC_BATCH, NULL);
}

pc_block *pc_depot_keep(pc_depot *d, pc_magazine *m, pc_block *b)
{
    pc_block *chain = m->counts[b->class] == PC_MAGAZINE ? pc_depot_unload(d, m, b->class) : NULL;
    uint64_t room = room_of(d), more = PC_BATCH * b->size;
    if (b->size > m->granted - held(m) && !d->closed)
        grant(d, m, more <= room ? more : b->size <= room ? b->size : 0);
    if (pc_magazine_give(m, b))
        return chain;
    b = pc_depot_give(d, b);
    if (b != NULL)
        b->next = chain;
    return b != NULL ? b : chain;
}

pc_block *pc_depot_unload_all(pc_depot *d, pc_magazine *m)
{
    pc_block *chain = NULL;
    for (unsigned class = 0; class < PC_SMALL; class++)
        chain = unload_many(d, m, class, PC_MAGAZINE, chain);
    take_back(d, m, m->granted);
    m->recalls = atomic_load_explicit(&d->recalls, memory_order_relaxed);
    return chain;
}

/* --- memory ----------------------------------------------------------------------------------------------------- */

static size_t rounded(unsigned class, size_t size)
{
    if (class != PC_OVERSIZE)
        return pc_class_size(class);
    return size > SIZE_MAX - PC_PAGE ? 0 : (size + PC_PAGE - 1) & ~(size_t)(PC_PAGE - 1);
}

pc_block *pc_block_new(const pc_depot *d)
{
    return pc_zalloc(&d->alloc, 1, sizeof(pc_block));
}

pc_status pc_block_furnish(const pc_depot *d, pc_block *b, unsigned class, size_t size)
{
    size_t bytes = rounded(class, size);
    bool mapped = bytes >= MAP_FROM;
    void *origin = bytes == 0 ? NULL
                   : mapped   ? pc_pages_map(&d->alloc, bytes)
                              : pc_zalloc(&d->alloc, 1, bytes + d->alignment);
    if (origin == NULL)
        return PC_NO_MEMORY;
    uintptr_t mask = d->alignment - 1;
    b->memory = (void *)(((uintptr_t)origin + mask) & ~mask);
    b->origin = origin;
    b->mapped = mapped;
    b->class = class;
    b->size = bytes;
    PC_POISON(b->memory, b->size);
    return PC_OK;
}

void pc_block_empty(const pc_depot *d, pc_block *b)
{
    PC_UNPOISON(b->memory, b->size);
    if (b->mapped)
        pc_pages_unmap(&d->alloc, b->origin, b->size);
    else
        pc_release(&d->alloc, b->origin);
    b->memory = NULL;
    b->origin = NULL;
    b->next = NULL;
    atomic_store_explicit(&b->mark, 0, memory_order_relaxed);
}

void pc_depot_init(pc_depot *d, const pc_alloc *alloc, size_t alignment, size_t largest, uint64_t max_bytes,
                   uint32_t per_class, pc_clearing clearing)
{
    PC_ASSERT(alignment >= 16 && alignment <= PC_PAGE && (alignment & (alignment - 1)) == 0);
    memset(d, 0, sizeof *d);
    d->alloc = *alloc;
    d->alignment = alignment;
    d->largest = largest < PC_LARGEST ? largest : PC_LARGEST;
    d->max_bytes = max_bytes;
    d->per_class = per_class;
    d->clearing = clearing;
}

void pc_depot_destroy(pc_depot *d)
{
    pc_block *chain = pc_depot_trim(d, 0);
    while (chain != NULL) {
        pc_block *b = chain;
        chain = b->next;
        pc_block_empty(d, b);
        pc_depot_keep_spare(d, b);
    }
    while ((chain = pc_depot_spare(d)) != NULL)
        pc_release(&d->alloc, chain);
}

/* --- lending and taking back ------------------------------------------------------------------------------------ */

static size_t wipe(pc_block *b)
{
    size_t mark = atomic_exchange_explicit(&b->mark, 0, memory_order_relaxed);
    memset(b->memory, 0, mark);
    return mark;
}

size_t pc_block_lend(const pc_depot *d, pc_block *b, size_t asked)
{
    size_t cleared = 0;
    if (d->clearing == PC_CLEAR_ON_ACQUIRE) {
        PC_UNPOISON(b->memory, b->size);
        cleared = wipe(b);
        PC_POISON(b->memory, b->size);
    }
    PC_UNPOISON(b->memory, asked); /* the rest of the class stays forbidden */
    b->asked = asked;
    return cleared;
}

void pc_block_lent(const pc_block *b, bool fresh, size_t cleared, pc_tally *t)
{
    add(b->class == PC_OVERSIZE ? &t->oversize : fresh ? &t->made : &t->reused, 1);
    add(&t->lent_bytes, b->size);
    add(&t->asked_bytes, b->asked);
    if (cleared > 0)
        add(&t->cleared_bytes, cleared);
}

size_t pc_block_clean(const pc_depot *d, pc_block *b)
{
    size_t cleared = d->clearing == PC_CLEAR_ON_RETURN ? wipe(b) : 0;
    PC_POISON(b->memory, b->size);
    return cleared;
}

void pc_block_returned(const pc_block *b, size_t cleared, pc_tally *t)
{
    add(&t->returned, 1);
    add(&t->returned_bytes, b->size);
    add(&t->unasked_bytes, b->asked);
    add(&t->cleared_bytes, cleared);
}

/* --- a block and its holder --------------------------------------------------------------------------------------- */

pc_verdict pc_block_release(pc_block *b, uint64_t generation, bool defer)
{
    uint64_t state = atomic_load_explicit(&b->state, memory_order_acquire), next;
    do {
        if (state / PC_GENERATION != generation || state & PC_PENDING)
            return PC_STALE;
        if (state & PC_VIEWS && !defer)
            return PC_EXPORTED;
        next = state & PC_VIEWS ? state | PC_PENDING : state + PC_GENERATION;
        /* acquire and release: what the views wrote happened before the clearing by whoever wins */
    } while (!atomic_compare_exchange_weak_explicit(&b->state, &state, next, memory_order_acq_rel, memory_order_acquire));
    return next & PC_PENDING ? PC_DEFERRED : PC_RELEASED;
}

static void raise_mark(pc_block *b, size_t reach)
{
    size_t mark = atomic_load_explicit(&b->mark, memory_order_relaxed);
    while (mark < reach &&
           !atomic_compare_exchange_weak_explicit(&b->mark, &mark, reach, memory_order_relaxed, memory_order_relaxed))
        ;
}

bool pc_block_export(pc_block *b, uint64_t generation, size_t reach)
{
    uint64_t state = atomic_load_explicit(&b->state, memory_order_acquire);
    do {
        if (state / PC_GENERATION != generation || state & PC_PENDING || (state & PC_VIEWS) == PC_VIEWS)
            return false;
    } while (
        !atomic_compare_exchange_weak_explicit(&b->state, &state, state + 1, memory_order_acq_rel, memory_order_acquire));
    raise_mark(b, reach); /* the view is counted: nobody can take the block back before this */
    return true;
}

bool pc_block_unexport(pc_block *b)
{
    uint64_t state = atomic_load_explicit(&b->state, memory_order_relaxed), next;
    bool last;
    do {
        PC_ASSERT((state & PC_VIEWS) > 0);
        last = (state & (PC_VIEWS | PC_PENDING)) == (PC_PENDING | 1);
        next = last ? (state & ~(PC_PENDING | PC_VIEWS)) + PC_GENERATION : state - 1;
    } while (!atomic_compare_exchange_weak_explicit(&b->state, &state, next, memory_order_acq_rel, memory_order_relaxed));
    return last;
}

uint64_t pc_block_generation(const pc_block *b)
{
    return atomic_load_explicit(&b->state, memory_order_relaxed) / PC_GENERATION;
}

bool pc_block_held(const pc_block *b, uint64_t generation)
{
    uint64_t state = atomic_load_explicit(&b->state, memory_order_acquire);
    return state / PC_GENERATION == generation && !(state & PC_PENDING);
}

uint32_t pc_block_views(const pc_block *b)
{
    return (uint32_t)(atomic_load_explicit(&b->state, memory_order_acquire) & PC_VIEWS);
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static bool idle_block_valid(const pc_depot *d, const pc_block *b, unsigned class)
{
    uint64_t state = atomic_load_explicit(&b->state, memory_order_relaxed);
    size_t mark = atomic_load_explicit(&b->mark, memory_order_relaxed);
    return b->class == class && b->size == pc_class_size(class) && b->memory != NULL &&
           (uintptr_t)b->memory % d->alignment == 0 && !(state & (PC_PENDING | PC_VIEWS)) && mark <= b->size &&
           (mark == 0 || d->clearing != PC_CLEAR_ON_RETURN);
}

bool pc_depot_valid(const pc_depot *d)
{
    uint64_t bytes = 0;
    for (unsigned class = 0; class < PC_CLASSES; class++) {
        uint32_t count = 0;
        for (const pc_block *b = d->racks[class].top; b != NULL; b = b->next, count++) {
            if (!idle_block_valid(d, b, class))
                return false;
            bytes += b->size;
        }
        if (count != d->racks[class].count || count > d->per_class || d->racks[class].low > count)
            return false;
    }
    for (const pc_block *b = d->spares; b != NULL; b = b->next)
        if (b->memory != NULL)
            return false;
    return bytes == d->idle_bytes && d->granted <= d->max_bytes && bytes <= d->max_bytes - d->granted;
}

bool pc_magazine_valid(const pc_magazine *m)
{
    uint64_t bytes = 0;
    for (unsigned class = 0; class < PC_SMALL; class++) {
        if (m->counts[class] > PC_MAGAZINE)
            return false;
        for (uint32_t i = 0; i < m->counts[class]; i++)
            if (m->blocks[class][i]->class != class || pc_block_views(m->blocks[class][i]) != 0)
                return false;
        bytes += m->counts[class] * pc_class_size(class);
    }
    return bytes == held(m) && bytes <= m->granted;
}
