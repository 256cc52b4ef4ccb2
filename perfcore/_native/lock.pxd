# A lock per object where there is no GIL, and nothing at all where there is one. Between acquire and release no
# Python code runs and the thread never detaches, so a plain mutex is enough and cannot deadlock.
cdef extern from * nogil:
    """
    #ifdef Py_GIL_DISABLED
    typedef PyMutex pc_lock;
    #define pc_lock_acquire(lock) PyMutex_Lock(lock)
    #define pc_lock_release(lock) PyMutex_Unlock(lock)
    #else
    typedef char pc_lock;
    #define pc_lock_acquire(lock) ((void)(lock))
    #define pc_lock_release(lock) ((void)(lock))
    #endif
    """
    ctypedef struct pc_lock:
        pass
    void pc_lock_acquire(pc_lock *lock)
    void pc_lock_release(pc_lock *lock)
