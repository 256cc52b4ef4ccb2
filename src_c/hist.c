#include "hist.h"

#include <math.h>

/* Both tables follow from integer square roots; src_c/tests/test_hist.c derives them again. */
const uint64_t pc_hist_boundary[PC_HIST_PER_OCTAVE + 1] = {
    UINT64_C(0x00000000000000), UINT64_C(0x0059b0d3158574), UINT64_C(0x00b5586cf9890f), UINT64_C(0x011301d0125b50),
    UINT64_C(0x0172b83c7d517a), UINT64_C(0x01d4873168b9aa), UINT64_C(0x02387a6e756238), UINT64_C(0x029e9df51fdee1),
    UINT64_C(0x0306fe0a31b715), UINT64_C(0x0371a7373aa9ca), UINT64_C(0x03dea64c123422), UINT64_C(0x044e086061892d),
    UINT64_C(0x04bfdad5362a27), UINT64_C(0x05342b569d4f81), UINT64_C(0x05ab07dd485429), UINT64_C(0x06247eb03a5584),
    UINT64_C(0x06a09e667f3bcc), UINT64_C(0x071f75e8ec5f73), UINT64_C(0x07a11473eb0186), UINT64_C(0x082589994cce12),
    UINT64_C(0x08ace5422aa0db), UINT64_C(0x093737b0cdc5e4), UINT64_C(0x09c49182a3f090), UINT64_C(0x0a5503b23e255c),
    UINT64_C(0x0ae89f995ad3ad), UINT64_C(0x0b7f76f2fb5e46), UINT64_C(0x0c199bdd85529c), UINT64_C(0x0cb720dcef9069),
    UINT64_C(0x0d5818dcfba487), UINT64_C(0x0dfc97337b9b5e), UINT64_C(0x0ea4afa2a490d9), UINT64_C(0x0f50765b6e4540),
    UINT64_C(0x10000000000000),
};

/* clang-format off */
const uint8_t pc_hist_below[64] = {
    0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 7, 8, 9, 9,
    10, 10, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 18,
    18, 19, 19, 20, 20, 21, 21, 21, 22, 22, 23, 23, 24, 24, 25, 25,
    25, 26, 26, 27, 27, 27, 28, 28, 29, 29, 29, 30, 30, 30, 31, 31,
};
/* clang-format on */

void pc_hist_read(pc_hist_shape s, const pc_atomic_u64 *live, unsigned shards, uint64_t *readout)
{
    size_t words = pc_hist_words(s), stride = pc_hist_stride(s);
    for (unsigned shard = 0; shard < shards; shard++, live += stride) {
        double sum = pc_double_of(pc_load(&live[PC_HIST_SUM], memory_order_relaxed));
        readout[PC_HIST_SUM] = pc_bits_of(pc_double_of(readout[PC_HIST_SUM]) + sum);
        for (size_t i = PC_HIST_ZERO; i < words; i++)
            readout[i] += pc_load(&live[i], memory_order_relaxed);
    }
}

void pc_hist_pour(pc_hist_shape s, pc_atomic_u64 *live, const uint64_t *readout)
{
    for (size_t i = PC_HIST_ZERO, words = pc_hist_words(s); i < words; i++) {
        if (readout[i] != 0)
            pc_cell_count(&live[i], readout[i]);
    }
    pc_cell_add(&live[PC_HIST_SUM], pc_double_of(readout[PC_HIST_SUM]));
}

void pc_hist_add(pc_hist_shape s, uint64_t *restrict into, const uint64_t *restrict other)
{
    double sum = pc_double_of(into[PC_HIST_SUM]) + pc_double_of(other[PC_HIST_SUM]);
    for (size_t i = 0, words = pc_hist_words(s); i < words; i++)
        into[i] += other[i];
    into[PC_HIST_SUM] = pc_bits_of(sum);
}

bool pc_hist_subtract(pc_hist_shape s, uint64_t *into, const uint64_t *other)
{
    size_t words = pc_hist_words(s);
    for (size_t i = PC_HIST_ZERO; i < words; i++) {
        if (other[i] > into[i])
            return false;
    }
    bool same = into[PC_HIST_SUM] == other[PC_HIST_SUM]; /* a sum that overflowed is no number when taken off itself */
    double sum = same ? 0.0 : pc_double_of(into[PC_HIST_SUM]) - pc_double_of(other[PC_HIST_SUM]);
    for (size_t i = PC_HIST_ZERO; i < words; i++)
        into[i] -= other[i];
    into[PC_HIST_SUM] = pc_bits_of(sum);
    return true;
}

/* Of n words, the total. */
static uint64_t total(const uint64_t *words, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += words[i];
    return sum;
}

uint64_t pc_hist_count(pc_hist_shape s, const uint64_t *readout)
{
    return readout[PC_HIST_ZERO] + readout[PC_HIST_UNDER] + readout[PC_HIST_OVER] +
           total(&readout[PC_HIST_BUCKETS], s.buckets);
}

/* The largest double that is at most 2^(i/32). */
static double edge(int64_t i)
{
    int64_t octave = i >= 0 ? i / PC_HIST_PER_OCTAVE : -((-i + PC_HIST_PER_OCTAVE - 1) / PC_HIST_PER_OCTAVE);
    uint64_t mantissa = pc_hist_boundary[i - octave * PC_HIST_PER_OCTAVE];
    return pc_double_of((uint64_t)(octave + 1023) << 52 | mantissa);
}

double pc_hist_upper(pc_hist_shape s, uint32_t i)
{
    return edge((int64_t)s.low * PC_HIST_PER_OCTAVE + i + 1);
}

double pc_hist_middle(pc_hist_shape s, uint32_t i)
{
    const double b = 1.0218971486541166; /* 2^(1/32) */
    return edge((int64_t)s.low * PC_HIST_PER_OCTAVE + i) * (2 * b / (b + 1)); /* 2ul/(u+l) with u = bl */
}

/* The value that stands for the observation of this rank, counted from 0; `seen` observations precede bucket *i. */
static double ranked(pc_hist_shape s, const uint64_t *readout, uint64_t rank, uint64_t *seen, uint32_t *i)
{
    if (rank < readout[PC_HIST_ZERO] + readout[PC_HIST_UNDER])
        return 0;
    while (*i < s.buckets && *seen + readout[PC_HIST_BUCKETS + *i] <= rank)
        *seen += readout[PC_HIST_BUCKETS + (*i)++];
    return *i < s.buckets ? pc_hist_middle(s, *i) : HUGE_VAL;
}

double pc_hist_quantile(pc_hist_shape s, const uint64_t *readout, double q)
{
    uint64_t count = pc_hist_count(s, readout), seen = readout[PC_HIST_ZERO] + readout[PC_HIST_UNDER];
    uint32_t i = 0;
    if (count == 0)
        return NAN;
    double at = q * (double)(count - 1), part = at - floor(at);
    uint64_t rank = (uint64_t)at < count ? (uint64_t)at : count - 1; /* beyond 2^53 the product may round up */
    double low = ranked(s, readout, rank, &seen, &i);
    if (part == 0 || rank + 1 >= count)
        return low;
    double high = ranked(s, readout, rank + 1, &seen, &i);
    return high == low ? low : low + (high - low) * part;
}

uint64_t pc_hist_at_most(pc_hist_shape s, const uint64_t *readout, double bound)
{
    uint64_t count = bound >= 0 ? readout[PC_HIST_ZERO] : 0;
    if (!(bound >= edge((int64_t)s.low * PC_HIST_PER_OCTAVE)))
        return count;
    count += readout[PC_HIST_UNDER];
    uint32_t i = 0;
    while (i < s.buckets && pc_hist_upper(s, i) <= bound)
        count += readout[PC_HIST_BUCKETS + i++];
    return bound == HUGE_VAL ? count + readout[PC_HIST_OVER] : count;
}
