/* pc_test.h: the whole test framework. A test is a void function; CHECK counts and reports, RUN names what runs. */
#ifndef PC_TEST_H
#define PC_TEST_H

#include "../base.h"

#include <stdio.h>
#include <stdlib.h>

static int pc_test_checks, pc_test_failures;

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        pc_test_checks++;                                                                 \
        if (!(condition)) {                                                               \
            pc_test_failures++;                                                           \
            fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
            if (pc_test_failures > 20)                                                    \
                exit(1);                                                                  \
        }                                                                                 \
    } while (0)

#define RUN(test)                                                               \
    do {                                                                        \
        int before = pc_test_failures;                                          \
        test();                                                                 \
        printf("%s %s\n", pc_test_failures == before ? "ok  " : "FAIL", #test); \
    } while (0)

#define REPORT() (printf("%d checks, %d failures\n", pc_test_checks, pc_test_failures), pc_test_failures != 0)

/* Reproducible random numbers: splitmix64 over a counter. */
static inline uint64_t pc_test_random(uint64_t *state)
{
    return pc_mix64(*state += UINT64_C(0x9e3779b97f4a7c15));
}

#endif
