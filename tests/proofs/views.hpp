// views.hpp: a machine that runs a protocol of src_c under C11's release-acquire memory model, at random.
//
// Every atomic word keeps its whole history, in modification order. A thread has a view: for each word, the oldest
// entry it may still read. A load picks any entry that the view allows, a release store publishes the writer's view
// with the entry, an acquire load joins it. A relaxed store may be put anywhere in the history after what its
// thread has seen, also before entries that were written earlier in time: that is what tells this machine from checkers
// whose modification order is the order of execution. A read-modify-write follows its entry directly, and nothing
// comes between. This is RC11 without fences and sc (Lahav, Vafeiadis, Kang, Hur and Dreyer, PLDI 2017; Kaiser
// et al., ECOOP 2017).
//
// Plain variables are checked for races: each thread has a clock that travels with the views.
//
// Threads are fibers; before each atomic step the next one is drawn. The same seed gives the same runs.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <ucontext.h>
#include <vector>

enum memory_order { memory_order_relaxed, memory_order_acquire, memory_order_release, memory_order_acq_rel };

namespace views {

constexpr unsigned threads_at_most = 4, words_at_most = 28;
using view = std::array<double, words_at_most + threads_at_most>;

inline bool acquires(memory_order o) { return o == memory_order_acquire || o == memory_order_acq_rel; }
inline bool releases(memory_order o) { return o == memory_order_release || o == memory_order_acq_rel; }

inline void join(view &into, const view &other)
{
    for (size_t i = 0; i < into.size(); i++)
        into[i] = std::max(into[i], other[i]);
}

struct machine {
    uint64_t random_state = 1;
    unsigned words = 0, running = threads_at_most; // threads_at_most: nobody, the frame before and after
    unsigned long steps = 0; // of this run
    bool failed = false;
    const char *reason = nullptr;
    view seen[threads_at_most + 1]{};
    ucontext_t home{}, fiber[threads_at_most]{};
    std::vector<char> stack[threads_at_most];
    bool done[threads_at_most]{};
    std::function<void(unsigned)> body;

    uint64_t random(uint64_t below)
    {
        uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return (x ^ (x >> 31)) % below;
    }
    view &mine() { return seen[running]; }
    void fail(const char *why)
    {
        reason = failed ? reason : why;
        failed = true;
    }
    void begin()
    {
        words = 0;
        steps = 0;
        running = threads_at_most;
        for (auto &v : seen)
            v.fill(0);
    }
    // A step of the running thread: others may come first, and its clock goes on.
    void step()
    {
        if (++steps > 100000) {
            std::printf("a thread does not come to its end\n");
            std::exit(1);
        }
        if (running == threads_at_most)
            return;
        swapcontext(&fiber[running], &home);
        seen[running][words_at_most + running] += 1;
    }
    void run(unsigned threads, std::function<void(unsigned)> what);
};

inline machine &the()
{
    static machine m;
    return m;
}

inline void fiber_main(unsigned index)
{
    the().body(index);
    the().done[index] = true;
    swapcontext(&the().fiber[index], &the().home);
}

inline void machine::run(unsigned threads, std::function<void(unsigned)> what)
{
    body = std::move(what);
    for (unsigned i = 0; i < threads; i++) {
        stack[i].resize(128 * 1024);
        getcontext(&fiber[i]);
        fiber[i].uc_stack.ss_sp = stack[i].data();
        fiber[i].uc_stack.ss_size = stack[i].size();
        fiber[i].uc_link = nullptr;
        makecontext(&fiber[i], reinterpret_cast<void (*)()>(fiber_main), 1, i);
        done[i] = false;
        seen[i] = seen[threads_at_most];
    }
    for (unsigned left = threads; left > 0;) {
        unsigned next = (unsigned)random(threads);
        if (done[next])
            continue;
        running = next;
        swapcontext(&home, &fiber[next]);
        left -= done[next];
    }
    running = threads_at_most;
    for (unsigned i = 0; i < threads; i++)
        join(seen[threads_at_most], seen[i]);
}

class word {
    struct entry {
        double at;
        uint64_t value;
        view published;
        bool glued; // a read-modify-write of the entry before it
    };
    mutable std::vector<entry> history;
    unsigned id;

    bool open_after(size_t i) const { return i + 1 == history.size() || !history[i + 1].glued; }

    // One of the entries that the running thread may read; the latest one half of the time, or nothing would happen.
    size_t pick(bool to_change) const
    {
        std::vector<size_t> allowed;
        for (size_t i = 0; i < history.size(); i++) {
            if (history[i].at >= the().mine()[id] && (!to_change || open_after(i)))
                allowed.push_back(i);
        }
        return the().random(2) ? allowed.back() : allowed[the().random(allowed.size())];
    }
    void look(const entry &e, memory_order order) const
    {
        the().mine()[id] = std::max(the().mine()[id], e.at);
        if (acquires(order))
            join(the().mine(), e.published);
    }
    void insert_after(size_t i, uint64_t value, memory_order order, const view *inherited)
    {
        bool last = i + 1 == history.size();
        entry e{last ? history[i].at + 1 : (history[i].at + history[i + 1].at) / 2, value, view{}, inherited != nullptr};
        the().mine()[id] = e.at;
        if (releases(order))
            e.published = the().mine();
        e.published[id] = e.at;
        if (inherited)
            join(e.published, *inherited); // the release sequence goes on
        history.insert(history.begin() + (long)i + 1, e);
    }

  public:
    word() : id(the().words++)
    {
        if (id >= words_at_most)
            abort();
        history.push_back({0, 0, view{}, false});
    }
    uint64_t load(memory_order order) const
    {
        the().step();
        const entry &e = history[pick(false)];
        look(e, order);
        return e.value;
    }
    void store(uint64_t value, memory_order order)
    {
        the().step();
        insert_after(pick(true), value, order, nullptr);
    }
    uint64_t fetch_add(uint64_t amount, memory_order order)
    {
        the().step();
        size_t i = pick(true);
        look(history[i], order);
        uint64_t before = history[i].value;
        view published = history[i].published;
        insert_after(i, before + amount, order, &published);
        return before;
    }
    bool compare_exchange(uint64_t &expected, uint64_t desired, memory_order order, memory_order otherwise)
    {
        the().step();
        size_t i = pick(false);
        if (history[i].value == expected && !open_after(i))
            i = history.size() - 1; // another exchange has followed this entry; the last one is always free
        if (history[i].value != expected) {
            look(history[i], otherwise);
            expected = history[i].value;
            return false;
        }
        look(history[i], order);
        view published = history[i].published;
        insert_after(i, desired, order, &published);
        return true;
    }
};

// A variable that two threads must not use at once, unless both only read.
template <class T> class plain {
    T value{};
    view wrote{}, read{}; // at the clocks of their threads

    bool known(const view &events) const
    {
        for (unsigned t = words_at_most; t < events.size(); t++) {
            if (events[t] > the().mine()[t])
                return false;
        }
        return true;
    }
    void mark(view &events) const
    {
        unsigned running = the().running;
        if (running < threads_at_most)
            events[words_at_most + running] = the().mine()[words_at_most + running];
    }

  public:
    T get()
    {
        if (!known(wrote))
            the().fail("race: read beside a write");
        mark(read);
        return value;
    }
    void set(T to)
    {
        if (!known(wrote) || !known(read))
            the().fail("race: write beside another use");
        mark(wrote);
        value = to;
    }
};

} // namespace views

typedef views::word pc_atomic_u64;
#define pc_load(cell, order) (cell)->load(order)
#define pc_store(cell, value, order) (cell)->store(value, order)
#define pc_fetch_add(cell, value, order) (cell)->fetch_add(value, order)
#define pc_compare_exchange(cell, expected, desired, order, otherwise) \
    (cell)->compare_exchange(*(expected), desired, order, otherwise)
#define pc_plain(type) views::plain<type>
#define pc_get(variable) (variable).get()
#define pc_set(variable, value) (variable).set(value)

#define MODEL_ASSERT(condition) ((condition) ? (void)0 : views::the().fail(#condition))

// Runs a model (before, thread(i), after, and the number of its threads) `runs` times; 0 when it never failed.
template <class Model> int explore(uint64_t runs, uint64_t seed)
{
    for (uint64_t i = 0; i < runs; i++) {
        views::machine &m = views::the();
        m.random_state = seed + (i << 20);
        m.begin();
        Model model;
        model.before();
        m.run(Model::threads, [&](unsigned index) { model.thread(index); });
        model.after();
        if (m.failed) {
            std::printf("run %llu: %s\n", (unsigned long long)i, m.reason);
            return 1;
        }
    }
    std::printf("%llu runs, no failure\n", (unsigned long long)runs);
    return 0;
}
