/* cells.h: numbers that any thread may add to at any moment: what counters and gauges are made of.
 *
 * A cell is a few atomic words in memory that the caller owns: of this process, or of a file that several map. The
 * writers are relaxed throughout: a count orders nothing but itself, and who needs "all that happened before" already
 * has an order with those writers. Adding an integer is wait-free; adding a double retries while others change the word.
 *
 * Where there is no GIL an instrument has several cells, one for each shard of threads, PC_CELL_STRIDE words
 * apart: two cache lines, because x86 fetches lines in pairs. A shard may be shared; it is only slower then.
 */
#ifndef PC_CELLS_H
#define PC_CELLS_H

#include "atomic.h"

#include <string.h>

#define PC_CELL_STRIDE 16u

/* A counter: word 0 is the sum of the integers, word 1 the sum (a double) of everything else. */
#define PC_COUNTER_WORDS 2u
/* A gauge: word 0 is the value (a double), word 1 when it was set (of the caller's clock; 0 never). */
#define PC_GAUGE_WORDS 2u

static inline double pc_double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t pc_bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline void pc_cell_count(pc_atomic_u64 *word, uint64_t amount)
{
    (void)pc_fetch_add(word, amount, memory_order_relaxed);
}

static inline void pc_cell_add(pc_atomic_u64 *word, double amount)
{
    uint64_t seen = pc_load(word, memory_order_relaxed);
    while (!pc_compare_exchange(word, &seen, pc_bits_of(pc_double_of(seen) + amount), memory_order_relaxed,
                                memory_order_relaxed))
        ;
}

static inline void pc_cell_set(pc_atomic_u64 *word, double value)
{
    pc_store(word, pc_bits_of(value), memory_order_relaxed);
}

static inline uint64_t pc_cell_total(const pc_atomic_u64 *word, unsigned shards, size_t stride)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < shards; i++)
        total += pc_load(&word[i * stride], memory_order_relaxed);
    return total;
}

static inline double pc_cell_sum(const pc_atomic_u64 *word, unsigned shards, size_t stride)
{
    double total = 0;
    for (unsigned i = 0; i < shards; i++)
        total += pc_double_of(pc_load(&word[i * stride], memory_order_relaxed));
    return total;
}

#endif
