#include "duel.h"

#include <string.h>

#define SHADOW_LEAST 16u    /* entries that a shadow should have before ... */
#define RATE_WANTED 3u      /* ... 1 key in 8 is the smallest sample: what the duel costs is then bounded by that */
#define SHADOW_TYPICAL 256u /* entries beyond which a larger shadow would not decide better */
#define FULL (PC_SHADOW_MAX - PC_DUEL_BATCH)

#define DEVIATIONS 3.0      /* significance of a difference, in standard deviations */
#define LEAST_LEAD 3.0      /* hits */
#define CHANGE_COST 0.05    /* lead that a switch must have, a share of the shadow; */
#define WINDOW_COST 0.05    /* more for each 100 % that the window grows: entries of main lose their standing */
#define MEMORY 20u          /* generations of a shadow after which evidence counts half */
#define MEMORY_LEAST 200u   /* samples */
#define STEADY 8u           /* periods of evidence after which the duel rests ... */
#define REST 7u             /* ... for so many times the next one */
#define WAKE 0.05           /* change of the hit ratio that ends a rest, with ... */
#define SMOOTH 8.0          /* ... the batches that it is averaged over */

/* ---- A shadow ---- */

/* The index uses other bits of the hash than the sample, and than the sketch. */
static uint32_t mark_of(uint32_t hash)
{
    return (hash ^ hash >> 15) << 16;
}

static uint32_t home(uint32_t mark)
{
    return mark >> 16 & (PC_SHADOW_INDEX - 1);
}

static uint32_t slot_at(const pc_shadow *s, uint32_t place)
{
    return (s->index[place] & 0xffff) - 1;
}

static uint32_t hash_of(const pc_shadow *s, uint32_t slot)
{
    return pc_slots_node(&s->slots, slot)->hash;
}

/* The place of the key in the index, or the empty place where it would go. */
static uint32_t lookup(const pc_shadow *s, uint32_t hash)
{
    uint32_t mark = mark_of(hash), place = home(mark);
    while (s->index[place] != 0 && ((s->index[place] ^ mark) >> 16 != 0 || hash_of(s, slot_at(s, place)) != hash))
        place = (place + 1) & (PC_SHADOW_INDEX - 1);
    return place;
}

/* Empties a place and moves back what probed past it (Knuth, TAOCP 3, algorithm 6.4 R). */
static void vacate(pc_shadow *s, uint32_t hole)
{
    const uint32_t mask = PC_SHADOW_INDEX - 1;
    for (uint32_t place = (hole + 1) & mask; s->index[place] != 0; place = (place + 1) & mask) {
        uint32_t wanted = home(s->index[place]);
        if (((place - wanted) & mask) >= ((place - hole) & mask)) {
            s->index[hole] = s->index[place];
            hole = place;
        }
    }
    s->index[hole] = 0;
}

static void forget(pc_shadow *s, uint32_t slot)
{
    vacate(s, lookup(s, hash_of(s, slot)));
    pc_slots_give(&s->slots, slot);
}

static void evict(pc_shadow *s)
{
    while (pc_queues_weight(&s->queues) > s->queues.capacity)
        forget(s, pc_queues_victim(&s->queues));
}

static void admit(pc_shadow *s, uint32_t place, uint32_t hash, uint32_t weight)
{
    if (weight > s->queues.capacity || s->slots.live >= PC_SHADOW_MAX || pc_slots_reserve(&s->slots) != PC_OK)
        return;
    uint32_t slot = pc_slots_take(&s->slots, hash);
    s->index[place] = mark_of(hash) | (slot + 1);
    if (s->slots.weight.size)
        *pc_slots_weight(&s->slots, slot) = weight;
    pc_queues_insert(&s->queues, slot);
    evict(s);
}

/* Plays one request; whether it was a hit. */
static bool request(pc_shadow *s, uint32_t hash, uint32_t weight)
{
    uint32_t place = lookup(s, hash);
    if (s->index[place] == 0) {
        admit(s, place, hash, weight);
        return false;
    }
    uint32_t slot = slot_at(s, place);
    pc_queues_hit(&s->queues, slot);
    if (s->slots.weight.size && *pc_slots_weight(&s->slots, slot) != weight) {
        pc_queues_reweigh(&s->queues, slot, weight);
        evict(s);
    }
    return true;
}

static uint64_t shadow_capacity(const pc_duel *d)
{
    uint64_t share = (d->capacity + (UINT64_C(1) << d->rate) / 2) >> d->rate;
    return share < 4 ? 4 : share;
}

/* A shadow never changes its arm, so only those arms that ask ghosts need any. */
static bool asks_ghosts(pc_arm arm)
{
    return arm == PC_ARM_LIRS || arm == PC_ARM_TINY20;
}

static pc_status shadow_init(pc_duel *d, pc_arm arm, const pc_alloc *alloc, uint64_t entries, uint64_t seed)
{
    pc_shadow *s = &d->shadow[arm];
    pc_status status = pc_slots_init(&s->slots, alloc, 0);
    if (status == PC_OK && d->weighted)
        status = pc_slots_want_weights(&s->slots);
    if (status == PC_OK && asks_ghosts(arm))
        status = pc_ghost_init(&s->ghost, alloc, entries);
    pc_queues_init(&s->queues, &s->slots, &d->sketch, &s->ghost, shadow_capacity(d), seed);
    pc_queues_play(&s->queues, arm);
    return status;
}

/* ---- The duel ---- */

/* log2 of R: shadows of 256 to 512 entries where the cache is large enough, else 1 key in 8, as long as that leaves
 * SHADOW_LEAST. */
static unsigned rate_for(uint64_t entries)
{
    unsigned rate = 0;
    while (entries >> (rate + 1) >= SHADOW_TYPICAL)
        rate++;
    while (rate < RATE_WANTED && entries >> (rate + 1) >= SHADOW_LEAST)
        rate++;
    return rate;
}

pc_status pc_duel_init(pc_duel *d, const pc_alloc *alloc, uint64_t capacity, uint64_t entries, bool weighted,
                       uint64_t seed)
{
    memset(d, 0, sizeof *d);
    d->capacity = capacity;
    d->weighted = weighted;
    d->salt = (uint32_t)pc_mix64(seed) | 1;
    d->rate = rate_for(entries);
    uint64_t held = weighted ? PC_SHADOW_MAX : shadow_capacity(d);
    pc_status status = pc_sketch_init(&d->sketch, alloc, held, PC_CACHE_LINE);
    for (unsigned arm = 0; arm < PC_ARMS && status == PC_OK; arm++)
        status = shadow_init(d, (pc_arm)arm, alloc, held, pc_mix64(seed + arm));
    if (status != PC_OK)
        pc_duel_destroy(d);
    return status;
}

void pc_duel_destroy(pc_duel *d)
{
    for (unsigned arm = 0; arm < PC_ARMS; arm++) {
        pc_slots_destroy(&d->shadow[arm].slots);
        pc_ghost_destroy(&d->shadow[arm].ghost);
    }
    pc_sketch_destroy(&d->sketch);
}

/* Drops the keys that are no longer in the sample. */
static void thin_shadow(const pc_duel *d, pc_shadow *s)
{
    for (uint32_t slot = 0; slot < s->slots.used; slot++)
        if (pc_slots_in_use(&s->slots, slot) && !pc_duel_sampled(d, hash_of(s, slot))) {
            pc_queues_remove(&s->queues, slot);
            forget(s, slot);
        }
    pc_queues_resize(&s->queues, shadow_capacity(d));
    evict(s);
}

/* Halves the sample and with it the shadows. */
static void thin(pc_duel *d)
{
    d->rate++;
    for (unsigned arm = 0; arm < PC_ARMS; arm++)
        thin_shadow(d, &d->shadow[arm]);
}

void pc_duel_cover(pc_duel *d, uint64_t entries)
{
    while (d->rate < rate_for(entries))
        thin(d);
}

bool pc_duel_resize(pc_duel *d, uint64_t capacity, uint64_t entries)
{
    if (d->rate > rate_for(entries) + 1)
        return false;
    d->capacity = capacity;
    pc_duel_cover(d, entries);
    for (unsigned arm = 0; arm < PC_ARMS; arm++) {
        pc_queues_resize(&d->shadow[arm].queues, shadow_capacity(d));
        evict(&d->shadow[arm]);
    }
    return true;
}

/* Light entries may be more than R was chosen for; without weights the capacity is in entries and they cannot. */
static bool crowded(const pc_duel *d)
{
    for (unsigned arm = 0; arm < PC_ARMS && d->weighted; arm++)
        if (d->shadow[arm].slots.live > FULL)
            return true;
    return false;
}

static void halve_evidence(pc_duel *d)
{
    for (unsigned i = 0; i < PC_ARMS; i++) {
        d->hits[i] *= 0.5;
        for (unsigned j = 0; j < PC_ARMS; j++)
            d->discord[i][j] *= 0.5;
    }
    d->samples = 0;
}

/* No other arm is ahead of the current one. */
static bool unchallenged(const pc_duel *d)
{
    for (unsigned arm = 0; arm < PC_ARMS; arm++)
        if (d->hits[arm] > d->hits[d->arm])
            return false;
    return true;
}

/* A period of evidence ends: rest when there were enough alike. */
static void end_period(pc_duel *d)
{
    d->steady = d->switches == d->switched ? d->steady + 1 : 0;
    d->switched = d->switches;
    if (d->steady >= STEADY && unchallenged(d)) {
        d->rest = d->samples / PC_DUEL_BATCH * REST;
        d->settled = d->recent;
    }
    halve_evidence(d);
}

/* Whether the batch under way need not be played. */
static bool resting(pc_duel *d)
{
    d->recent += (d->found / (double)PC_DUEL_BATCH - d->recent) / SMOOTH;
    d->found = 0;
    double change = d->recent - d->settled;
    if (d->rest > 0 && (change > WAKE || change < -WAKE))
        d->rest = d->steady = 0;
    if (d->rest == 0)
        return false;
    d->rest--;
    return true;
}

static unsigned bits_set(uint64_t x)
{
    unsigned n = 0;
    for (; x != 0; x &= x - 1)
        n++;
    return n;
}

/* outcome[j] has bit i set where the i-th request of the batch was a hit under arm j. */
static void weigh_evidence(pc_duel *d, const uint64_t outcome[PC_ARMS])
{
    for (unsigned i = 0; i < PC_ARMS; i++) {
        d->hits[i] += bits_set(outcome[i]);
        for (unsigned j = 0; j < PC_ARMS; j++)
            d->discord[i][j] += bits_set(outcome[i] ^ outcome[j]);
    }
}

/* Entries that a shadow holds when it is full. */
static double shadow_size(const pc_duel *d)
{
    return d->weighted ? (double)d->shadow[d->arm].slots.live : (double)shadow_capacity(d);
}

/* The lead that arm j needs over the current one to be worth the change. */
static double lead_needed(const pc_duel *d, pc_arm arm)
{
    double growth = pc_arm_window(arm) - pc_arm_window(d->arm);
    double share = CHANGE_COST + WINDOW_COST * (growth > 0 ? growth : 0);
    double lead = share * shadow_size(d);
    return lead > LEAST_LEAD ? lead : LEAST_LEAD;
}

static void decide(pc_duel *d)
{
    pc_arm best = d->arm;
    double best_lead = 0;
    for (unsigned arm = 0; arm < PC_ARMS; arm++) {
        double lead = d->hits[arm] - d->hits[d->arm];
        bool significant = lead * lead > DEVIATIONS * DEVIATIONS * d->discord[arm][d->arm];
        if (lead > best_lead && significant && lead > lead_needed(d, (pc_arm)arm)) {
            best = (pc_arm)arm;
            best_lead = lead;
        }
    }
    d->switches += best != d->arm;
    d->arm = best;
}

void pc_duel_play(pc_duel *d)
{
    if (resting(d)) {
        d->pending = 0;
        return;
    }
    if (crowded(d))
        thin(d);
    uint64_t outcome[PC_ARMS] = {0};
    for (uint32_t i = 0; i < d->pending; i++) {
        if (PC_UNLIKELY(!pc_duel_sampled(d, d->hashes[i]))) /* the sample was halved since it was noted */
            continue;
        pc_sketch_add(&d->sketch, d->hashes[i]);
        for (unsigned arm = 0; arm < PC_ARMS; arm++)
            outcome[arm] |= (uint64_t)request(&d->shadow[arm], d->hashes[i], d->weights[i]) << i;
    }
    weigh_evidence(d, outcome);
    decide(d);
    d->samples += d->pending;
    d->pending = 0;
    uint64_t memory = (uint64_t)(MEMORY * shadow_size(d));
    if (d->samples >= (memory > MEMORY_LEAST ? memory : MEMORY_LEAST))
        end_period(d);
}

size_t pc_duel_bytes(const pc_duel *d)
{
    size_t bytes = sizeof *d + pc_sketch_bytes(&d->sketch);
    for (unsigned arm = 0; arm < PC_ARMS; arm++)
        bytes += d->shadow[arm].slots.bytes + pc_ghost_bytes(&d->shadow[arm].ghost);
    return bytes;
}

static bool shadow_valid(const pc_duel *d, const pc_shadow *s)
{
    uint32_t indexed = 0;
    for (uint32_t slot = 0; slot < s->slots.used; slot++)
        if (pc_slots_in_use(&s->slots, slot)) {
            indexed++;
            if (slot_at(s, lookup(s, hash_of(s, slot))) != slot || !pc_duel_sampled(d, hash_of(s, slot)))
                return false;
        }
    return indexed == s->slots.live && indexed == pc_queues_count(&s->queues) && indexed <= PC_SHADOW_MAX &&
           pc_slots_valid(&s->slots) && pc_queues_valid(&s->queues) && pc_queues_weight(&s->queues) <= s->queues.capacity;
}

bool pc_duel_valid(const pc_duel *d)
{
    for (unsigned arm = 0; arm < PC_ARMS; arm++)
        if (!shadow_valid(d, &d->shadow[arm]))
            return false;
    return pc_sketch_valid(&d->sketch) && d->pending < PC_DUEL_BATCH;
}
