/* cache.h: the bounded cache of slots: index, policy, weights, deadlines.
 *
 * It decides which slot leaves; its owner (Cython) holds what the slots stand for. A slot that leaves is
 * unlinked from everything and put in limbo, where the owner collects it: takes the references out of the payload,
 * gives the slot back, and only then releases them. So nothing here is ever inconsistent while foreign code runs.
 *
 *     insert ----> [ index + policy + wheel ] -- evicted, ended, removed --> [ limbo ] -- pc_cache_collect --> owner
 *
 * Versions: `version` moves with every change of the index, so that an owner who compared keys with foreign
 * code knows whether to search again. `changes` moves only when the set of keys changed by more than an expiry: a
 * key came, or left for another reason than its age or its invalidation. Iterators watch that one.
 * Threads: none; the owner locks.
 */
#ifndef PC_CACHE_H
#define PC_CACHE_H

#include "list.h"
#include "policy.h"
#include "table.h"
#include "wheel.h"

enum { PC_QUEUE_LIMBO = 1 };

typedef enum {
    PC_CAUSE_SIZE,
    PC_CAUSE_EXPIRED,
    PC_CAUSE_EXPLICIT,
    PC_CAUSE_REJECTED,    /* heavier than the whole cache: it was never stored */
    PC_CAUSE_INVALIDATED, /* by the owner, who noticed it later */
} pc_cause;

#define PC_NEVER UINT64_MAX

/* Keys whose latest departure is remembered for explain(), at most. */
#define PC_CACHE_DEPARTED 1024u

/* Ended entries that one insertion removes at most, so that removing keeps ahead of adding and no call is long. */
#define PC_CACHE_EXPIRY_BUDGET 32u

typedef struct {
    pc_slots slots;
    pc_table table;
    pc_policy policy;
    pc_wheel *wheel; /* NULL until the first entry with a deadline */
    pc_list limbo;
    uint32_t *departed; /* hash -> latest departure, direct-mapped: 24 bits of the hash, 8 bits cause + 1 */
    uint64_t seed[2];
    uint64_t capacity; /* entries, or weight where the slots have weights */
    uint64_t version, changes;
} pc_cache;

/* `payload_size` opaque bytes a slot; `seed` from a good source of randomness. `weighted` makes capacity a weight.
 * The cache must not move in memory afterwards. */
pc_status pc_cache_init(pc_cache *c, const pc_alloc *alloc, uint32_t payload_size, pc_mode mode, uint64_t capacity,
                        bool weighted, const uint64_t seed[2]);
void pc_cache_destroy(pc_cache *c);

/* Room for one more entry; `timed` when it will have a deadline, `idle` when it will have an idle limit. */
pc_status pc_cache_reserve(pc_cache *c, uint64_t now, bool timed, bool idle);

/* Adds an entry that is not there and evicts into limbo what no longer fits. Needs pc_cache_reserve before. The
 * caller must fill the payload before anything else. The new slot itself may be in limbo at once: refused by the
 * policy, or rejected because it is heavier than the whole cache. */
uint32_t pc_cache_insert(pc_cache *c, uint32_t hash, uint32_t weight);

/* Puts an entry of a saved cache back, coldest first, into the list of the policy it came from (pc_policy_restore);
 * otherwise as pc_cache_insert. */
uint32_t pc_cache_restore(pc_cache *c, uint32_t hash, uint32_t weight, uint8_t queue, unsigned frequency);

/* Notes that an entry was read. */
static inline void pc_cache_hit(pc_cache *c, uint32_t slot)
{
    pc_policy_note_hit(&c->policy, slot);
}

/* Takes an entry out, into limbo. */
void pc_cache_remove(pc_cache *c, uint32_t slot, pc_cause cause);

/* Takes entries that have ended out, into limbo: about 1.07 s after their end at the latest (wheel.h), as far as the
 * budget goes. */
void pc_cache_expire(pc_cache *c, uint64_t now, uint32_t budget);

/* Gives an entry, whose value was replaced, its new weight, and evicts what no longer fits. */
void pc_cache_reweigh(pc_cache *c, uint32_t slot, uint32_t weight);

/* Change the capacity or the policy. Entries leave only for want of room; on PC_NO_MEMORY nothing has changed. */
pc_status pc_cache_resize(pc_cache *c, uint64_t capacity);
pc_status pc_cache_set_mode(pc_cache *c, pc_mode mode);

/* Sets the moment at which an entry ends (ns of the owner's clock, PC_NEVER for no end), the time that each access
 * grants it anew (0 for none), and the end beyond which no access moves it. The columns must have been reserved when
 * one of them is not its default. */
void pc_cache_set_life(pc_cache *c, uint32_t slot, uint64_t deadline, uint64_t grant, uint64_t end);

/* Moves the deadline of an entry with an idle limit, because it was read. */
static inline void pc_cache_prolong(pc_cache *c, uint32_t slot, uint64_t now)
{
    const pc_idle *idle = pc_slots_idle(&c->slots, slot);
    if (idle->grant != 0)
        pc_slots_life(&c->slots, slot)->deadline = idle->end < now + idle->grant ? idle->end : now + idle->grant;
}

/* Whether a slot stands for an entry: in use and not on its way out. */
static inline bool pc_cache_holds(const pc_cache *c, uint32_t slot)
{
    return pc_slots_in_use(&c->slots, slot) && pc_slots_node(&c->slots, slot)->queue != PC_QUEUE_LIMBO;
}

static inline bool pc_cache_timed(const pc_cache *c, uint32_t slot)
{
    return pc_slots_node(&c->slots, slot)->flags & PC_SLOT_TIMED;
}

static inline bool pc_cache_expired(const pc_cache *c, uint32_t slot, uint64_t now)
{
    return pc_cache_timed(c, slot) && pc_slots_life(&c->slots, slot)->deadline <= now;
}

/* Why a key with this hash left last, as far as that is remembered (false: it is not). */
bool pc_cache_departure(const pc_cache *c, uint32_t hash, pc_cause *cause);

/* A slot in limbo, or PC_NIL; *cause tells why it left. The owner empties the payload, then calls pc_slots_give. */
uint32_t pc_cache_collect(pc_cache *c, pc_cause *cause);

/* Moves all slots, with their payloads, out into `slots` (which the owner then empties and destroys) and leaves an
 * empty cache of the same kind. Cannot fail. */
void pc_cache_detach(pc_cache *c, pc_slots *slots);

static inline uint32_t pc_cache_count(const pc_cache *c)
{
    return c->table.now.count + c->table.old.count;
}

static inline uint64_t pc_cache_weight(const pc_cache *c)
{
    return pc_policy_weight(&c->policy);
}

size_t pc_cache_bytes(const pc_cache *c);

/* Whether index, policy, wheel, limbo and weights agree. O(n), for tests. */
bool pc_cache_valid(const pc_cache *c);

#endif
