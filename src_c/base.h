/* base.h: what every file of the core shares.
 *
 * Conventions of src_c
 *   - Pure C11. No Python.h, no globals, no I/O. Everything public has the prefix pc_ or PC_; what is static has none.
 *   - The core knows slots, hashes, weights and times. It never sees an object and never calls back.
 *   - A function that can fail returns pc_status and leaves its arguments unchanged on failure.
 *   - "slot" is a 32-bit index into the slot arrays (slots.h); PC_NIL is no slot.
 *
 * Two assertion tiers. PC_ASSERT checks one condition and costs nothing under NDEBUG. PC_CHECK_VALID runs a
 * structure's whole _valid() function after each mutation, in builds with PC_DEBUG only; where it is large, after
 * one mutation in 4096, because a check is O(n).
 */
#ifndef PC_BASE_H
#define PC_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PC_NIL UINT32_MAX
#define PC_CACHE_LINE 64

typedef enum {
    PC_OK = 0,
    PC_NO_MEMORY = -1,
    PC_TOO_LARGE = -2,
} pc_status;

#if defined(__GNUC__)
#define PC_LIKELY(x) __builtin_expect(!!(x), 1)
#define PC_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PC_PREFETCH(p) __builtin_prefetch(p)
#define PC_PREFETCH_WRITE(p) __builtin_prefetch(p, 1)
#define PC_NOINLINE __attribute__((noinline))
#else
#define PC_LIKELY(x) (x)
#define PC_UNLIKELY(x) (x)
#define PC_PREFETCH(p) ((void)0)
#define PC_PREFETCH_WRITE(p) ((void)0)
#define PC_NOINLINE
#endif

#define PC_ASSERT(x) assert(x)
#ifdef PC_DEBUG
#define PC_CHECK_VALID(valid, size, mutations) assert(((size) > 64 && (mutations) % 4096 != 0) || (valid))
#else
#define PC_CHECK_VALID(valid, size, mutations) ((void)0)
#endif

/* The number of trailing zero bits; x is not 0. */
static inline unsigned pc_ctz32(uint32_t x)
{
#if defined(__GNUC__)
    return (unsigned)__builtin_ctz(x);
#else
    unsigned n = 0;
    for (; !(x & 1); x >>= 1)
        n++;
    return n;
#endif
}

/* The number of the highest bit that is set; 0 for 0 and 1. */
static inline unsigned pc_log2(uint32_t x)
{
#if defined(__GNUC__)
    return 31u ^ (unsigned)__builtin_clz(x | 1);
#else
    unsigned n = 0;
    for (; x > 1; x >>= 1)
        n++;
    return n;
#endif
}

/* The smallest power of two that is at least x (1 for x = 0); x is at most 2^63. */
static inline uint64_t pc_ceil_pow2(uint64_t x)
{
    uint64_t p = 1;
    while (p < x)
        p <<= 1;
    return p;
}

/* Finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection in which each input bit moves each
 * output bit with a probability close to a half. */
static inline uint64_t pc_mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* High and low half of a 64 x 64 bit product, xored: one multiplication mixes all bits ("mum", as in wyhash). */
static inline uint64_t pc_fold_mul64(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 u128;
    u128 p = (u128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
#else
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t ll = al * bl, lh = al * bh, hl = ah * bl, hh = ah * bh;
    uint64_t mid = (ll >> 32) + (uint32_t)lh + (uint32_t)hl;
    uint64_t high = hh + (lh >> 32) + (hl >> 32) + (mid >> 32);
    return ((mid << 32) | (uint32_t)ll) ^ high;
#endif
}

/* The 32 bits by which the core knows a key, from the caller's 64-bit hash. Both seeds are secret and random per
 * cache (seed[1] odd), so that nobody can craft keys which collide here without colliding in the 64-bit hash,
 * where a dict would suffer as well. */
static inline uint32_t pc_hash32(uint64_t hash, const uint64_t seed[2])
{
    return (uint32_t)pc_fold_mul64(hash ^ seed[0], seed[1]);
}

#endif
