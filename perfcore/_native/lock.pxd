# A lock per object where there is no GIL, and nothing at all where there is one. Between acquire and release no Python
# code runs and the thread never detaches. Who has to wait for long does so detached, and then tries again: only attached
# threads ever take the lock. PyMutex breaks that: after a millisecond it hands the lock to the thread that waits, also
# while the world is stopped and the new owner cannot go on; a fork then waited for that thread for ever. So whenever the
# world is stopped, as it is for os.fork, all these locks are free, and their copies in the child are too.
#
# A fork by other means, which does not stop the world, happens between two whole operations of every enrolled object:
# the thread that forks takes all the locks first, and gives them back in the parent and in the child. pthread_atfork
# does that, closest to the fork: no Python code runs while the locks are held, and nothing detaches.
cdef extern from * nogil:
    """
    #ifdef Py_GIL_DISABLED
    #include <pthread.h>
    #include <sched.h>
    #include <stdatomic.h>
    #include <time.h>

    typedef struct pc_lock {
        atomic_uchar held;
        struct pc_lock *next, *prev; /* of all that are enrolled */
    } pc_lock;

    enum { PC_LOCK_YIELDS = 64 };

    static inline int pc_lock_try(pc_lock *lock)
    {
        return !atomic_exchange_explicit(&lock->held, 1, memory_order_acquire);
    }

    static inline int pc_lock_try_for_long(pc_lock *lock)
    {
        for (int turn = 0; turn < PC_LOCK_YIELDS; turn++) {
            if (!atomic_load_explicit(&lock->held, memory_order_relaxed) && pc_lock_try(lock))
                return 1;
            sched_yield();
        }
        return 0;
    }

    /* Operations are shorter than a microsecond: who still waits now waits for a thread that does not run. */
    static void pc_lock_wait(pc_lock *lock)
    {
        const struct timespec pause = {0, 20000};
        while (!pc_lock_try_for_long(lock)) {
            Py_BEGIN_ALLOW_THREADS
            nanosleep(&pause, NULL);
            Py_END_ALLOW_THREADS
        }
    }

    static inline void pc_lock_acquire(pc_lock *lock)
    {
        if (!pc_lock_try(lock))
            pc_lock_wait(lock);
    }

    static inline void pc_lock_release(pc_lock *lock)
    {
        atomic_store_explicit(&lock->held, 0, memory_order_release);
    }

    static pc_lock pc_locks_mutex;
    static pc_lock *pc_locks;

    static inline void pc_lock_enrol(pc_lock *lock)
    {
        pc_lock_acquire(&pc_locks_mutex);
        lock->prev = NULL;
        lock->next = pc_locks;
        if (pc_locks != NULL)
            pc_locks->prev = lock;
        pc_locks = lock;
        pc_lock_release(&pc_locks_mutex);
    }

    /* Of one that was never enrolled, because making its object failed, nothing is known: that is fine. */
    static inline void pc_lock_retire(pc_lock *lock)
    {
        pc_lock_acquire(&pc_locks_mutex);
        if (lock->prev == NULL && pc_locks != lock) {
            pc_lock_release(&pc_locks_mutex);
            return;
        }
        if (lock->next != NULL)
            lock->next->prev = lock->prev;
        if (lock->prev != NULL)
            lock->prev->next = lock->next;
        else
            pc_locks = lock->next;
        pc_lock_release(&pc_locks_mutex);
    }

    static inline void pc_lock_take_for_fork(pc_lock *lock)
    {
        while (!pc_lock_try_for_long(lock))
            ;
    }

    static inline void pc_locks_before_fork(void)
    {
        pc_lock_take_for_fork(&pc_locks_mutex);
        for (pc_lock *lock = pc_locks; lock != NULL; lock = lock->next)
            pc_lock_take_for_fork(lock);
    }

    static inline void pc_locks_after_fork(void)
    {
        for (pc_lock *lock = pc_locks; lock != NULL; lock = lock->next)
            pc_lock_release(lock);
        pc_lock_release(&pc_locks_mutex);
    }

    static inline int pc_locks_survive_forks(void)
    {
        return pthread_atfork(pc_locks_before_fork, pc_locks_after_fork, pc_locks_after_fork);
    }
    #else
    typedef char pc_lock;
    #define pc_lock_acquire(lock) ((void)(lock))
    #define pc_lock_release(lock) ((void)(lock))
    #define pc_lock_enrol(lock) ((void)(lock))
    #define pc_lock_retire(lock) ((void)(lock))
    #define pc_locks_survive_forks() 0
    #endif
    """
    ctypedef struct pc_lock:
        pass
    void pc_lock_acquire(pc_lock *lock)
    void pc_lock_release(pc_lock *lock)

    # for the module that makes the objects: the list is its own
    void pc_lock_enrol(pc_lock *lock)
    void pc_lock_retire(pc_lock *lock)
    int pc_locks_survive_forks()


cdef inline int survive_forks() except -1:
    """Once per module that enrols: its locks are taken around forks from now on."""
    if pc_locks_survive_forks() != 0:
        raise MemoryError
    return 0
