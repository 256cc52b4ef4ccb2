/* judge.h: how likely is it that a guess comes true? A hashed perceptron, and what came of its earlier verdicts.
 *
 * A guess is described by a few small numbers (pc_traits). Four tables, each indexed by some of them, add up to a
 * score; it is trained on what became of each guess, used or not (perceptron prefetch filtering: Bhatia et al.,
 * ISCA 2019). The score is no probability. Scores are therefore sorted into 32 grades, and the confidence of a grade is
 * the share of its own latest guesses that came true: the lower end of Wilson's interval (1927) at one standard
 * deviation, so that a grade which is hardly known is not trusted.
 *
 * Guesses are looked at twice, after a short and after a long time. The share after the short one is known soon, the
 * other is exact but late; what came true soon also did late, so both are lower bounds, and the higher one counts.
 */
#ifndef PC_JUDGE_H
#define PC_JUDGE_H

#include "base.h"

#define PC_GRADES 32u
#define PC_JUDGE_TABLES 4u
#define PC_JUDGE_CELLS 512u

typedef struct {
    uint8_t run;    /* 0..7: octaves of the length of the run that led here */
    uint8_t right;  /* 0..3: how often guesses of this key came true lately */
    uint8_t age;    /* 0..3: octaves of the time since what is repeated, in units of how long entries stay */
    uint8_t known;  /* 0..3: quarters of the latest visits that had been guessed */
    uint8_t pair;   /* 0..6: did both keys come at this distance once before? */
    uint8_t due;    /* 0..15: time since the key's last visit, against the time between its last two */
} pc_traits;

typedef struct {
    float count, right; /* decayed */
} pc_tally;

typedef struct {
    float weights[PC_JUDGE_TABLES][PC_JUDGE_CELLS];
    pc_tally soon[PC_GRADES], late[PC_GRADES];
    float confidence[PC_GRADES]; /* as of the latest pc_judge_refresh */
} pc_judge;

/* The lower end of the interval for the share of what came true; 0 below four guesses. */
float pc_tally_bound(const pc_tally *tally);

static inline void pc_tally_add(pc_tally *tally, bool right, float keep)
{
    tally->count = tally->count * keep + 1;
    tally->right = tally->right * keep + (right ? 1 : 0);
}

float pc_judge_score(const pc_judge *j, const pc_traits *t);
unsigned pc_judge_grade(float score);

/* What became of a guess, by the short horizon and by the long one. */
void pc_judge_soon(pc_judge *j, const pc_traits *t, unsigned grade, bool right);
void pc_judge_late(pc_judge *j, unsigned grade, bool right);

/* The share of a grade's guesses that come true: at least that, as far as is known. Square roots and divisions are the
 * dearest part of a guess, so that owners refresh `confidence` now and then, and look there. */
float pc_judge_confidence(const pc_judge *j, unsigned grade);
void pc_judge_refresh(pc_judge *j);

/* Whether all numbers are finite and within bounds. */
bool pc_judge_valid(const pc_judge *j);

#endif
