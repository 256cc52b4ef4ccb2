# Objects that are kept to be used again, once nobody else has them. Without the GIL no thread can tell, and none are kept.
from cpython.ref cimport PyObject


cdef extern from *:
    """
    /* The last two, as a variable often holds one while the next is made. Owned; they refer to nothing, so that the
     * collector need not know. */
    typedef struct {
        PyObject *kept[2];
        unsigned last;
    } pc_spares;

    #ifdef Py_GIL_DISABLED
    #define pc_spares_kept 0
    #define pc_only_reference(object) 0
    #else
    #define pc_spares_kept 1
    #define pc_only_reference(object) ((object) != NULL && Py_REFCNT(object) == 1)
    #endif

    /* One that nobody else has, the caller's from now on; or NULL. */
    static inline PyObject *pc_spares_take(pc_spares *spares)
    {
        unsigned i = spares->last ^ 1;
        if (!pc_only_reference(spares->kept[i]))
            i ^= 1;
        if (!pc_only_reference(spares->kept[i]))
            return NULL;
        PyObject *found = spares->kept[i];
        spares->kept[i] = NULL;
        return found;
    }

    static inline void pc_spares_keep(pc_spares *spares, PyObject *object)
    {
        spares->last ^= 1;
        PyObject *older = spares->kept[spares->last];
        spares->kept[spares->last] = Py_NewRef(object);
        Py_XDECREF(older);
    }

    static inline void pc_spares_clear(pc_spares *spares)
    {
        Py_CLEAR(spares->kept[0]);
        Py_CLEAR(spares->kept[1]);
    }
    """
    ctypedef struct pc_spares:
        pass
    const bint pc_spares_kept
    PyObject *pc_spares_take(pc_spares *spares) noexcept
    void pc_spares_keep(pc_spares *spares, PyObject *object) noexcept
    void pc_spares_clear(pc_spares *spares) noexcept
