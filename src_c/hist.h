/* hist.h: a histogram of doubles with a bounded relative error, at OpenTelemetry's scale 5 (Prometheus' schema 5).
 *
 *     bucket i covers (2^(i/32), 2^((i+1)/32)]                32 buckets an octave, upper edge inclusive
 *     any value of a bucket is within (b-1)/(b+1) = 1.083 % of 2ul/(u+l), with b = 2^(1/32)
 *
 * A shape says which octaves are kept: from 2^low to 2^high. What lies outside is counted apart and never dropped:
 *
 *     word   0     1     2      3         4    5     6 7    8 ...
 *            sum   zero  under  negative  nan  over  -      one for each bucket
 *
 * `under` holds what is above 0 and at most 2^low, `over` what is above 2^high, and +inf. The sum (a double) is that of
 * the finite values that are not negative. There is no count: it is the sum of the others, so the two cannot
 * disagree.
 *
 * The index of a value takes no logarithm. The top six bits of the mantissa give, by a table of 64 entries, the last
 * boundary that lies below all values with these bits; since 1/64 < 2^(1/32)-1 at most one more boundary can lie below
 * the value, and one comparison with its exact mantissa decides. Boundaries are irrational but for powers of two, so
 * "above the boundary" is "above its mantissa rounded down", and an exact power of two belongs to the octave below.
 *
 * Live words (pc_atomic_u64) are recorded into by any thread; a readout is plain words in the same places, with which
 * one calculates. Readouts are never reset: who wants an interval subtracts two of them. Every observation that
 * happened before a readout is in it, none twice; only its sum may lag behind by writers that are under way.
 */
#ifndef PC_HIST_H
#define PC_HIST_H

#include "cells.h"

#define PC_HIST_SCALE 5
#define PC_HIST_PER_OCTAVE 32
#define PC_HIST_LOWEST (-1022) /* exponents of the smallest normal double ... */
#define PC_HIST_HIGHEST 1023   /* ... and of the largest power of two */

enum {
    PC_HIST_SUM,
    PC_HIST_ZERO,
    PC_HIST_UNDER,
    PC_HIST_NEGATIVE,
    PC_HIST_NAN,
    PC_HIST_OVER,
    PC_HIST_BUCKETS = 8,
};

typedef struct {
    int low;          /* log2 of the lower end */
    uint32_t buckets; /* 32 for each octave */
} pc_hist_shape;

extern const uint64_t pc_hist_boundary[PC_HIST_PER_OCTAVE + 1]; /* 2^52 (2^(i/32) - 1), rounded down */
extern const uint8_t pc_hist_below[64];                         /* the last boundary below all with these six bits */

/* The words of a readout, and of one shard of live words (whole pairs of cache lines). */
static inline size_t pc_hist_words(pc_hist_shape s)
{
    return PC_HIST_BUCKETS + (size_t)s.buckets;
}

static inline size_t pc_hist_stride(pc_hist_shape s)
{
    return (pc_hist_words(s) + PC_CELL_STRIDE - 1) / PC_CELL_STRIDE * PC_CELL_STRIDE;
}

/* The bucket of a positive normal double, counted from 2^0; for anything else some number outside every shape. */
static inline int64_t pc_hist_index(uint64_t bits)
{
    int64_t exponent = (int64_t)(bits >> 52) - 1023; /* with the sign: a negative value is beyond 1024 */
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    int64_t i = pc_hist_below[mantissa >> 46];
    i += mantissa > pc_hist_boundary[i + 1];
    i -= mantissa == 0;
    return exponent * PC_HIST_PER_OCTAVE + i;
}

/* The word in which a value is counted. */
static inline size_t pc_hist_word(pc_hist_shape s, double value)
{
    int64_t i = pc_hist_index(pc_bits_of(value)) - (int64_t)s.low * PC_HIST_PER_OCTAVE;
    if (PC_LIKELY((uint64_t)i < s.buckets))
        return PC_HIST_BUCKETS + (size_t)i;
    if (value != value)
        return PC_HIST_NAN;
    if (value <= 0)
        return value < 0 ? PC_HIST_NEGATIVE : PC_HIST_ZERO;
    return i < 0 ? PC_HIST_UNDER : PC_HIST_OVER;
}

/* Counts a value, whatever it is. Any thread, any moment; two atomic additions. */
static inline void pc_hist_record(pc_atomic_u64 *live, pc_hist_shape s, double value)
{
    size_t word = pc_hist_word(s, value);
    pc_cell_count(&live[word], 1);
    if (PC_LIKELY(value >= 0 && value <= 1.7976931348623157e308))
        pc_cell_add(&live[PC_HIST_SUM], value);
}

/* Adds live words of several shards to a readout. */
void pc_hist_read(pc_hist_shape s, const pc_atomic_u64 *live, unsigned shards, uint64_t *readout);

/* Adds a readout to live words, atomically bucket by bucket. */
void pc_hist_pour(pc_hist_shape s, pc_atomic_u64 *live, const uint64_t *readout);

/* into += other, into -= other. Subtraction fails, changing nothing, where `other` is not an earlier readout. */
void pc_hist_add(pc_hist_shape s, uint64_t *into, const uint64_t *other);
bool pc_hist_subtract(pc_hist_shape s, uint64_t *into, const uint64_t *other);

/* How many observations: all but those that were negative or not a number. */
uint64_t pc_hist_count(pc_hist_shape s, const uint64_t *readout);

/* The largest double in the bucket i of a shape, and the value that stands for the bucket. */
double pc_hist_upper(pc_hist_shape s, uint32_t i);
double pc_hist_middle(pc_hist_shape s, uint32_t i);

/* The q-quantile (0 to 1), between order statistics interpolated as numpy does by default; each of them is within
 * 1.083 %, so it is as well. What lies under the shape counts as 0, what lies over it as infinity. NaN when
 * nothing was observed. */
double pc_hist_quantile(pc_hist_shape s, const uint64_t *readout, double q);

/* How many observations are certainly at most `bound`: those of the buckets that end there or before. */
uint64_t pc_hist_at_most(pc_hist_shape s, const uint64_t *readout, double bound);

#endif
