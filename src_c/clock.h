/* clock.h: the clock of the process: monotonic nanoseconds, never the wall clock. */
#ifndef PC_CLOCK_H
#define PC_CLOCK_H

#include "base.h"

#define PC_SECOND UINT64_C(1000000000)

/* Nanoseconds since some moment in the past; never goes back. */
uint64_t pc_clock_ns(void);

/* The same clock as it was at the kernel's last tick, for a seventh of the cost (3 ns instead of 22). It is late by a
 * tick, 4 ms at most; PC_CLOCK_LAG allows for a kernel that was kept from ticking. So what ends later than this time
 * plus the lag has not ended; nothing else follows from it. */
uint64_t pc_clock_coarse_ns(void);

#define PC_CLOCK_LAG PC_SECOND

#endif
