// pc_ring_put_locked as it ships: two writers with a lock, of whom one also puts without it, a reader without it, and two
// slots. One slot may be that of a writer who vanished a lap before. Nobody waits for the lock: who does not get it does
// not put, or stays away.
const uint64_t SLOTS = 2, PUTS = 2, WRITERS = 2;

struct locked_model {
    static const unsigned threads = WRITERS + 1;
    pc_ring ring;
    pc_ring_slot slots[SLOTS];
    pc_atomic_u64 lock, away;
    uint64_t puts, accepted; // bookkeeping of the test, of no thread

    void before()
    {
        ring.slots = slots;
        ring.mask = SLOTS - 1;
        pc_store(&ring.head, SLOTS, memory_order_relaxed);
        pc_store(&ring.dropped, 0, memory_order_relaxed);
        pc_store(&lock, 0, memory_order_relaxed);
        pc_store(&away, 0, memory_order_relaxed);
        puts = accepted = 0;
        for (uint64_t i = 0; i < SLOTS; i++) {
            pc_store(&slots[i].seq, i == 0 ? 2 : 3, memory_order_relaxed); // the second's writer vanished
            for (uint64_t w = 0; w < PC_RING_WORDS; w++)
                pc_store(&slots[i].word[w], 10 * (w + 1) + i, memory_order_relaxed);
        }
    }
    bool try_lock()
    {
        uint64_t open = 0;
        return pc_compare_exchange(&lock, &open, 1, memory_order_acquire, memory_order_relaxed);
    }
    void unlock() { pc_store(&lock, 0, memory_order_release); }
    uint64_t absent() { return pc_load(&away, memory_order_relaxed); } // with the lock

    // A record cannot be made of its ticket here, which is only known inside: it is made of a number of the writer's.
    void put_locked(uint64_t number)
    {
        if (!try_lock())
            return;
        puts++;
        accepted += pc_ring_put_locked(&ring, absent(), number + 10, number + 20, number + 30);
        unlock();
    }
    void put_away(uint64_t number)
    {
        if (!try_lock())
            return;
        pc_store(&away, absent() + 1, memory_order_relaxed);
        unlock();
        puts++;
        accepted += pc_ring_put(&ring, number + 10, number + 20, number + 30);
        if (!try_lock())
            return;
        pc_store(&away, absent() - 1, memory_order_relaxed);
        unlock();
    }
    void read()
    {
        uint64_t head = pc_load(&ring.head, memory_order_relaxed);
        for (uint64_t ticket = head > SLOTS ? head - SLOTS : 0; ticket < head; ticket++) {
            pc_record r;
            if (pc_ring_get(&ring, ticket, &r) == PC_RING_RECORD) {
                MODEL_ASSERT(r.word[1] == r.word[0] + 10);
                MODEL_ASSERT(r.word[2] == r.word[0] + 20);
            }
        }
    }
    void thread(unsigned index)
    {
        for (uint64_t i = 0; i < PUTS; i++) {
            uint64_t number = 100 * (index + 1) + i;
            if (index == WRITERS)
                read();
            else if (index == 0 && i == 0)
                put_away(number);
            else
                put_locked(number);
        }
    }
    void after()
    {
        uint64_t head = pc_load(&ring.head, memory_order_relaxed);
        MODEL_ASSERT(head == SLOTS + puts);
        MODEL_ASSERT(accepted + pc_load(&ring.dropped, memory_order_relaxed) == puts);
        MODEL_ASSERT(pc_load(&slots[0].seq, memory_order_relaxed) % 2 == 0);
        MODEL_ASSERT(pc_load(&slots[1].seq, memory_order_relaxed) == 3); // nobody takes it from whom it belongs to
    }
};
