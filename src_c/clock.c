#define _GNU_SOURCE /* CLOCK_MONOTONIC_COARSE */

#include "clock.h"

#include <time.h>

uint64_t pc_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * PC_SECOND + (uint64_t)t.tv_nsec;
}

uint64_t pc_clock_coarse_ns(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * PC_SECOND + (uint64_t)t.tv_nsec;
#else
    return pc_clock_ns();
#endif
}
