# The slots through which the garbage collector sees a type, declared as CPython has them: no exceptions, and no
# reference counting on the way in (a traverse function must not touch a count).
from cpython.ref cimport PyObject


cdef extern from "Python.h":
    ctypedef int (*visitproc)(PyObject *object, void *arg) noexcept
    ctypedef int (*traverseproc)(PyObject *self, visitproc visit, void *arg) noexcept
    ctypedef int (*inquiry)(PyObject *self) noexcept
    ctypedef void (*destructor)(PyObject *self) noexcept

    ctypedef struct PyTypeObject:
        traverseproc tp_traverse
        inquiry tp_clear
        destructor tp_dealloc
