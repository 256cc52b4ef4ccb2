/* pc_threads.h: threads that start together, and how long a stress runs (PC_STRESS multiplies it). */
#ifndef PC_THREADS_H
#define PC_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define PC_MOST_THREADS 8

typedef struct {
    void (*body)(void *context, unsigned index);
    void *context;
    unsigned index;
    atomic_uint *awaited; /* threads that are not there yet */
} pc_thread;

static inline void *pc_thread_main(void *argument)
{
    pc_thread *t = argument;
    atomic_fetch_sub(t->awaited, 1);
    while (atomic_load(t->awaited) > 0)
        sched_yield();
    t->body(t->context, t->index);
    return NULL;
}

/* Runs body(context, 0 .. count-1) in as many threads and waits for all of them. */
static inline void pc_together(unsigned count, void (*body)(void *, unsigned), void *context)
{
    pthread_t ids[PC_MOST_THREADS];
    pc_thread threads[PC_MOST_THREADS];
    atomic_uint awaited = count;
    for (unsigned i = 0; i < count; i++) {
        threads[i] = (pc_thread){body, context, i, &awaited};
        if (pthread_create(&ids[i], NULL, pc_thread_main, &threads[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
}

static inline uint64_t pc_stress(uint64_t count)
{
    const char *times = getenv("PC_STRESS");
    return count * (times != NULL ? (uint64_t)atoll(times) : 1);
}

#endif
