# A lock per object where there is no GIL, and nothing at all where there is one. Between acquire and release no
# Python code runs and the thread never detaches, so a plain mutex is enough and cannot deadlock.
#
# A fork happens between two whole operations of every enrolled object: the thread that forks takes all the locks first,
# and gives them back in the parent; in the child, where nobody is left who could wait for them, they begin anew.
# That is done by pthread_atfork, closest to the fork: no Python code runs while the locks are held.
cdef extern from * nogil:
    """
    #ifdef Py_GIL_DISABLED
    #include <pthread.h>

    typedef struct pc_lock {
        PyMutex mutex;
        struct pc_lock *next, *prev; /* of all that are enrolled */
    } pc_lock;
    #define pc_lock_acquire(lock) PyMutex_Lock(&(lock)->mutex)
    #define pc_lock_release(lock) PyMutex_Unlock(&(lock)->mutex)

    static PyMutex pc_locks_mutex;
    static pc_lock *pc_locks;

    static inline void pc_lock_enrol(pc_lock *lock)
    {
        PyMutex_Lock(&pc_locks_mutex);
        lock->prev = NULL;
        lock->next = pc_locks;
        if (pc_locks != NULL)
            pc_locks->prev = lock;
        pc_locks = lock;
        PyMutex_Unlock(&pc_locks_mutex);
    }

    static inline void pc_lock_retire(pc_lock *lock)
    {
        PyMutex_Lock(&pc_locks_mutex);
        if (lock->next != NULL)
            lock->next->prev = lock->prev;
        if (lock->prev != NULL)
            lock->prev->next = lock->next;
        else
            pc_locks = lock->next;
        PyMutex_Unlock(&pc_locks_mutex);
    }

    static inline void pc_locks_before_fork(void)
    {
        PyMutex_Lock(&pc_locks_mutex);
        for (pc_lock *lock = pc_locks; lock != NULL; lock = lock->next)
            PyMutex_Lock(&lock->mutex);
    }

    static inline void pc_locks_after_fork_in_parent(void)
    {
        for (pc_lock *lock = pc_locks; lock != NULL; lock = lock->next)
            PyMutex_Unlock(&lock->mutex);
        PyMutex_Unlock(&pc_locks_mutex);
    }

    static inline void pc_locks_after_fork_in_child(void)
    {
        for (pc_lock *lock = pc_locks; lock != NULL; lock = lock->next)
            lock->mutex = (PyMutex){0};
        pc_locks_mutex = (PyMutex){0};
    }

    static inline int pc_locks_survive_forks(void)
    {
        return pthread_atfork(pc_locks_before_fork, pc_locks_after_fork_in_parent, pc_locks_after_fork_in_child);
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
