"""MessagePack of plain values: which they are, and what they become, found out in one pass.

msgspec writes many more types than it reads back (a tuple returns as a list, an IntEnum as an int), so a value
must be looked through before it is trusted with one, and looking through cost three times as much as writing.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

__all__ = ["MAX_DEPTH", "pack_plain"]

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define PC_MAY_CHANGE 1 /* another thread may change a container under the walk */
    #else
    #define PC_MAY_CHANGE 0
    #endif
    static inline PyObject *pc_type(PyObject *value) { return (PyObject *)Py_TYPE(value); }
    """
    int PC_MAY_CHANGE
    PyObject *pc_type(PyObject *value) noexcept

cdef extern from "Python.h":
    PyObject *Py_None
    PyObject *Py_True
    PyObject *Py_False
    PyObject *TYPE_STR "(PyObject *)&PyUnicode_Type"
    PyObject *TYPE_INT "(PyObject *)&PyLong_Type"
    PyObject *TYPE_FLOAT "(PyObject *)&PyFloat_Type"
    PyObject *TYPE_DICT "(PyObject *)&PyDict_Type"
    PyObject *TYPE_LIST "(PyObject *)&PyList_Type"
    PyObject *TYPE_BYTES "(PyObject *)&PyBytes_Type"
    int PyUnicode_IS_COMPACT_ASCII(PyObject *text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject *text) noexcept
    void *PyUnicode_DATA(PyObject *text) noexcept
    # declared here, on pointers: cpython's own take objects, and each cast would count a reference
    char *PyBytes_AS_STRING(PyObject *data) noexcept
    Py_ssize_t PyBytes_GET_SIZE(PyObject *data) noexcept
    double PyFloat_AS_DOUBLE(PyObject *number) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject *items) noexcept
    PyObject *PyList_GET_ITEM(PyObject *items, Py_ssize_t place) noexcept
    Py_ssize_t PyDict_Size(PyObject *mapping) noexcept
    int PyDict_Next(PyObject *mapping, Py_ssize_t *place, PyObject **key, PyObject **item) noexcept
    PyObject *PyUnicode_AsUTF8String(PyObject *text) noexcept
    long long PyLong_AsLongLongAndOverflow(PyObject *number, int *overflow) noexcept
    unsigned long long PyLong_AsUnsignedLongLong(PyObject *number) noexcept
    PyObject *PyErr_Occurred() noexcept
    void PyErr_Clear() noexcept
    void Py_DECREF(PyObject *value) noexcept

#: How deep a stored value may be nested. Decoding costs two frames a level, of the 1000 that Python allows.
MAX_DEPTH = 100
cdef enum:
    DEEPEST = 100
    FIRST = 1024
    #: no value may take more: one that contains itself twice, level by level, would double without end
    LARGEST = 1 << 29

cdef enum Outcome:
    DONE
    NOT_PLAIN
    TOO_LARGE
    NO_MEMORY

cdef struct Output:
    uint8_t *data
    Py_ssize_t size
    Py_ssize_t room


def pack_plain(value, /):
    """Return ``value`` as MessagePack if it is made of exact None, bool, int of 64 bits, float, str without
    surrogates, bytes, list and dict only, at most 100 deep; None if it is not.

    Raises :exc:`TypeError` if that takes more than half a gigabyte.

    >>> pack_plain({"a": [1, None]})
    b'\\x81\\xa1a\\x92\\x01\\xc0'
    >>> pack_plain({"a": (1, None)}) is None
    True
    """
    cdef Output out
    cdef Outcome outcome
    if PC_MAY_CHANGE:
        return None
    out.size, out.room = 0, FIRST
    out.data = <uint8_t *>PyMem_Malloc(FIRST)
    if out.data == NULL:
        raise MemoryError
    try:
        outcome = write(&out, <PyObject *>value, 0)
        if outcome == DONE:
            return PyBytes_FromStringAndSize(<char *>out.data, out.size)
    finally:
        PyMem_Free(out.data)
    if outcome == NO_MEMORY:
        raise MemoryError
    if outcome == TOO_LARGE:
        raise TypeError("cannot store a value that takes more than half a gigabyte")
    return None


# Nothing below calls Python code or, with the GIL, lets another thread in, so what is walked over stays as it is. What could
# make the collector run, an exception, ends the walk.

cdef Outcome write(Output *out, PyObject *value, int depth) noexcept:
    cdef PyObject *kind = pc_type(value)
    if kind == TYPE_STR:
        return write_text(out, value)
    if kind == TYPE_INT:
        return write_integer(out, value)
    if kind == TYPE_FLOAT:
        return write_float(out, PyFloat_AS_DOUBLE(value))
    if value == Py_None:
        return write_byte(out, 0xC0)
    if value == Py_True or value == Py_False:
        return write_byte(out, 0xC3 if value == Py_True else 0xC2)
    if kind == TYPE_DICT:
        return write_dict(out, value, depth) if depth < DEEPEST else NOT_PLAIN
    if kind == TYPE_LIST:
        return write_list(out, value, depth) if depth < DEEPEST else NOT_PLAIN
    if kind == TYPE_BYTES:
        return write_bytes(out, <uint8_t *>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    return NOT_PLAIN


cdef Outcome write_dict(Output *out, PyObject *mapping, int depth) noexcept:
    cdef Py_ssize_t place = 0
    cdef PyObject *key
    cdef PyObject *item
    cdef Outcome outcome = write_head(out, PyDict_Size(mapping), 0x80, 16, 0, 0xDE)
    while outcome == DONE and PyDict_Next(mapping, &place, &key, &item):
        outcome = write(out, key, DEEPEST)  # a container is no key
        if outcome == DONE:
            outcome = write(out, item, depth + 1)
    return outcome


cdef Outcome write_list(Output *out, PyObject *items, int depth) noexcept:
    cdef Py_ssize_t place, count = PyList_GET_SIZE(items)
    cdef Outcome outcome = write_head(out, count, 0x90, 16, 0, 0xDC)
    for place in range(count):
        if outcome != DONE:
            break
        outcome = write(out, PyList_GET_ITEM(items, place), depth + 1)
    return outcome


cdef Outcome write_text(Output *out, PyObject *text) noexcept:
    cdef PyObject *encoded
    cdef Outcome outcome
    if PyUnicode_IS_COMPACT_ASCII(text):
        outcome = write_head(out, PyUnicode_GET_LENGTH(text), 0xA0, 32, 0xD9, 0xDA)
        return append(out, <uint8_t *>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text)) if outcome == DONE else outcome
    encoded = PyUnicode_AsUTF8String(text)  # not the text's own cache of it, which would stay
    if encoded == NULL:
        PyErr_Clear()  # surrogates
        return NOT_PLAIN
    outcome = write_head(out, PyBytes_GET_SIZE(encoded), 0xA0, 32, 0xD9, 0xDA)
    if outcome == DONE:
        outcome = append(
            out, <uint8_t *>PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded)
        )
    Py_DECREF(encoded)
    return outcome


cdef Outcome write_bytes(Output *out, uint8_t *data, Py_ssize_t size) noexcept:
    cdef Outcome outcome = write_head(out, size, 0, 0, 0xC4, 0xC5)
    return append(out, data, size) if outcome == DONE else outcome


cdef Outcome write_integer(Output *out, PyObject *number) noexcept:
    cdef int overflow
    cdef unsigned long long large
    cdef long long value = PyLong_AsLongLongAndOverflow(number, &overflow)
    if overflow < 0:
        return NOT_PLAIN
    if overflow > 0:
        large = PyLong_AsUnsignedLongLong(number)
        if PyErr_Occurred() != NULL:
            PyErr_Clear()
            return NOT_PLAIN
        return write_number(out, 0xCF, large, 8)
    if value >= 0:
        return write_positive(out, <uint64_t>value)
    if value >= -32:
        return write_byte(out, <uint8_t>value)
    if value >= -128:
        return write_number(out, 0xD0, <uint64_t>value, 1)
    if value >= -32768:
        return write_number(out, 0xD1, <uint64_t>value, 2)
    if value >= -(<int64_t>1 << 31):
        return write_number(out, 0xD2, <uint64_t>value, 4)
    return write_number(out, 0xD3, <uint64_t>value, 8)


cdef Outcome write_positive(Output *out, uint64_t value) noexcept:
    if value < 128:
        return write_byte(out, <uint8_t>value)
    if value < 1 << 8:
        return write_number(out, 0xCC, value, 1)
    if value < 1 << 16:
        return write_number(out, 0xCD, value, 2)
    if value < <uint64_t>1 << 32:
        return write_number(out, 0xCE, value, 4)
    return write_number(out, 0xCF, value, 8)


cdef Outcome write_float(Output *out, double value) noexcept:
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    return write_number(out, 0xCB, bits, 8)


cdef Outcome write_head(
    Output *out, Py_ssize_t count, uint8_t small, Py_ssize_t smalls, uint8_t byte, uint8_t word
) noexcept:
    """Write a length: in the tag itself below ``smalls``, after the tag ``byte`` if there is one, or after
    ``word`` or the tag behind that, in two or four bytes."""
    if count < smalls:
        return write_byte(out, small | <uint8_t>count)
    if byte and count < 1 << 8:
        return write_number(out, byte, count, 1)
    if count < 1 << 16:
        return write_number(out, word, count, 2)
    return write_number(out, word + 1, count, 4) if count < LARGEST else TOO_LARGE


cdef inline Outcome write_byte(Output *out, uint8_t byte) noexcept:
    return append(out, &byte, 1)


cdef inline Outcome write_number(Output *out, uint8_t tag, uint64_t value, int width) noexcept:
    """Write ``tag`` and the low ``width`` bytes of ``value``, big-endian."""
    cdef uint8_t[9] bytes
    cdef int place
    bytes[0] = tag
    for place in range(width):
        bytes[width - place] = <uint8_t>(value >> 8 * place)
    return append(out, bytes, width + 1)


cdef inline Outcome append(Output *out, const uint8_t *data, Py_ssize_t size) noexcept:
    cdef Outcome outcome
    if out.size + size > out.room:
        outcome = grow(out, out.size + size)
        if outcome != DONE:
            return outcome
    memcpy(out.data + out.size, data, size)
    out.size += size
    return DONE


cdef Outcome grow(Output *out, Py_ssize_t needed) noexcept:
    cdef uint8_t *data
    if needed > LARGEST:
        return TOO_LARGE
    needed = min(2 * needed, <Py_ssize_t>LARGEST)
    data = <uint8_t *>PyMem_Realloc(out.data, needed)
    if data == NULL:
        return NO_MEMORY
    out.data, out.room = data, needed
    return DONE
