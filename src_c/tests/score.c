/* score.c: plays raw traces of little-endian u32 ids at given capacities and prints the counts, one line a run.
 *
 *     score MODE SEEDS LIMIT TRACE.u32 CAPACITY...
 *
 * MODE is lru, lfu, random or adaptive; LIMIT is the number of requests to play (0 for all).
 * benchmarks/hit_ratio.py unpacks the traces, runs this and compares with the table of reference policies. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */

#include "../replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint32_t *load(const char *path, size_t *count)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    *count = (size_t)ftell(f) / sizeof(uint32_t);
    rewind(f);
    uint32_t *ids = malloc((*count + 1) * sizeof *ids);
    if (ids == NULL || fread(ids, sizeof *ids, *count, f) != *count) {
        perror(path);
        exit(2);
    }
    fclose(f);
    return ids;
}

static pc_mode mode_of(const char *name)
{
    const char *names[] = {"lru", "lfu", "random", "adaptive"};
    for (int mode = PC_LRU; mode <= PC_ADAPTIVE; mode++)
        if (strcmp(names[mode], name) == 0)
            return (pc_mode)mode;
    fprintf(stderr, "unknown mode %s\n", name);
    exit(2);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void play(pc_mode mode, uint64_t seed, const uint32_t *ids, size_t count, uint64_t capacity)
{
    pc_alloc alloc = pc_alloc_system();
    uint32_t universe = 0;
    for (size_t i = 0; i < count; i++)
        universe = ids[i] >= universe ? ids[i] + 1 : universe;
    static pc_replay r;
    if (pc_replay_init(&r, &alloc, mode, capacity, false, universe, seed) != PC_OK)
        exit(3);
    double start = now_ns();
    if (pc_replay_feed(&r, ids, NULL, count) != PC_OK)
        exit(3);
    double ns = (now_ns() - start) / (double)count;
    pc_policy_state state = pc_replay_explain(&r);
    printf("%llu %llu %llu %llu %d %u %.1f\n", (unsigned long long)capacity, (unsigned long long)seed,
           (unsigned long long)count, (unsigned long long)r.counts.hits, (int)state.arm, state.switches, ns);
    pc_replay_destroy(&r);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: score MODE SEEDS LIMIT TRACE.u32 CAPACITY...\n");
        return 2;
    }
    size_t count, limit = strtoull(argv[3], NULL, 10);
    uint32_t *ids = load(argv[4], &count);
    if (limit != 0 && limit < count)
        count = limit;
    for (int i = 5; i < argc; i++)
        for (uint64_t seed = 0; seed < strtoull(argv[2], NULL, 10); seed++)
            play(mode_of(argv[1]), seed, ids, count, strtoull(argv[i], NULL, 10));
    free(ids);
    return 0;
}
