# The slots of a type that Cython gives no syntax for, set once after the type was made: a call that takes its
# arguments as CPython passes them (PEP 590), and an await that ends without raising StopIteration (am_send).
# The types are static and final, so nobody has inherited a slot before it is set. Works on CPython 3.11 to 3.13.
from cpython.ref cimport PyObject


cdef extern from *:
    """
    static inline void pc_type_vectorcall(PyTypeObject *type, Py_ssize_t offset)
    {
        type->tp_vectorcall_offset = offset;
        type->tp_call = PyVectorcall_Call;
        /* a method descriptor: obj.method(x) calls with obj as first argument and makes no bound method */
        type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR;
        PyType_Modified(type);
    }

    static inline void pc_type_send(PyTypeObject *type, sendfunc send)
    {
        type->tp_as_async->am_send = send;
        PyType_Modified(type);
    }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
    ctypedef PySendResult (*sendfunc)(PyObject *self, PyObject *value, PyObject **result) noexcept
    ctypedef PyObject *(*vectorcallfunc)(PyObject *self, PyObject **args, size_t nargsf, PyObject *names) noexcept

    void pc_type_vectorcall(void *type, Py_ssize_t offset)
    void pc_type_send(void *type, sendfunc send)
