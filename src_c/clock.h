/* clock.h: the clock of the process: monotonic nanoseconds, never the wall clock. */
#ifndef PC_CLOCK_H
#define PC_CLOCK_H

#include "base.h"

#define PC_SECOND UINT64_C(1000000000)

/* Nanoseconds since some moment in the past; never goes back. */
uint64_t pc_clock_ns(void);

#endif
