#define _POSIX_C_SOURCE 199309L

#include "clock.h"

#include <time.h>

uint64_t pc_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * PC_SECOND + (uint64_t)t.tv_nsec;
}
