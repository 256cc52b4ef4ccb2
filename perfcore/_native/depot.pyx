"""What the handles of a buffer pool share: the depot of ``src_c/buffers.h``, its lock, and the magazines of threads.

With the GIL the depot's racks are the magazines: a list behind one lock that everybody holds anyway. Without it, each
thread has a magazine, found through a thread-local table, owned by the thread's own dict, and returned when that goes:
at the thread's end, or in a forked child that the thread did not follow into.

Between acquiring and releasing the lock no Python code runs and the thread never detaches. CPython forks while no other
attached thread is running, so in a child the lock is always free; forks of C code take it first (``lock.pxd``).
"""

cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memset

from perfcore._native.c.base cimport PC_OK
from perfcore._native.c.buffers cimport *
from perfcore._native.c.clock cimport pc_clock_ns
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_enrol, pc_lock_release, pc_lock_retire, survive_forks

__all__ = ["Depot", "Keeper"]

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define PC_PER_THREAD 1
    #else
    #define PC_PER_THREAD 0
    #endif
    enum { PC_RECENT = 8 };
    static _Thread_local struct { uint64_t id; pc_magazine *magazine; } pc_recent[PC_RECENT];
    static _Atomic uint64_t pc_last_id;

    static pc_magazine *pc_recent_get(uint64_t id)
    {
        return pc_recent[id % PC_RECENT].id == id ? pc_recent[id % PC_RECENT].magazine : NULL;
    }
    static void pc_recent_set(uint64_t id, pc_magazine *magazine)
    {
        pc_recent[id % PC_RECENT].id = id;
        pc_recent[id % PC_RECENT].magazine = magazine;
    }
    #define pc_next_id() (++pc_last_id)
    #define pc_recall(d) ((void)++(d)->recalls)
    """
    bint PC_PER_THREAD
    pc_magazine *pc_recent_get(uint64_t id)
    void pc_recent_set(uint64_t id, pc_magazine *magazine)
    uint64_t pc_next_id()
    void pc_recall(pc_depot *d)

cdef extern from "Python.h":
    PyObject *PyThreadState_GetDict()  # borrowed; NULL where there is no thread state any more

cdef object KEEPERS = object()  # this module's place in a thread's dict


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Depot:
    """What a pool's handles, threads and the pool itself share; lives until the last of them is gone."""

    def __cinit__(self):
        self.id, self.per_thread = pc_next_id(), PC_PER_THREAD
        pc_lock_enrol(&self.mutex)

    def __dealloc__(self):
        pc_lock_retire(&self.mutex)
        pc_depot_destroy(&self.core)

    cdef pc_magazine *known_magazine(self) noexcept:
        """This thread's magazine if it has been used lately; runs no Python code."""
        return pc_recent_get(self.id) if self.per_thread else NULL

    cdef pc_magazine *magazine(self) except? NULL:
        """This thread's magazine, made if need be; NULL where threads have none, and in one that is being torn down."""
        if not self.per_thread:
            return NULL
        cdef pc_magazine *m = pc_recent_get(self.id)
        if m == NULL:
            m = magazine_of_thread(self)
        if m != NULL and m.recalls != self.core.recalls:
            self.empty(m)
        return m

    cdef void empty(self, pc_magazine *m) noexcept:
        pc_lock_acquire(&self.mutex)
        cdef pc_block *chain = pc_depot_unload_all(&self.core, m)
        pc_lock_release(&self.mutex)
        self.drop(chain)

    cdef void turn_out(self, pc_magazine *m) noexcept:
        """Whose traffic never reaches the depot sees here whether it is time to give back what nobody needs: all
        magazines are emptied for that, this one now and those of other threads when they come by.
        """
        cdef pc_block *chain = NULL
        cdef pc_block *aged = NULL
        cdef uint64_t now = pc_clock_ns() if self.age_ns else 0
        pc_lock_acquire(&self.mutex)
        if now and now >= self.next_age:
            self.next_age = now + self.age_ns
            pc_recall(&self.core)
            chain = pc_depot_unload_all(&self.core, m)
            aged = pc_depot_age(&self.core)
        pc_lock_release(&self.mutex)
        self.drop(chain)
        self.drop(aged)

    cdef pc_block *obtain(self, pc_magazine *m, size_t size, bint *fresh) noexcept:
        """An idle block, or a new one (fresh), or NULL when memory ran out."""
        cdef unsigned int kind = pc_depot_class(&self.core, size)
        cdef pc_block *block = NULL
        fresh[0] = False
        if m != NULL and kind < PC_SMALL:
            block = pc_magazine_take(m, kind)
            if block == NULL:
                pc_lock_acquire(&self.mutex)
                pc_depot_refill(&self.core, m, kind)
                pc_lock_release(&self.mutex)
                block = pc_magazine_take(m, kind)
        else:
            pc_lock_acquire(&self.mutex)
            block = pc_depot_take(&self.core, kind)
            pc_lock_release(&self.mutex)
        if block == NULL:
            fresh[0] = True
            return self.make(kind, size)
        return block

    cdef pc_block *make(self, unsigned int kind, size_t size) noexcept:
        pc_lock_acquire(&self.mutex)
        cdef pc_block *block = pc_depot_spare(&self.core)
        pc_lock_release(&self.mutex)
        if block == NULL:
            block = pc_block_new(&self.core)
        if block != NULL and pc_block_furnish(&self.core, block, kind, size) != PC_OK:
            pc_lock_acquire(&self.mutex)
            pc_depot_keep_spare(&self.core, block)
            pc_lock_release(&self.mutex)
            return NULL
        return block

    cdef void lend(self, pc_magazine *m, pc_block *block, size_t size, bint fresh) noexcept:
        cdef size_t cleared = pc_block_lend(&self.core, block, size)
        if m != NULL:
            pc_block_lent(block, fresh, cleared, &m.tally)
        else:
            pc_lock_acquire(&self.mutex)
            pc_block_lent(block, fresh, cleared, &self.core.tally)
            pc_lock_release(&self.mutex)

    cdef void recover(self, pc_magazine *m, pc_block *block) noexcept:
        """Take back a block whose release was won."""
        cdef size_t cleared = pc_block_clean(&self.core, block)
        if m != NULL:
            pc_block_returned(block, cleared, &m.tally)
            if pc_magazine_give(m, block):
                m.gives += 1
                if m.gives % 256 == 0:
                    self.turn_out(m)
                return
        pc_lock_acquire(&self.mutex)
        if m == NULL:
            pc_block_returned(block, cleared, &self.core.tally)
        cdef pc_block *chain = self.give(m, block)
        pc_lock_release(&self.mutex)
        if chain != NULL:
            self.drop(chain)

    cdef pc_block *give(self, pc_magazine *m, pc_block *block) noexcept:
        """With the lock: keep the block; return a chain of what has no room, or was not needed for long."""
        cdef pc_block *chain
        cdef uint64_t now
        if m != NULL and block.class_ < PC_SMALL:
            chain = pc_depot_keep(&self.core, m, block)
        else:
            chain = pc_depot_give(&self.core, block)
        self.gives += 1
        if self.gives % 256 == 0 and self.age_ns and chain == NULL:
            now = pc_clock_ns()  # 20 ns, which is why not each time
            if now >= self.next_age:
                self.next_age = now + self.age_ns
                chain = pc_depot_age(&self.core)
        return chain

    cdef void drop(self, pc_block *chain) noexcept:
        """Give the memory of a chain of blocks back to the system, without the lock."""
        cdef pc_block *block
        while chain != NULL:
            block = chain
            chain = block.next
            pc_block_empty(&self.core, block)
            pc_lock_acquire(&self.mutex)
            pc_depot_keep_spare(&self.core, block)
            pc_lock_release(&self.mutex)

    cdef void put(self, pc_block *block) noexcept:
        """Keep a new block as an idle one."""
        pc_lock_acquire(&self.mutex)
        block = pc_depot_give(&self.core, block)
        pc_lock_release(&self.mutex)
        self.drop(block)

    cdef uint64_t trim(self, uint64_t goal) except? 0:
        """Free idle blocks until ``goal`` bytes remain; return the bytes freed."""
        pc_recall(&self.core)  # other threads empty their magazines when they come by
        self.magazine()
        pc_lock_acquire(&self.mutex)
        cdef uint64_t before = self.core.idle_bytes
        cdef pc_block *chain = pc_depot_trim(&self.core, goal)
        before -= self.core.idle_bytes
        pc_lock_release(&self.mutex)
        self.drop(chain)
        return before

    cdef uint64_t sum_up(self, pc_tally *sums) noexcept:
        """The counts of the depot and all magazines, and as the return value the idle bytes."""
        memset(sums, 0, sizeof(pc_tally))
        pc_lock_acquire(&self.mutex)
        cdef uint64_t idle = self.core.idle_bytes
        cdef PyObject *keeper = self.keepers
        add_tally(sums, &self.core.tally)
        while keeper != NULL:
            add_tally(sums, &(<Keeper>keeper).magazine.tally)
            idle += (<Keeper>keeper).magazine.idle_bytes
            keeper = (<Keeper>keeper).following
        pc_lock_release(&self.mutex)
        return idle

    cdef bint valid(self) except -1:
        cdef pc_magazine *m = self.magazine()
        pc_lock_acquire(&self.mutex)
        cdef bint valid = pc_depot_valid(&self.core)
        pc_lock_release(&self.mutex)
        return valid and (m == NULL or pc_magazine_valid(m))

    cdef void close(self) noexcept:
        """The pool is gone, and with it all handles: free what is idle, also in the magazines of other threads."""
        cdef pc_block *chain
        pc_lock_acquire(&self.mutex)
        self.core.closed = True
        chain = pc_depot_trim(&self.core, 0)
        pc_lock_release(&self.mutex)
        self.drop(chain)
        cdef PyObject *keeper
        while True:
            chain = NULL
            pc_lock_acquire(&self.mutex)
            keeper = self.keepers
            while keeper != NULL and chain == NULL:
                chain = pc_depot_unload_all(&self.core, &(<Keeper>keeper).magazine)
                keeper = (<Keeper>keeper).following
            pc_lock_release(&self.mutex)
            if chain == NULL:
                return
            self.drop(chain)


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Keeper:
    """A thread's magazine, owned by the thread's dict: it goes when the thread does, and in a forked child."""

    def __dealloc__(self):
        cdef Depot depot = self.depot
        cdef pc_block *chain
        if depot is None:
            return
        if pc_recent_get(depot.id) == &self.magazine:
            pc_recent_set(depot.id, NULL)
        pc_lock_acquire(&depot.mutex)
        if self.previous != NULL:
            (<Keeper>self.previous).following = self.following
        else:
            depot.keepers = self.following
        if self.following != NULL:
            (<Keeper>self.following).previous = self.previous
        chain = pc_depot_unload_all(&depot.core, &self.magazine)
        pc_depot_absorb(&depot.core, &self.magazine)
        pc_lock_release(&depot.mutex)
        depot.drop(chain)


cdef Keeper new_keeper(Depot depot):
    cdef Keeper keeper = Keeper.__new__(Keeper)
    keeper.depot = depot
    pc_lock_acquire(&depot.mutex)
    keeper.following = depot.keepers
    if depot.keepers != NULL:
        (<Keeper>depot.keepers).previous = <PyObject *>keeper
    depot.keepers = <PyObject *>keeper
    keeper.magazine.recalls = depot.core.recalls
    pc_lock_release(&depot.mutex)
    return keeper


cdef pc_magazine *magazine_of_thread(Depot depot) except? NULL:
    """This thread's magazine, made if need be; NULL in a thread that is being torn down."""
    cdef PyObject *borrowed = PyThreadState_GetDict()
    if borrowed == NULL:
        return NULL
    cdef dict keepers = (<dict>borrowed).setdefault(KEEPERS, {})
    cdef Keeper keeper = keepers.get(depot.id)
    if keeper is None:
        for id, other in list(keepers.items()):
            if (<Keeper>other).depot.core.closed:
                del keepers[id]
        keeper = keepers.setdefault(depot.id, new_keeper(depot))  # making one may have run a finalizer that did too
    pc_recent_set(depot.id, &keeper.magazine)
    return &keeper.magazine


cdef void add_tally(pc_tally *sums, pc_tally *more) noexcept:
    sums.reused += more.reused
    sums.made += more.made
    sums.oversize += more.oversize
    sums.returned += more.returned
    sums.discarded += more.discarded
    sums.trimmed += more.trimmed
    sums.lent_bytes += more.lent_bytes
    sums.asked_bytes += more.asked_bytes
    sums.returned_bytes += more.returned_bytes
    sums.unasked_bytes += more.unasked_bytes
    sums.cleared_bytes += more.cleared_bytes


survive_forks()
