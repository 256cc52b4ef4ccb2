// The ring as it ships (src_c/ring.h), two writers and a reader on two slots: every writer laps the other, and the
// reader is there. A record is made of its ticket, so that a foreign, torn or unwritten one shows.
const uint64_t SLOTS = 2, PUTS = 2, WRITERS = 2;

struct ring_model {
    static const unsigned threads = WRITERS + 1;
    pc_ring ring;
    pc_ring_slot slots[SLOTS];
    uint64_t accepted, newest[SLOTS]; // bookkeeping of the test, of no thread: 1 + the last accepted ticket of a slot

    void before()
    {
        ring.slots = slots;
        ring.mask = SLOTS - 1;
        pc_store(&ring.head, 0, memory_order_relaxed);
        pc_store(&ring.dropped, 0, memory_order_relaxed);
        accepted = 0;
        for (uint64_t i = 0; i < SLOTS; i++) {
            newest[i] = 0;
            pc_store(&slots[i].seq, 0, memory_order_relaxed);
            for (uint64_t w = 0; w < PC_RING_WORDS; w++)
                pc_store(&slots[i].word[w], 0, memory_order_relaxed);
        }
    }
    void write()
    {
        uint64_t ticket = pc_ring_take_tickets(&ring, 1);
        if (pc_ring_write(&ring, ticket, ticket + 10, ticket + 20, ticket + 30)) {
            accepted++;
            newest[ticket % SLOTS] = ticket + 1 > newest[ticket % SLOTS] ? ticket + 1 : newest[ticket % SLOTS];
        }
    }
    void read()
    {
        uint64_t head = pc_load(&ring.head, memory_order_relaxed);
        for (uint64_t ticket = head > SLOTS ? head - SLOTS : 0; ticket < head; ticket++) {
            pc_record r;
            if (pc_ring_get(&ring, ticket, &r) == PC_RING_RECORD) {
                MODEL_ASSERT(r.word[0] == ticket + 10);
                MODEL_ASSERT(r.word[1] == ticket + 20);
                MODEL_ASSERT(r.word[2] == ticket + 30);
            }
        }
    }
    void thread(unsigned index)
    {
        for (uint64_t i = 0; i < PUTS; i++)
            index < WRITERS ? write() : read();
    }
    void after()
    {
        uint64_t head = pc_load(&ring.head, memory_order_relaxed);
        MODEL_ASSERT(head == WRITERS * PUTS);
        MODEL_ASSERT(accepted + pc_load(&ring.dropped, memory_order_relaxed) == head);
        for (uint64_t i = 0; i < SLOTS; i++) {
            uint64_t seq = pc_load(&slots[i].seq, memory_order_relaxed);
            MODEL_ASSERT(seq % 2 == 0);
            MODEL_ASSERT(seq == 2 * newest[i]); // a later record was not put back to an earlier one
        }
    }
};
