#include "judge.h"

#include <string.h>

#define RATE 0.05f         /* of learning: 0.03 to 0.1 give the same reductions to half a point */
#define KEEP 0.998f        /* the last 500 guesses of a grade count */
#define FEW 16.0f           /* guesses, from which on a grade speaks for itself */
#define WEIGHT_LIMIT 16.0f /* of a cell: a score saturates at 6 */

/* Of 0 to 1, to 5 digits: halves the exponent, then Newton. The core does without libm. */
static float square_root(float x)
{
    uint32_t bits;
    float root;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits >> 1) + (127u << 22);
    memcpy(&root, &bits, sizeof root);
    root = 0.5f * (root + x / root);
    return 0.5f * (root + x / root);
}

float pc_tally_bound(const pc_tally *tally)
{
    float n = tally->count;
    if (n < 3.9f)
        return 0;
    float share = tally->right / n;
    float spread = square_root(share * (1 - share) / n + 1 / (4 * n * n));
    float bound = (share + 1 / (2 * n) - spread) / (1 + 1 / n);
    return bound > 0 ? bound : 0; /* rounding */
}

static inline void cells_of(const pc_traits *t, uint32_t cells[PC_JUDGE_TABLES])
{
    cells[0] = (t->pair * 16u + t->due) * 4 + t->right;
    cells[1] = (t->run * 4u + t->right) * 4 + t->known;
    cells[2] = (t->pair * 8u + t->run) * 4 + t->age;
    cells[3] = (t->known * 8u + t->run) * 4 + t->age;
}

float pc_judge_score(const pc_judge *j, const pc_traits *t)
{
    uint32_t cells[PC_JUDGE_TABLES];
    float score = 0;
    cells_of(t, cells);
    for (unsigned i = 0; i < PC_JUDGE_TABLES; i++)
        score += j->weights[i][cells[i]];
    return score;
}

unsigned pc_judge_grade(float score)
{
    float grade = score * 4 + PC_GRADES / 2;
    return grade <= 0 ? 0 : grade >= PC_GRADES - 1 ? PC_GRADES - 1 : (unsigned)grade;
}

static float logistic(float score) /* within 0.003: Pade's tanh of half the score */
{
    float x = score / 2;
    if (x > 3 || x < -3)
        return x > 0 ? 1 : 0;
    float square = x * x;
    return 0.5f + 0.5f * x * (27 + square) / (27 + 9 * square);
}

static inline float within(float weight)
{
    return weight > WEIGHT_LIMIT ? WEIGHT_LIMIT : weight < -WEIGHT_LIMIT ? -WEIGHT_LIMIT : weight;
}

static void train(pc_judge *j, const pc_traits *t, bool right)
{
    uint32_t cells[PC_JUDGE_TABLES];
    float step = RATE * ((right ? 1.0f : 0.0f) - logistic(pc_judge_score(j, t)));
    cells_of(t, cells);
    for (unsigned i = 0; i < PC_JUDGE_TABLES; i++)
        j->weights[i][cells[i]] = within(j->weights[i][cells[i]] + step);
}

void pc_judge_soon(pc_judge *j, const pc_traits *t, unsigned grade, bool right)
{
    train(j, t, right);
    pc_tally_add(&j->soon[grade], right, KEEP);
}

void pc_judge_late(pc_judge *j, unsigned grade, bool right)
{
    pc_tally_add(&j->late[grade], right, KEEP);
}

/* A grade that is hardly known is believed to be no worse than the next lower one that is. */
static float bound_below(const pc_tally *tallies, unsigned grade)
{
    while (grade > 0 && tallies[grade].count < FEW)
        grade--;
    return pc_tally_bound(&tallies[grade]);
}

float pc_judge_confidence(const pc_judge *j, unsigned grade)
{
    float soon = bound_below(j->soon, grade), late = bound_below(j->late, grade);
    return soon > late ? soon : late;
}

void pc_judge_refresh(pc_judge *j)
{
    for (unsigned grade = 0; grade < PC_GRADES; grade++)
        j->confidence[grade] = pc_judge_confidence(j, grade);
}

static bool tally_valid(const pc_tally *tally)
{
    return tally->count >= 0 && tally->count <= 1 / (1 - KEEP) + 1 && tally->right >= 0 &&
           tally->right <= tally->count * 1.0001f + 0.0001f; /* rounding */
}

bool pc_judge_valid(const pc_judge *j)
{
    for (unsigned table = 0; table < PC_JUDGE_TABLES; table++)
        for (unsigned cell = 0; cell < PC_JUDGE_CELLS; cell++)
            if (!(j->weights[table][cell] >= -WEIGHT_LIMIT && j->weights[table][cell] <= WEIGHT_LIMIT))
                return false; /* NaN too */
    for (unsigned grade = 0; grade < PC_GRADES; grade++)
        if (!tally_valid(&j->soon[grade]) || !tally_valid(&j->late[grade]) ||
            !(j->confidence[grade] >= 0 && j->confidence[grade] <= 1))
            return false;
    return true;
}
