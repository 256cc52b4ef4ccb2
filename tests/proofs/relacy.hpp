// relacy.hpp: the atomic words of src_c as those of Relacy, which explores interleavings and stale reads.
#pragma once

#include <relacy/relacy.hpp>

// relacy_std.hpp would put its names into std, where those of C++ itself are by now
#define memory_order_relaxed rl::mo_relaxed, $
#define memory_order_acquire rl::mo_acquire, $
#define memory_order_release rl::mo_release, $

typedef rl::atomic<uint64_t> pc_atomic_u64;
#define pc_load(cell, order) (cell)->load(order)
#define pc_store(cell, value, order) (cell)->store(value, order)
#define pc_fetch_add(cell, value, order) (cell)->fetch_add(value, order)
#define pc_compare_exchange(cell, expected, desired, order, otherwise) \
    (cell)->compare_exchange_strong(*(expected), desired, order, otherwise)
#define pc_plain(type) rl::var<type>
#define pc_get(variable) static_cast<void *>((variable)($))
#define pc_set(variable, value) ((variable)($) = (value))

#define MODEL_ASSERT(condition) RL_ASSERT(condition)

template <class Model> struct suite : rl::test_suite<suite<Model>, Model::threads> {
    Model model;
    void before() { model.before(); }
    void thread(unsigned index) { model.thread(index); }
    void after() { model.after(); }
};

// `runs` random executions, or with runs = 0 all of them with at most two changes of context that nothing forces.
template <class Model> int explore(uint64_t runs, uint64_t seed)
{
    rl::test_params params;
    params.iteration_count = runs;
    params.search_type = runs > 0 ? rl::sched_random : rl::sched_bound;
    params.context_bound = 2;
    (void)seed;
    return rl::simulate<suite<Model>>(params) ? 0 : 1;
}
