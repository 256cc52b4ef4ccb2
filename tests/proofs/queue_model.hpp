// The queue as it ships (src_c/queue.h), two producers and two consumers on two cells.
const uint64_t CELLS = 2, PUTS = 2;

struct queue_model {
    static const unsigned threads = 4;
    pc_queue queue;
    pc_queue_cell cells[CELLS];
    uint64_t accepted, taken, times[2 * PUTS];

    void before()
    {
        queue.cells = cells;
        queue.mask = CELLS - 1;
        accepted = taken = 0;
        pc_store(&queue.tail, 0, memory_order_relaxed);
        pc_store(&queue.head, 0, memory_order_relaxed);
        pc_store(&queue.dropped, 0, memory_order_relaxed);
        for (uint64_t i = 0; i < CELLS; i++)
            pc_store(&cells[i].seq, i, memory_order_relaxed);
        for (uint64_t &t : times)
            t = 0;
    }
    void take()
    {
        void *item = nullptr;
        if (pc_queue_take(&queue, &item)) {
            uint64_t n = (uint64_t)(uintptr_t)item;
            MODEL_ASSERT(n >= 1 && n <= 2 * PUTS);
            taken++;
            times[(n - 1) % (2 * PUTS)]++;
        }
    }
    void thread(unsigned index)
    {
        for (uint64_t i = 0; i < PUTS; i++) {
            if (index < 2)
                accepted += pc_queue_put(&queue, (void *)(uintptr_t)(1 + index * PUTS + i));
            else
                take();
        }
    }
    void after()
    {
        for (uint64_t i = 0; i < CELLS; i++)
            take();
        MODEL_ASSERT(accepted == taken);
        MODEL_ASSERT(accepted + pc_load(&queue.dropped, memory_order_relaxed) == 2 * PUTS);
        for (uint64_t t : times)
            MODEL_ASSERT(t <= 1);
    }
};
