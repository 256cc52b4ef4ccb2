/* ring.pml: the protocol of src_c/ring.h under sequential consistency, every interleaving (Spin).
 *
 * Two writers with two puts each, a reader with two snapshots, and a third writer that may vanish at any step, as fork()
 * makes threads vanish; two slots, and two words a record, both made of the ticket. Checked: no reader accepts a torn
 * or foreign record; a slot has at most one writer; a record never gives way to an older one; each ticket of a writer
 * that stays is accepted or counted as dropped; and every process ends (Spin reports an invalid end state otherwise),
 * so nobody ever waits for the one that vanished.
 *
 * Weakenings, each of which must fail: -DSTEAL -DNO_SECOND_LOOK -DPUBLISH_FIRST -DNO_LAP_CHECK -DSTORE_CLAIM
 * -DDROP_UNCOUNTED
 */
#define SLOTS 2
#define PUTS 2
#define SLOT(t) ((t) % SLOTS)

byte head, dropped, accepted, vanished;
byte seq[SLOTS], first[SLOTS], second[SLOTS], writers[SLOTS], newest[SLOTS];

inline drop() {
#ifndef DROP_UNCOUNTED
    dropped++;
#endif
    skip
}

/* A put; `mortal` writers may be gone after any step. Each atomic step of the C code is one step here. */
inline put(mortal, t, q, won) {
    atomic { t = head; head++ }
    q = seq[SLOT(t)];
    if
#ifdef STEAL
    :: q > 2 * t + 1 -> atomic { drop() }
    :: else ->
#elif defined(NO_LAP_CHECK)
    :: q % 2 == 1 -> atomic { drop() }
    :: else ->
#else
    :: q % 2 == 1 || q > 2 * t -> atomic { drop() }
    :: else ->
#endif
        won = false;
#ifdef STORE_CLAIM
        d_step { seq[SLOT(t)] = 2 * t + 1; won = true; writers[SLOT(t)]++ }
#else
        d_step {
            if
            :: seq[SLOT(t)] == q -> seq[SLOT(t)] = 2 * t + 1; won = true; writers[SLOT(t)]++
            :: else
            fi
        }
#endif
        if
        :: !won -> atomic { drop() }
        :: won ->
            assert(writers[SLOT(t)] == 1);
            assert(newest[SLOT(t)] <= t);
            if
            :: mortal -> atomic { vanished++; goto gone }
            :: true
            fi;
#ifdef PUBLISH_FIRST
            seq[SLOT(t)] = 2 * t + 2;
#endif
            first[SLOT(t)] = t + 10;
            if
            :: mortal -> atomic { vanished++; goto gone }
            :: true
            fi;
            second[SLOT(t)] = t + 20;
            d_step { writers[SLOT(t)]--; accepted++; newest[SLOT(t)] = t;
#ifndef PUBLISH_FIRST
                seq[SLOT(t)] = 2 * t + 2
#endif
            }
        fi
    fi
}

proctype writer(bool mortal) {
    byte t, q, i;
    bool won;
    do
    :: i < PUTS -> put(mortal, t, q, won); i++
    :: else -> break
    od;
gone: skip
}

proctype reader() {
    byte t, h, i, a, b;
    do
    :: i < PUTS ->
        h = head;
        t = (h > SLOTS -> h - SLOTS : 0);
        do
        :: t < h ->
            if
            :: seq[SLOT(t)] == 2 * t + 2 ->
                a = first[SLOT(t)];
                b = second[SLOT(t)];
                if
#ifdef NO_SECOND_LOOK
                :: true ->
#else
                :: seq[SLOT(t)] == 2 * t + 2 ->
#endif
                    assert(a == t + 10 && b == t + 20)
                :: else
                fi
            :: else
            fi;
            t++
        :: else -> break
        od;
        i++
    :: else -> break
    od
}

init {
    atomic { run writer(false); run writer(MORTAL); run reader() }
    _nr_pr == 1;
    assert(accepted + dropped + vanished == head)
}
