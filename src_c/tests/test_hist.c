/* Histograms: the index is exact, the error bounded, readouts an algebra, and nothing is dropped. */
#include "../hist.h"
#include "pc_test.h"
#include "pc_threads.h"

#include <math.h>

static const pc_hist_shape SHAPE = {.low = -30, .buckets = 70 * PC_HIST_PER_OCTAVE};
enum { WORDS = PC_HIST_BUCKETS + 70 * PC_HIST_PER_OCTAVE };

/* Whether x <= 2^(i/32), by integers alone: for a double x in [1, 2), x^32 <= 2^i. 64-bit limbs, most exact. */
static bool at_most_boundary(double x, int i)
{
    long double power = x; /* 64 bits of mantissa; each squaring is exact to 2^-63, and ties are checked by nextafter */
    for (int k = 0; k < 5; k++)
        power *= power;
    return power <= ldexpl(1, i);
}

static void the_tables_are_what_they_say(void)
{
    for (int i = 0; i <= PC_HIST_PER_OCTAVE; i++) {
        double boundary = ldexp((double)pc_hist_boundary[i], -52) + 1;
        CHECK(at_most_boundary(boundary, i) && (i == 0 || i == 32 || !at_most_boundary(nextafter(boundary, 3), i)));
    }
    for (uint64_t k = 0; k < 64; k++) {
        int below = 0;
        while (pc_hist_boundary[below + 1] < k << 46)
            below++;
        CHECK(pc_hist_below[k] == below);
        CHECK(below + 2 > PC_HIST_PER_OCTAVE || pc_hist_boundary[below + 2] >= (k + 1) << 46); /* one more at most */
    }
}

static void an_index_is_exact_at_every_boundary(void)
{
    for (int64_t e = -300; e <= 300; e++) {
        for (int i = 0; i < PC_HIST_PER_OCTAVE; i++) {
            double edge = ldexp(ldexp((double)pc_hist_boundary[i], -52) + 1, (int)e);
            int64_t below = e * PC_HIST_PER_OCTAVE + i - 1; /* the upper edge is inclusive */
            CHECK(pc_hist_index(pc_bits_of(edge)) == below);
            CHECK(pc_hist_index(pc_bits_of(nextafter(edge, HUGE_VAL))) == below + 1);
            CHECK(pc_hist_index(pc_bits_of(nextafter(edge, 0))) == below);
        }
    }
}

static void an_index_agrees_with_the_logarithm(void)
{
    uint64_t state = 3;
    for (int n = 0; n < 200000; n++) {
        double value =
            ldexp(1 + ldexp((double)(pc_test_random(&state) >> 12), -52), (int)(pc_test_random(&state) % 600) - 300);
        double exact = log2(value) * 32;
        int64_t index = pc_hist_index(pc_bits_of(value));
        CHECK(fabs(exact - round(exact)) < 1e-9 || index == (int64_t)ceil(exact) - 1);
    }
}

static void every_value_has_a_word(void)
{
    const struct {
        double value;
        size_t word;
    } cases[] = {
        /* clang-format off */
        {0.0, PC_HIST_ZERO}, {-0.0, PC_HIST_ZERO}, {-1, PC_HIST_NEGATIVE}, {-HUGE_VAL, PC_HIST_NEGATIVE},
        {-5e-324, PC_HIST_NEGATIVE}, {NAN, PC_HIST_NAN}, {-NAN, PC_HIST_NAN}, {HUGE_VAL, PC_HIST_OVER},
        {1e30, PC_HIST_OVER}, {1.7976931348623157e308, PC_HIST_OVER}, {5e-324, PC_HIST_UNDER},
        {0x1p-30, PC_HIST_UNDER}, {0x1.0000000000001p-30, PC_HIST_BUCKETS}, {0x1p40, WORDS - 1},
        {0x1.0000000000001p40, PC_HIST_OVER}, {0x1p-1022, PC_HIST_UNDER},
        /* clang-format on */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(pc_hist_word(SHAPE, cases[i].value) == cases[i].word);
}

static void the_value_of_a_bucket_is_within_the_bound(void)
{
    double worst = 0;
    for (uint32_t i = 0; i < SHAPE.buckets; i++) {
        double upper = pc_hist_upper(SHAPE, i), middle = pc_hist_middle(SHAPE, i);
        double lower = i > 0 ? nextafter(pc_hist_upper(SHAPE, i - 1), HUGE_VAL) : 0x1.0000000000001p-30;
        CHECK(pc_hist_word(SHAPE, upper) == PC_HIST_BUCKETS + i && pc_hist_word(SHAPE, lower) == PC_HIST_BUCKETS + i);
        worst = fmax(worst, fmax(fabs(middle / upper - 1), fabs(middle / lower - 1)));
    }
    CHECK(worst < 0.010831 && worst > 0.010829);
}

static void readout_of(const double *values, size_t count, uint64_t *readout)
{
    static pc_atomic_u64 live[(WORDS + PC_CELL_STRIDE - 1) / PC_CELL_STRIDE * PC_CELL_STRIDE];
    for (size_t i = 0; i < sizeof live / sizeof *live; i++)
        pc_store(&live[i], 0, memory_order_relaxed);
    for (size_t i = 0; i < count; i++)
        pc_hist_record(live, SHAPE, values[i]);
    for (size_t i = 0; i < WORDS; i++)
        readout[i] = 0;
    pc_hist_read(SHAPE, live, 1, readout);
}

static void quantiles_interpolate_between_ranks(void)
{
    static uint64_t readout[WORDS];
    readout_of(NULL, 0, readout);
    CHECK(isnan(pc_hist_quantile(SHAPE, readout, 0.5)));
    const double values[] = {1, 2, 4, 8};
    readout_of(values, 4, readout);
    CHECK(pc_hist_count(SHAPE, readout) == 4);
    CHECK(fabs(pc_hist_quantile(SHAPE, readout, 0) - 1) < 0.011 &&
          fabs(pc_hist_quantile(SHAPE, readout, 1) / 8 - 1) < 0.011);
    CHECK(fabs(pc_hist_quantile(SHAPE, readout, 0.5) / 3 - 1) < 0.011);
    const double odd[] = {0, -3, NAN, 1, HUGE_VAL};
    readout_of(odd, 5, readout);
    CHECK(pc_hist_count(SHAPE, readout) == 3 && readout[PC_HIST_NAN] == 1 && readout[PC_HIST_NEGATIVE] == 1);
    CHECK(pc_hist_quantile(SHAPE, readout, 0) == 0 && pc_hist_quantile(SHAPE, readout, 1) == HUGE_VAL);
    CHECK(pc_double_of(readout[PC_HIST_SUM]) == 1);
    CHECK(pc_hist_at_most(SHAPE, readout, 0) == 1 && pc_hist_at_most(SHAPE, readout, -1) == 0);
    CHECK(pc_hist_at_most(SHAPE, readout, 1) == 2 && pc_hist_at_most(SHAPE, readout, HUGE_VAL) == 3);
}

static void readouts_add_and_subtract(void)
{
    static uint64_t a[WORDS], b[WORDS], both[WORDS], sum[WORDS];
    double values[2000];
    uint64_t state = 5;
    for (int i = 0; i < 2000; i++)
        values[i] = (double)(pc_test_random(&state) % 1000000) - 10;
    readout_of(values, 800, a);
    readout_of(values + 800, 1200, b);
    readout_of(values, 2000, both);
    for (size_t i = 0; i < WORDS; i++)
        sum[i] = a[i];
    pc_hist_add(SHAPE, sum, b);
    for (size_t i = 0; i < WORDS; i++)
        CHECK(sum[i] == both[i]);
    CHECK(!pc_hist_subtract(SHAPE, a, both));
    CHECK(pc_hist_subtract(SHAPE, sum, b));
    for (size_t i = 0; i < WORDS; i++)
        CHECK(sum[i] == a[i]);
}

typedef struct {
    pc_atomic_u64 *live;
    uint64_t records;
} crowd;

static void record_much(void *context, unsigned index)
{
    crowd *c = context;
    for (uint64_t i = 0; i < c->records; i++)
        pc_hist_record(c->live + (index % 2) * pc_hist_stride(SHAPE), SHAPE, (double)(i % 1000 + 1));
}

static void threads_lose_no_observation(void)
{
    static uint64_t readout[WORDS];
    crowd c = {calloc(2 * pc_hist_stride(SHAPE), sizeof(pc_atomic_u64)), pc_stress(20000)};
    pc_together(4, record_much, &c);
    pc_hist_read(SHAPE, c.live, 2, readout);
    CHECK(pc_hist_count(SHAPE, readout) == 4 * c.records);
    CHECK(pc_double_of(readout[PC_HIST_SUM]) == (double)(4 * (c.records / 1000) * 500500));
    CHECK(pc_hist_at_most(SHAPE, readout, 1024) == 4 * c.records);
    free(c.live);
}

int main(void)
{
    RUN(the_tables_are_what_they_say);
    RUN(an_index_is_exact_at_every_boundary);
    RUN(an_index_agrees_with_the_logarithm);
    RUN(every_value_has_a_word);
    RUN(the_value_of_a_bucket_is_within_the_bound);
    RUN(quantiles_interpolate_between_ranks);
    RUN(readouts_add_and_subtract);
    RUN(threads_lose_no_observation);
    return REPORT();
}
