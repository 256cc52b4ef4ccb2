/* predict.h: which keys will be asked for soon? Online mining of associations: what followed a key when it came before,
 * checked against what became of such guesses.
 *
 *   visit of k --> where was k last? --> who came `lead` and more visits later? --> a vote for each of these keys
 *                                                                                      | at 1, 2, 4, 8 ... votes
 *          [ sheet: every guess, made use of or not ] <-- graded by the judge <--------+
 *                 | after a short and a long horizon: did it come true?               | confident enough
 *                 +--> the judge learns                                               +--> list of predictions
 *
 * Replaying history is temporal streaming (Wenisch et al., ISCA 2005); that votes of several keys add up makes it
 * independent of the exact order, as in Mithril (Yang et al., SoCC 2017). What is guessed lies at least as far ahead as
 * loads have taken to arrive, measured in visits: what is asked for sooner cannot be loaded in time.
 *
 * Guesses are audited whether or not anybody acts upon them: so nothing needs to be tried out to know that it does not
 * work, and where nothing can be predicted nothing is loaded. Of what is loaded the outcome is audited once more: the
 * confidence is scaled down when less than the threshold of it was used, and below a half the predictor pauses.
 *
 * It knows keys by their 64-bit hash alone: keys of one hash share a row, and are guessed together. All memory is taken
 * at the start, and a visit costs the same however long the history is.
 * Threads: none; the owner locks.
 */
#ifndef PC_PREDICT_H
#define PC_PREDICT_H

#include "history.h"
#include "judge.h"

#define PC_PREDICT_VOTES 8u    /* keys that one visit votes for ... */
#define PC_PREDICT_REACH 64u   /* ... among so many visits beyond the lead */
#define PC_PREDICT_LISTED 64u  /* predictions kept for whoever asks */
#define PC_PREDICT_LEAD 64u    /* visits that loads take until the first one was measured, at most */
#define PC_PREDICT_FARTHEST 1024u
#define PC_PREDICT_REST 512u   /* visits that a pause lasts */

typedef enum {
    PC_ROW_LISTED = 1,
    PC_ROW_LOADING = 2,
    PC_ROW_HELD = 4,
    PC_ROW_RECENT = 8, /* visited since the hand passed */
    PC_ROW_TOLD = 16,  /* predicted since its last visit: somebody may have loaded it without saying so */
} pc_row_flag;

typedef struct { /* 32 bytes: half a cache line */
    uint64_t hash;
    uint32_t chain; /* next row of the bucket */
    uint32_t last;  /* position of the latest visit */
    uint32_t seen;  /* time of the latest visit */
    uint32_t guess; /* number of the latest open guess, 0 for none */
    uint32_t held;  /* while PC_ROW_HELD: its number among the held; while PC_ROW_LOADING: when that was begun */
    uint8_t gap;    /* between the latest two visits, in half octaves + 1; 0 for unknown */
    uint8_t votes, right, flags;
} pc_row;

typedef enum { PC_GUESS_OPEN, PC_GUESS_TRUE, PC_GUESS_EARLY } pc_guess_state; /* early: before a load would arrive */

typedef struct {
    uint32_t row, tag;
    uint32_t made;   /* when */
    uint32_t before; /* number of the same key's guess with fewer votes, 0 for none */
    pc_traits traits;
    uint8_t grade, state;
} pc_guess;

typedef struct {
    uint32_t row, tag;
    uint32_t made; /* when; once it is begun, when that was, which tells the loads of a key apart */
    float confidence;
} pc_foreseen;

typedef struct {
    uint32_t row, tag, since;
} pc_held;

/* What became of what was loaded. */
typedef struct {
    uint64_t issued, arrived, used, late, wasted, failed, pauses;
} pc_predict_counts;

typedef struct {
    pc_row *rows;      /* 1 to capacity; row 0 is none */
    uint32_t *buckets; /* by the hash */
    uint32_t capacity, used, hand, bucket_mask;
    pc_history history;
    pc_judge judge;
    pc_guess *guesses; /* a ring of the numbers soon_next .. guess_next - 1, and older ones */
    uint32_t guess_mask, guess_next, soon_next, late_next;
    pc_foreseen listed[PC_PREDICT_LISTED];
    uint32_t listed_next, listed_first; /* a ring */
    pc_held *held; /* a ring: loaded and not yet asked for, oldest first */
    uint32_t held_mask, held_next, held_first, held_count, held_limit;
    uint32_t now;         /* visits */
    uint32_t known;       /* share of the latest visits that had been guessed, of 2^16 */
    uint32_t size;        /* of the cache, in entries */
    uint32_t resume;      /* when the pause ends */
    bool paused;
    float stay;           /* visits that an entry of the cache stays without being asked for */
    float lead;           /* visits that a load takes to arrive, the slower ones */
    float threshold;
    pc_tally kept;        /* what was loaded and asked for in time; decayed */
    uint32_t settled;     /* when that last changed */
    pc_predict_counts counts;
    uint64_t seed[2];
    pc_alloc alloc;
} pc_predict;

typedef struct {
    uint32_t row;
    bool fresh; /* the row has changed its key: the owner must take note of it */
} pc_visited;

/* For a cache of `size` entries: remembers `rows` keys and `visits` visits, of `contexts` contexts. Predicts above
 * `threshold`. seed[1] is odd. */
pc_status pc_predict_init(pc_predict *p, const pc_alloc *alloc, uint32_t size, uint32_t rows, uint32_t visits,
                          uint32_t contexts, float threshold, const uint64_t seed[2]);
void pc_predict_destroy(pc_predict *p);

/* A key was asked for; `hit` is 1 when the cache had it, 0 when not, -1 when nobody knows. */
pc_visited pc_predict_visit(pc_predict *p, uint64_t hash, uint64_t context, int hit);

/* The row of a key, or 0. */
uint32_t pc_predict_find(const pc_predict *p, uint64_t hash);

/* The best predictions above the threshold, at most `room`, most confident first; returns how many. */
unsigned pc_predict_list(const pc_predict *p, pc_foreseen *out, unsigned room);
bool pc_predict_stands(const pc_predict *p, const pc_foreseen *f);

/* The life of a prediction on which somebody acts: begun, and then arrived or failed. `begin` is false when it no longer
 * stands. `arrive` returns the row of a loaded key that nobody asked for and that must now leave the cache, or 0: what is
 * held for guesses is bounded. A load that is late may find another one of its key begun, of which it says nothing. */
bool pc_predict_begin(pc_predict *p, pc_foreseen *f);
void pc_predict_fail(pc_predict *p, const pc_foreseen *f);
uint32_t pc_predict_arrive(pc_predict *p, const pc_foreseen *f);

/* The key of a prediction was found to be in the cache: it need not be predicted now. */
void pc_predict_present(pc_predict *p, const pc_foreseen *f);

/* The rows of the latest visits of all contexts, oldest first, at most `room`; what a file keeps for the next start. */
uint32_t pc_predict_recent(const pc_predict *p, uint32_t *rows, uint32_t room);

/* The share of what was loaded that was asked for in time, lately; 1 while there is nothing to tell it by. */
float pc_predict_precision(const pc_predict *p);

/* Whether somebody may act on predictions now; a pause that is over ends here. */
bool pc_predict_open(pc_predict *p);

bool pc_predict_valid(const pc_predict *p);
size_t pc_predict_bytes(const pc_predict *p);

#endif
