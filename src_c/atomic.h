/* atomic.h: the atomic words of the core, and what a model checker puts in their place.
 *
 * A protocol between threads (ring.h, queue.h) is written with these names only, so that the file which ships is
 * also the file which the proofs explore: they define PC_MODEL_ATOMICS as a header that gives the same names other
 * meanings (tests/proofs). Each use names its memory order, and a comment beside it names the partner.
 *
 *   pc_atomic_u64                         a 64-bit word that several threads use at once
 *   pc_load, pc_store, pc_fetch_add       (cell, [value,] order)
 *   pc_compare_exchange                   (cell, &expected, desired, order, order_if_not): strong; expected is updated
 *   pc_plain(type), pc_get, pc_set        a word that the protocol itself keeps free of races
 *
 * No fences: ThreadSanitizer does not know them, and release stores cost the same on x86.
 */
#ifndef PC_ATOMIC_H
#define PC_ATOMIC_H

#include "base.h"

#ifdef PC_MODEL_ATOMICS
#include PC_MODEL_ATOMICS
#else

#include <stdatomic.h>

#if ATOMIC_LLONG_LOCK_FREE != 2
#error "perfcore needs 64-bit atomics without locks"
#endif

typedef _Atomic uint64_t pc_atomic_u64;

#define pc_load(cell, order) atomic_load_explicit(cell, order)
#define pc_store(cell, value, order) atomic_store_explicit(cell, value, order)
#define pc_fetch_add(cell, value, order) atomic_fetch_add_explicit(cell, value, order)
#define pc_compare_exchange(cell, expected, desired, order, order_if_not) \
    atomic_compare_exchange_strong_explicit(cell, expected, desired, order, order_if_not)

#define pc_plain(type) type
#define pc_get(variable) (variable)
#define pc_set(variable, value) ((variable) = (value))

#endif
#endif
