#include "predict.h"

#define SOON 256u       /* visits of the short horizon */
#define LATE 8192u      /* visits of the long one, at most */
#define REFRESH 64u     /* visits from one look at all confidences to the next */
#define MATURING 32u    /* guesses that one visit looks at, for each horizon; it makes at most PC_PREDICT_VOTES */
#define TRIES 8u        /* rows that are looked at for one to be given away */
#define KEEP 0.998f      /* the last 500 loads make the precision */
#define ENOUGH 64.0f     /* loads before the predictor may pause */
#define CREDIT 16.0f     /* loads that count as used before the first: a run that ends wastes some tens at once */
#define FORGIVE 256u     /* visits without an outcome after which half of the record is forgotten */

static uint32_t age(const pc_predict *p, uint32_t moment)
{
    return p->now - moment;
}

static unsigned at_most(unsigned x, unsigned limit)
{
    return x < limit ? x : limit;
}

/* --- memory ----------------------------------------------------------------------------------------------------- */

static void set_sizes(pc_predict *p, uint32_t size, uint32_t rows)
{
    uint64_t guesses = pc_ceil_pow2((uint64_t)size * 8);
    p->guess_mask = (uint32_t)(guesses < 1024 ? 1024 : guesses > 65536 ? 65536 : guesses) - 1;
    p->held_limit = size / 4 < 1 ? 1 : size / 4 > 65536 ? 65536 : size / 4;
    p->held_mask = (uint32_t)pc_ceil_pow2((uint64_t)p->held_limit + 1) * 2 - 1;
    p->bucket_mask = (uint32_t)pc_ceil_pow2(rows) - 1;
    p->capacity = rows;
    p->size = size;
}

pc_status pc_predict_init(pc_predict *p, const pc_alloc *alloc, uint32_t size, uint32_t rows, uint32_t visits,
                          uint32_t contexts, float threshold, const uint64_t seed[2])
{
    *p = (pc_predict){.guess_next = 1, .soon_next = 1, .late_next = 1, .alloc = *alloc};
    set_sizes(p, size < 1 ? 1 : size, rows < 64 ? 64 : rows);
    p->stay = (float)p->size;
    p->lead = (float)p->size / 2 < PC_PREDICT_LEAD ? (float)p->size / 2 : PC_PREDICT_LEAD;
    p->threshold = threshold;
    p->seed[0] = seed[0];
    p->seed[1] = seed[1];
    p->rows = pc_zalloc(alloc, (size_t)p->capacity + 1, sizeof *p->rows);
    p->buckets = pc_zalloc(alloc, (size_t)p->bucket_mask + 1, sizeof *p->buckets);
    p->guesses = pc_zalloc(alloc, (size_t)p->guess_mask + 1, sizeof *p->guesses);
    p->held = pc_zalloc(alloc, (size_t)p->held_mask + 1, sizeof *p->held);
    if (p->rows != NULL && p->buckets != NULL && p->guesses != NULL && p->held != NULL &&
        pc_history_init(&p->history, alloc, visits, contexts) == PC_OK)
        return PC_OK;
    pc_predict_destroy(p);
    return PC_NO_MEMORY;
}

void pc_predict_destroy(pc_predict *p)
{
    pc_release(&p->alloc, p->rows);
    pc_release(&p->alloc, p->buckets);
    pc_release(&p->alloc, p->guesses);
    pc_release(&p->alloc, p->held);
    p->rows = NULL;
    p->buckets = NULL;
    p->guesses = NULL;
    p->held = NULL;
    if (p->history.visits != NULL)
        pc_history_destroy(&p->history);
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

static uint32_t *bucket_of(const pc_predict *p, uint64_t hash)
{
    return &p->buckets[pc_fold_mul64(hash ^ p->seed[0], p->seed[1]) & p->bucket_mask];
}

uint32_t pc_predict_find(const pc_predict *p, uint64_t hash)
{
    uint32_t row = *bucket_of(p, hash);
    while (row != 0 && p->rows[row].hash != hash)
        row = p->rows[row].chain;
    return row;
}

static void unlink_row(pc_predict *p, uint32_t row)
{
    uint32_t *at = bucket_of(p, p->rows[row].hash);
    while (*at != row)
        at = &p->rows[*at].chain;
    *at = p->rows[row].chain;
}

/* A row to be given to another key: one that was not visited since the hand last passed, as far as it looks. */
static uint32_t vacate(pc_predict *p)
{
    if (p->used < p->capacity)
        return ++p->used;
    for (unsigned i = 0; i < TRIES; i++) {
        p->hand = p->hand % p->capacity + 1;
        if (!(p->rows[p->hand].flags & PC_ROW_RECENT))
            break;
        p->rows[p->hand].flags &= (uint8_t)~PC_ROW_RECENT;
    }
    unlink_row(p, p->hand);
    return p->hand;
}

static uint32_t add_row(pc_predict *p, uint64_t hash)
{
    uint32_t row = vacate(p), *bucket = bucket_of(p, hash);
    p->rows[row] = (pc_row){.hash = hash, .chain = *bucket};
    *bucket = row;
    return row;
}

/* The row that a number and a tag were noted of, NULL when it is another key's by now. */
static pc_row *row_of(const pc_predict *p, uint32_t row, uint32_t tag)
{
    return row != 0 && (uint32_t)p->rows[row].hash == tag ? &p->rows[row] : NULL;
}

/* --- guesses ---------------------------------------------------------------------------------------------------- */

static pc_guess *guess_at(const pc_predict *p, uint32_t number)
{
    return &p->guesses[number & p->guess_mask];
}

static bool is_open(const pc_predict *p, uint32_t number) /* not yet looked at for the last time */
{
    return number != 0 && number - p->late_next < p->guess_next - p->late_next;
}

/* The key of a row came: its open guesses have come true, or did so too early for a load. */
static void close_guesses(pc_predict *p, pc_row *row)
{
    bool in_time = false;
    for (uint32_t number = row->guess; is_open(p, number);) {
        pc_guess *guess = guess_at(p, number);
        in_time = (float)age(p, guess->made) > p->lead;
        guess->state = in_time ? PC_GUESS_TRUE : PC_GUESS_EARLY;
        number = guess->before;
    }
    if (in_time && row->right < 3) /* the first guess, which was made before the others */
        row->right++;
    row->guess = 0;
    row->votes = 0;
}

/* A guess was wrong. When it was the first one of its key, the key starts afresh, less trusted. */
static void disappoint(pc_predict *p, const pc_guess *wrong, uint32_t number)
{
    pc_row *row = row_of(p, wrong->row, wrong->tag);
    if (row == NULL || wrong->before != 0 || row->guess == 0)
        return;
    uint32_t first = row->guess;
    while (is_open(p, first) && guess_at(p, first)->before != 0)
        first = guess_at(p, first)->before;
    if (first != number)
        return;
    row->guess = 0;
    row->votes = 0;
    row->right = row->right > 1 ? row->right - 2 : 0;
}

static uint32_t horizon(const pc_predict *p)
{
    float stay = p->stay < (float)p->size ? (float)p->size : p->stay;
    return stay < (float)LATE ? (uint32_t)stay : LATE;
}

static bool is_full(const pc_predict *p)
{
    return p->guess_next - p->late_next > p->guess_mask;
}

static void look_soon(pc_predict *p)
{
    const pc_guess *guess = guess_at(p, p->soon_next++);
    pc_judge_soon(&p->judge, &guess->traits, guess->grade, guess->state == PC_GUESS_TRUE);
}

static void look_late(pc_predict *p)
{
    uint32_t number = p->late_next;
    const pc_guess *guess = guess_at(p, number);
    if (p->soon_next == number) /* the ring is small: this is both */
        look_soon(p);
    pc_judge_late(&p->judge, guess->grade, guess->state == PC_GUESS_TRUE);
    if (guess->state == PC_GUESS_OPEN)
        disappoint(p, guess, number);
    p->late_next++;
}

static void look_back(pc_predict *p)
{
    uint32_t late = horizon(p), soon = late < SOON ? late : SOON;
    for (unsigned i = 0; i < MATURING && p->soon_next != p->guess_next; i++) {
        if (age(p, guess_at(p, p->soon_next)->made) <= soon)
            break;
        look_soon(p);
    }
    for (unsigned i = 0; i < MATURING && p->late_next != p->guess_next; i++) {
        if (age(p, guess_at(p, p->late_next)->made) <= late)
            break;
        look_late(p);
    }
}

/* --- what a guess is judged by ---------------------------------------------------------------------------------- */

/* Whether two keys, of which one followed the other by `steps`, did so the time before as well. */
static unsigned pair_of(const pc_predict *p, const pc_visit *first, const pc_visit *second, uint32_t steps)
{
    if (!pc_history_holds(&p->history, first->before))
        return pc_history_holds(&p->history, second->before) ? 2 : 0;
    if (!pc_history_holds(&p->history, second->before))
        return 1;
    int32_t distance = pc_history_distance(&p->history, first->before, second->before);
    if (distance == PC_APART || distance <= 0)
        return 3;
    uint32_t apart = (uint32_t)distance > steps ? (uint32_t)distance - steps : steps - (uint32_t)distance;
    return apart <= 2 ? 6 : apart <= 32 ? 5 : (uint32_t)distance < PC_PREDICT_FARTHEST ? 4 : 3;
}

static unsigned half_octaves(uint32_t x)
{
    unsigned whole = pc_log2(x);
    return 2 * whole + (((uint64_t)x << 16 >> whole) >= 92682); /* 65536 times the root of 2 */
}

/* The time since the key's last visit against the time between its last two, in half octaves around 8; 0 is unknown. */
static unsigned due_of(const pc_predict *p, const pc_row *row)
{
    unsigned due = half_octaves(age(p, row->seen)) + 9;
    return row->gap == 0 ? 0 : due <= row->gap ? 1 : at_most(due - row->gap, 15);
}

/* --- voting ----------------------------------------------------------------------------------------------------- */

static pc_foreseen *listed_at(pc_predict *p, uint32_t number)
{
    return &p->listed[number % PC_PREDICT_LISTED];
}

static void unlist_oldest(pc_predict *p)
{
    const pc_foreseen *oldest = listed_at(p, p->listed_first++);
    pc_row *row = row_of(p, oldest->row, oldest->tag);
    if (row != NULL)
        row->flags &= (uint8_t)~PC_ROW_LISTED;
}

static void list(pc_predict *p, pc_row *row, uint32_t number, float confidence)
{
    if (p->listed_next - p->listed_first == PC_PREDICT_LISTED)
        unlist_oldest(p);
    *listed_at(p, p->listed_next++) = (pc_foreseen){number, (uint32_t)row->hash, p->now, confidence};
    row->flags |= PC_ROW_LISTED | PC_ROW_TOLD;
}

/* Guesses that come true may still load in vain: what arrives late, or is evicted too soon. The audit of what was loaded
 * has the last word. */
static float kept_share(const pc_predict *p)
{
    float due = p->threshold * p->kept.count;
    return p->kept.right >= due ? 1 : (p->kept.right + CREDIT) / (due + CREDIT);
}

static float confidence_of(const pc_predict *p, unsigned grade)
{
    return p->judge.confidence[grade] * kept_share(p);
}

static void guess(pc_predict *p, pc_row *row, uint32_t number, pc_traits traits)
{
    if (is_full(p))
        look_late(p);
    unsigned grade = pc_judge_grade(pc_judge_score(&p->judge, &traits));
    uint32_t before = is_open(p, row->guess) ? row->guess : 0;
    *guess_at(p, p->guess_next) =
        (pc_guess){number, (uint32_t)row->hash, p->now, before, traits, (uint8_t)grade, PC_GUESS_OPEN};
    row->guess = p->guess_next++;
    p->guess_next += p->guess_next == 0;
    float confidence = confidence_of(p, grade);
    if (confidence > p->threshold && !p->paused)
        list(p, row, number, confidence);
}

typedef struct {
    const pc_visit *from; /* the visit that is repeated now */
    uint8_t run, age;
} pc_ground;

static void vote(pc_predict *p, const pc_ground *ground, uint32_t at, uint32_t steps)
{
    const pc_visit *visit = pc_history_visit(&p->history, at);
    pc_row *row = row_of(p, visit->row, visit->tag);
    if (row == NULL || row->flags & (PC_ROW_LISTED | PC_ROW_LOADING | PC_ROW_HELD))
        return;
    if ((float)age(p, row->seen) < p->stay || row->votes == UINT8_MAX) /* it is in the cache */
        return;
    row->votes++;
    if (row->votes & (row->votes - 1))
        return;
    guess(p, row, visit->row,
          (pc_traits){.run = ground->run,
                      .right = row->right,
                      .age = ground->age,
                      .known = (uint8_t)(p->known >> 14),
                      .pair = (uint8_t)pair_of(p, ground->from, visit, steps),
                      .due = (uint8_t)due_of(p, row)});
}

static uint32_t slack(const pc_predict *p) /* loads and visits do not keep a steady pace */
{
    return (uint32_t)(p->lead / 4) + 1;
}

static uint32_t lead_of(const pc_predict *p)
{
    return (uint32_t)p->lead + slack(p);
}

/* How far beyond the lead guesses reach. What is loaded must stay until it is asked for, in a quarter of the cache. */
static uint32_t reach(const pc_predict *p)
{
    uint32_t room = p->size / 4 > slack(p) ? p->size / 4 - slack(p) : 0;
    return room > PC_PREDICT_REACH ? PC_PREDICT_REACH : room < PC_PREDICT_VOTES ? PC_PREDICT_VOTES : room;
}

static void vote_ahead(pc_predict *p, uint32_t last, uint32_t run, uint32_t since, float pace)
{
    uint32_t steps = (uint32_t)((float)lead_of(p) / pace) + 1; /* visits of all contexts, in visits of this one */
    uint32_t stride = (uint32_t)((float)reach(p) / pace) / PC_PREDICT_VOTES;
    stride = stride <= 1 ? 1 : (stride - 1) | 1; /* odd: where two clients take turns, both are looked at */
    uint32_t at = pc_history_after(&p->history, last, steps);
    float stays = (float)since / (p->stay < 1 ? 1 : p->stay);
    pc_ground ground = {.from = pc_history_visit(&p->history, last),
                        .run = (uint8_t)at_most(pc_log2(run), 7),
                        .age = (uint8_t)at_most(pc_log2(stays < 8 ? (uint32_t)stays : 8), 3)};
    uint32_t places[PC_PREDICT_VOTES];
    unsigned count = 0;
    for (; count < PC_PREDICT_VOTES && at != 0; count++) { /* each wave overlaps its waits for memory */
        PC_PREFETCH(pc_history_visit(&p->history, at));
        places[count] = at;
        at = pc_history_after(&p->history, at, stride);
    }
    for (unsigned i = 0; i < count; i++)
        PC_PREFETCH_WRITE(&p->rows[pc_history_visit(&p->history, places[i])->row]);
    for (unsigned i = 0; i < count; i++)
        vote(p, &ground, places[i], steps + i * stride);
}

/* --- what was loaded -------------------------------------------------------------------------------------------- */

static void settle_load(pc_predict *p, bool used)
{
    p->settled = p->now;
    pc_tally_add(&p->kept, used, KEEP);
    if (p->kept.count < ENOUGH || p->kept.right >= p->kept.count / 2 || p->paused)
        return;
    p->paused = true;
    p->resume = p->now + PC_PREDICT_REST;
    p->counts.pauses++;
    p->kept = (pc_tally){0, 0}; /* it comes back without a record, and may lose it again */
}

/* Confidence that was lowered below the threshold would never be put to the test again. */
static void forgive(pc_predict *p)
{
    if (age(p, p->settled) < FORGIVE)
        return;
    p->settled = p->now;
    p->kept.count /= 2;
    p->kept.right /= 2;
}

bool pc_predict_open(pc_predict *p)
{
    if (p->paused && (int32_t)(p->now - p->resume) >= 0)
        p->paused = false;
    return !p->paused;
}

static pc_held *held_at(const pc_predict *p, uint32_t number)
{
    return &p->held[number & p->held_mask];
}

static void settle_held(pc_predict *p, pc_held *held, bool used)
{
    settle_load(p, used);
    if (used)
        p->counts.used++;
    else
        p->counts.wasted++;
    held->row = 0;
    p->held_count--;
}

/* A loaded key was asked for: it was there, or had been evicted by then. */
static void redeem(pc_predict *p, pc_row *row, bool hit)
{
    row->flags &= (uint8_t)~PC_ROW_HELD;
    pc_held *held = held_at(p, row->held);
    if (p->rows + held->row == row)
        settle_held(p, held, hit);
}

/* Forgets the oldest held key and returns its row, 0 when it is another key's by now. */
static uint32_t release_oldest(pc_predict *p)
{
    while (held_at(p, p->held_first)->row == 0)
        p->held_first++;
    pc_held *held = held_at(p, p->held_first++);
    pc_row *row = row_of(p, held->row, held->tag);
    uint32_t number = held->row;
    settle_held(p, held, false);
    if (row == NULL)
        return 0;
    row->flags &= (uint8_t)~PC_ROW_HELD;
    return number;
}

/* What nobody asked for within twice the time that entries stay has been evicted, most likely. */
static void write_off(pc_predict *p)
{
    while (p->held_count != 0) {
        if (held_at(p, p->held_first)->row == 0) {
            p->held_first++;
            continue;
        }
        if ((float)age(p, held_at(p, p->held_first)->since) <= 2 * (float)horizon(p))
            return;
        release_oldest(p);
        return; /* one a visit: at most one arrives for each */
    }
}

bool pc_predict_begin(pc_predict *p, pc_foreseen *f)
{
    pc_row *row = row_of(p, f->row, f->tag);
    if (row == NULL || !(row->flags & PC_ROW_LISTED))
        return false;
    row->flags = (uint8_t)((row->flags & ~PC_ROW_LISTED) | PC_ROW_LOADING);
    row->held = f->made = p->now; /* no two loads of a row: between them it is visited */
    p->counts.issued++;
    return true;
}

/* The row that waits for this load, NULL when its key was asked for meanwhile. */
static pc_row *awaiting(const pc_predict *p, const pc_foreseen *f)
{
    pc_row *row = row_of(p, f->row, f->tag);
    return row != NULL && row->flags & PC_ROW_LOADING && row->held == f->made ? row : NULL;
}

void pc_predict_fail(pc_predict *p, const pc_foreseen *f)
{
    pc_row *row = awaiting(p, f);
    if (row != NULL)
        row->flags &= (uint8_t)~PC_ROW_LOADING;
    p->counts.failed++;
}

static void measure_lead(pc_predict *p, uint32_t took)
{
    float limited = took < PC_PREDICT_FARTHEST ? (float)took : (float)PC_PREDICT_FARTHEST;
    p->lead += (limited - p->lead) * (limited > p->lead || p->counts.arrived == 0 ? 0.5f : 0.05f); /* slow to forget */
    if (p->counts.arrived == 0)
        p->lead = limited;
}

uint32_t pc_predict_arrive(pc_predict *p, const pc_foreseen *f)
{
    pc_row *row = awaiting(p, f);
    measure_lead(p, age(p, f->made));
    p->counts.arrived++;
    if (row == NULL) { /* late */
        p->counts.late++;
        settle_load(p, false);
        return 0;
    }
    uint32_t leaves = p->held_count >= p->held_limit ? release_oldest(p) : 0;
    while (p->held_next - p->held_first > p->held_mask) { /* full of what was settled, or not: one place is needed */
        if (held_at(p, p->held_first)->row == 0)
            p->held_first++;
        else
            release_oldest(p);
    }
    row->flags = (uint8_t)((row->flags & ~PC_ROW_LOADING) | PC_ROW_HELD);
    row->held = p->held_next;
    *held_at(p, p->held_next++) = (pc_held){f->row, f->tag, p->now};
    p->held_count++;
    return leaves;
}

static uint32_t patience(const pc_predict *p) /* visits after which a prediction has missed its moment */
{
    return lead_of(p) + reach(p);
}

bool pc_predict_stands(const pc_predict *p, const pc_foreseen *f)
{
    const pc_row *row = row_of(p, f->row, f->tag);
    return row != NULL && row->flags & PC_ROW_LISTED && f->made != 0 && age(p, f->made) <= patience(p);
}

static void expire_listed(pc_predict *p)
{
    while (p->listed_first != p->listed_next && !pc_predict_stands(p, listed_at(p, p->listed_first)))
        unlist_oldest(p);
}

/* --- visits ----------------------------------------------------------------------------------------------------- */

/* How long an entry stays: hits after a longer time and misses after a shorter one say by how much this is wrong. */
static void learn_stay(pc_predict *p, uint32_t since, int hit)
{
    float gap = (float)since;
    if (hit >= 0 && (hit != 0) == (gap > p->stay))
        p->stay += 0.02f * (gap - p->stay);
    if (p->stay < 1)
        p->stay = 1;
}

static void note_known(pc_predict *p, const pc_row *row)
{
    bool known = row->votes != 0 || row->flags & (PC_ROW_LISTED | PC_ROW_LOADING | PC_ROW_HELD);
    p->known = p->known - p->known / 32 + (known ? 65535u / 32 : 0);
}

/* A key comes again: what is open about it is settled. */
static void settle_row(pc_predict *p, pc_row *row, int hit)
{
    note_known(p, row);
    if (row->flags & PC_ROW_HELD)
        redeem(p, row, hit != 0);
    close_guesses(p, row);
    row->flags &= (uint8_t)~(PC_ROW_LISTED | PC_ROW_LOADING | PC_ROW_TOLD);
}

static uint32_t revisit(pc_predict *p, pc_row *row, uint32_t context, int hit)
{
    bool was_told = row->flags & PC_ROW_TOLD; /* then a hit does not say how long entries stay by themselves */
    uint32_t since = age(p, row->seen);
    settle_row(p, row, hit);
    if (!was_told)
        learn_stay(p, since, hit);
    row->gap = (uint8_t)(half_octaves(since) + 1);
    return pc_history_holds(&p->history, row->last) ? pc_history_follow(&p->history, context, row->last) : 0;
}

/* The visit before this one, where visits in quick succession, of which nothing can be said in time, are one. */
static uint32_t episode_before(const pc_predict *p, uint32_t last, uint32_t since)
{
    return since < lead_of(p) && pc_history_holds(&p->history, last) ? pc_history_visit(&p->history, last)->before : last;
}

pc_visited pc_predict_visit(pc_predict *p, uint64_t hash, uint64_t context_hash, int hit)
{
    uint32_t number = pc_predict_find(p, hash), run = 0, last = 0, since = 0;
    uint32_t context = (uint32_t)(pc_fold_mul64(context_hash ^ p->seed[0], p->seed[1]) >> 7);
    bool fresh = number == 0;
    p->now++;
    float pace = pc_history_pace(&p->history, context, p->now);
    pc_predict_open(p);
    look_back(p);
    if (p->now % REFRESH == 0)
        pc_judge_refresh(&p->judge);
    write_off(p);
    expire_listed(p);
    forgive(p);
    if (fresh) {
        number = add_row(p, hash);
        p->known -= p->known / 32;
    } else {
        since = age(p, p->rows[number].seen);
        last = p->rows[number].last;
        run = revisit(p, &p->rows[number], context, hit);
    }
    pc_row *row = &p->rows[number];
    row->seen = p->now;
    row->flags |= PC_ROW_RECENT;
    row->last = pc_history_append(&p->history, context, number, (uint32_t)hash, episode_before(p, last, since));
    if (run != 0 && pc_history_holds(&p->history, last))
        vote_ahead(p, last, run, since, pace);
    PC_CHECK_VALID(pc_predict_valid(p), p->used, p->now);
    return (pc_visited){number, fresh};
}

/* --- predictions ------------------------------------------------------------------------------------------------ */

static bool is_among(const pc_foreseen *f, const pc_foreseen *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (out[i].row == f->row)
            return true;
    return false;
}

unsigned pc_predict_list(const pc_predict *p, pc_foreseen *out, unsigned room)
{
    unsigned count = 0;
    for (uint32_t number = p->listed_first; number != p->listed_next && room != 0; number++) {
        const pc_foreseen *f = &p->listed[number % PC_PREDICT_LISTED];
        if (!pc_predict_stands(p, f) || (count == room && f->confidence <= out[count - 1].confidence) ||
            is_among(f, out, count)) /* listed again, because it was thought to be in the cache */
            continue;
        unsigned at = count < room ? count++ : count - 1;
        for (; at > 0 && out[at - 1].confidence < f->confidence; at--)
            out[at] = out[at - 1];
        out[at] = *f;
    }
    return count;
}

void pc_predict_present(pc_predict *p, const pc_foreseen *f)
{
    pc_row *row = row_of(p, f->row, f->tag);
    if (row != NULL)
        row->flags &= (uint8_t)~PC_ROW_LISTED;
}

static uint32_t recent_of_chunk(const pc_predict *p, const pc_chunk *chunk, uint32_t *rows, uint32_t room)
{
    uint32_t count = 0;
    for (uint32_t place = 0; place < chunk->used && count < room; place++) {
        const pc_visit *visit = pc_history_visit(&p->history, chunk->sequence * PC_CHUNK + place);
        if (row_of(p, visit->row, visit->tag) != NULL)
            rows[count++] = visit->row;
    }
    return count;
}

uint32_t pc_predict_recent(const pc_predict *p, uint32_t *rows, uint32_t room)
{
    const pc_history *h = &p->history;
    uint32_t chunks = room / PC_CHUNK < h->mask ? room / PC_CHUNK : h->mask, count = 0;
    for (uint32_t back = chunks; back-- > 0;) {
        const pc_chunk *chunk = &h->chunks[(h->sequence - back) & h->mask];
        count += recent_of_chunk(p, chunk, rows + count, room - count);
    }
    return count;
}

float pc_predict_precision(const pc_predict *p)
{
    return p->kept.count < 1 ? 1 : p->kept.right / p->kept.count;
}

/* --- consistency ------------------------------------------------------------------------------------------------ */

static bool rows_valid(const pc_predict *p)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i <= p->bucket_mask; i++)
        for (uint32_t row = p->buckets[i]; row != 0; row = p->rows[row].chain)
            if (row > p->used || bucket_of(p, p->rows[row].hash) != &p->buckets[i] || found++ == p->used)
                return false;
    return found == p->used && p->used <= p->capacity;
}

static bool held_valid(const pc_predict *p)
{
    uint32_t count = 0;
    for (uint32_t number = p->held_first; number != p->held_next; number++)
        count += held_at(p, number)->row != 0;
    return count == p->held_count && count <= p->held_limit && p->held_next - p->held_first <= p->held_mask + 1;
}

bool pc_predict_valid(const pc_predict *p)
{
    return rows_valid(p) && held_valid(p) && pc_history_valid(&p->history) && pc_judge_valid(&p->judge) &&
           p->guess_next - p->late_next <= p->guess_mask + 1 && p->listed_next - p->listed_first <= PC_PREDICT_LISTED &&
           p->stay >= 1 && p->lead >= 0;
}

size_t pc_predict_bytes(const pc_predict *p)
{
    return ((size_t)p->capacity + 1) * sizeof *p->rows + ((size_t)p->bucket_mask + 1) * sizeof *p->buckets +
           ((size_t)p->guess_mask + 1) * sizeof *p->guesses + ((size_t)p->held_mask + 1) * sizeof *p->held +
           pc_history_bytes(&p->history);
}
