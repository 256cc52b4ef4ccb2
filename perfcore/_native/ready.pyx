"""An awaitable that gives its value without a suspension: what a hit of a coroutine function returns."""

from types import GenericAlias

cimport cython
from cpython.ref cimport PyObject

from perfcore._native.slots cimport PYGEN_ERROR, PYGEN_RETURN, PySendResult, pc_type_send

__all__ = ["Ready"]

cdef extern from "Python.h":
    void PyErr_SetString(object kind, const char *message) noexcept
    PyObject *Py_NewRef(PyObject *o) noexcept


@cython.final
@cython.freelist(64)
@cython.auto_pickle(False)
cdef class Ready:
    """Ready(value)

    An awaitable, and a coroutine for asyncio, that gives its value without a suspension; it can be awaited once.

    >>> import asyncio
    >>> async def wait(): return await Ready(7)
    >>> asyncio.run(wait())
    7
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, value, /):
        self.value = value

    cdef object spend(self):
        if self.spent:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self.spent = True
        return self.value

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self.spend())

    def send(self, value, /):
        """Raise StopIteration with the value."""
        raise StopIteration(self.spend())

    def throw(self, kind, value=None, traceback=None, /):
        """Raise the exception that is given, as a coroutine does that catches nothing."""
        self.spend()
        error = kind if value is None else value
        error = error() if isinstance(error, type) else error if isinstance(error, BaseException) else kind(error)
        raise error if traceback is None else error.with_traceback(traceback)

    def close(self):
        """Make it unusable."""
        self.spent = True


cdef PySendResult ready_send(PyObject *self, PyObject *value, PyObject **result) noexcept:
    cdef Ready ready = <Ready>self
    if ready.spent:
        PyErr_SetString(RuntimeError, "cannot reuse already awaited coroutine")
        result[0] = NULL
        return PYGEN_ERROR
    ready.spent = True
    result[0] = Py_NewRef(<PyObject *>ready.value)
    return PYGEN_RETURN


pc_type_send(<void *>Ready, ready_send)
