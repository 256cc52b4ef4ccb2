# An object that is kept to be used again may be, once nobody else has it. Without the GIL no thread can tell.
from cpython.ref cimport PyObject


cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define pc_spares_kept 0
    #define pc_only_reference(object) 0
    #else
    #define pc_spares_kept 1
    #define pc_only_reference(object) ((object) != NULL && Py_REFCNT(object) == 1)
    #endif
    """
    const bint pc_spares_kept
    bint pc_only_reference(PyObject *object)
