"""The key of a call, as an object: what a Memo stores results under, and whose hash it computes without building it."""

cimport cython
from cpython.ref cimport PyObject

from perfcore._native.call cimport call_hash, pc_call

__all__ = ["KEYWORDS", "hashes_agree", "key_of"]


@cython.final
cdef class _Keywords:
    """The type of KEYWORDS, which is its only instance."""

    def __reduce__(self):
        return "KEYWORDS"

    def __repr__(self):
        return "KEYWORDS"


KEYWORDS = _Keywords()


def key_of(tuple args, dict kwargs=None, bint typed=False, Py_ssize_t skip=0, /):
    """The key under which a Memo without ``key`` stores the result of a call.

    >>> key_of((1,)), key_of((1.5,)), key_of((1, 2), {"x": 3}), key_of((1,), None, True)
    (1, (1.5,), (1, 2, KEYWORDS, 'x', 3), (1, <class 'int'>))
    """
    cdef tuple key = args[skip:], values = tuple(kwargs.values()) if kwargs else ()
    if kwargs:
        key = sum(kwargs.items(), key + (KEYWORDS,))
    if typed:
        return key + tuple(map(type, args[skip:] + values))
    return key[0] if len(key) == 1 and type(key[0]) in (int, str) else key


cdef Py_hash_t hash_as_tuple(tuple args, tuple names, tuple values, bint typed):
    """call_hash of what Python passes, for the test that the two hashes agree."""
    cdef PyObject *items[16]
    cdef pc_call call
    cdef Py_ssize_t i
    for i, item in enumerate(args + values):
        items[i] = <PyObject *>item
    call.args, call.count, call.values = items, len(args), items + len(args)
    call.names, call.named, call.mark, call.typed = <PyObject *>names, len(names), <PyObject *>KEYWORDS, typed
    return call_hash(&call)


def hashes_agree():
    """Whether call_hash hashes as this CPython hashes tuples.

    >>> hashes_agree()
    True
    """
    cdef tuple samples = ((), (1, 2), ("a", -1, 2.5), tuple(range(9)))
    for args in samples:
        if (hash_as_tuple(args, (), (), False) != hash(args)
                or hash_as_tuple(args, ("x",), (1,), True) != hash(args + (KEYWORDS, "x", 1) + (*map(type, args), int))):
            return False
    return True
