"""MessagePack to objects in one pass, with the names of fields made once for all values.

A good part of what a value of records costs is its keys: the same few words in each of them, and for each a
string to allocate and to hash. They are looked up by their bytes instead, in a table that all calls share.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.object cimport PyObject
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

__all__ = ["unpack_plain"]

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #ifdef Py_GIL_DISABLED
    #define PC_SHARED_NAMES 0 /* the table would need a lock for each key */
    #else
    #define PC_SHARED_NAMES 1
    #endif

    static inline uint64_t pc_big_endian(const uint8_t *at, int width) {
        uint64_t number = 0;
        for (int place = 0; place < width; place++) number = number << 8 | at[place];
        return number;
    }

    static inline uint64_t pc_word(const uint8_t *at, int width) {
        uint64_t word = 0;
        memcpy(&word, at, (size_t)width);
        return word;
    }

    /* 10 bits of length, beginning and end: what they have in common, names of fields have at their middle */
    static inline uint32_t pc_place(const uint8_t *text, Py_ssize_t size) {
        uint64_t first, last;
        if (size >= 8) first = pc_word(text, 8), last = pc_word(text + size - 8, 8);
        else if (size >= 4) first = pc_word(text, 4), last = pc_word(text + size - 4, 4);
        else first = text[0], last = (uint64_t)text[size / 2] << 8 | text[size - 1];
        first = (first ^ (uint64_t)size << 56) * 0x9E3779B97F4A7C15u ^ last;
        return (uint32_t)((first ^ first >> 32) * 0xD6E8FEB86659FD93u >> 54);
    }

    static inline int pc_is_ascii(const uint8_t *text, Py_ssize_t size) {
        uint64_t seen = 0;
        Py_ssize_t place = 0;
        for (; place + 8 <= size; place += 8) seen |= pc_word(text + place, 8);
        for (; place < size; place++) seen |= text[place];
        return !(seen & 0x8080808080808080u);
    }
    """
    bint PC_SHARED_NAMES
    uint64_t pc_big_endian(const uint8_t *at, int width) noexcept
    uint32_t pc_place(const uint8_t *text, Py_ssize_t size) noexcept
    bint pc_is_ascii(const uint8_t *text, Py_ssize_t size) noexcept

cdef extern from "Python.h":
    PyObject *Py_None
    PyObject *Py_True
    PyObject *Py_False
    PyObject *PyExc_ValueError
    # declared here, on pointers: cpython's own take objects, and each cast would count a reference
    void *PyUnicode_DATA(PyObject *text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject *text) noexcept
    PyObject *PyUnicode_New(Py_ssize_t length, uint32_t widest) noexcept
    PyObject *PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors) noexcept
    Py_ssize_t PyObject_Hash(PyObject *value) noexcept
    PyObject *PyBytes_FromStringAndSize(const char *data, Py_ssize_t size) noexcept
    PyObject *PyLong_FromLongLong(long long number) noexcept
    PyObject *PyLong_FromUnsignedLongLong(unsigned long long number) noexcept
    PyObject *PyFloat_FromDouble(double number) noexcept
    PyObject *PyList_New(Py_ssize_t count) noexcept
    void PyList_SET_ITEM(PyObject *items, Py_ssize_t place, PyObject *item) noexcept
    PyObject *PyDict_New() noexcept
    int PyDict_SetItem(PyObject *mapping, PyObject *key, PyObject *item) noexcept
    PyObject *PyMemoryView_FromObject(PyObject *owner) noexcept
    PyObject *PySequence_GetSlice(PyObject *items, Py_ssize_t start, Py_ssize_t end) noexcept
    PyObject *PyObject_CallFunction(PyObject *function, const char *format, ...) noexcept
    void PyErr_SetString(PyObject *kind, const char *message) noexcept
    int Py_EnterRecursiveCall(const char *where) noexcept
    void Py_LeaveRecursiveCall() noexcept
    void Py_INCREF(PyObject *value) noexcept
    void Py_DECREF(PyObject *value) noexcept
    void Py_XDECREF(PyObject *value) noexcept

cdef enum:
    DEEPEST = 100  # as pack_plain's
    AS_KEY = 101  # at this depth nothing is read that holds something else
    #: names of up to so many bytes of ASCII are shared, and this many of them kept: a power of two
    LONGEST_NAME = 32
    NAMES = 1024

cdef struct Input:
    const uint8_t *begin
    const uint8_t *at
    const uint8_t *end
    uint64_t owed  # values that begun containers have still to read, each a byte or more
    PyObject *owner
    PyObject *hook

#: Each a reference to a string that is hashed already, or NULL. Another one at its place replaces it.
cdef PyObject *names[NAMES]


def unpack_plain(hook, data, /):
    """Return the value of which ``data`` is the MessagePack; ``hook(code, view)`` makes those of extensions.

    Raises :exc:`ValueError` for bytes that :func:`pack_plain` and extensions could not have made, and
    whatever ``hook`` raises. Not a byte of memory is taken for a length that the data does not bear out.

    >>> unpack_plain(print, b"\\x81\\xa1a\\x92\\x01\\xc0")
    {'a': [1, None]}
    """
    cdef Py_buffer view
    cdef Input source
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        source.begin = source.at = <const uint8_t *>view.buf
        source.end = source.at + view.len
        source.owed = 1
        source.owner, source.hook = <PyObject *>data, <PyObject *>hook
        value = whole(&source)
    finally:
        PyBuffer_Release(&view)
    return value


cdef object whole(Input *source):
    cdef PyObject *found = begin(source)
    value = <object>found
    Py_DECREF(found)
    if source.at != source.end:
        raise ValueError("bytes behind a value")
    return value


cdef PyObject *begin(Input *source) except NULL:
    return read(source, 0)


# What follows returns a new reference, or NULL with an exception set. Only a hook runs code of the user, and
# the lists and dicts that are being filled are nobody's but the reader's, whatever the collector does.

cdef PyObject *read(Input *source, int depth) noexcept:
    cdef uint8_t tag
    if source.at == source.end:
        return refuse("bytes end within a value")
    tag = source.at[0]
    source.at += 1
    source.owed -= 1
    if tag < 0x80:
        return PyLong_FromLongLong(tag)
    if tag < 0x90:
        return read_dict(source, tag & 0x0F, depth)
    if tag < 0xA0:
        return read_list(source, tag & 0x0F, depth)
    if tag < 0xC0:
        return read_text(source, tag & 0x1F, depth == AS_KEY)
    if tag >= 0xE0:
        return PyLong_FromLongLong(<int8_t>tag)
    return read_wide(source, tag, depth)


cdef PyObject *read_wide(Input *source, uint8_t tag, int depth) noexcept:
    """Read what a whole tag stands for, and a number behind it if it needs one."""
    cdef uint64_t number = 0
    cdef int width = width_behind(tag)
    if width:
        if source.end - source.at < width:
            return refuse("bytes end within a number")
        number = pc_big_endian(source.at, width)
        source.at += width
    if tag == 0xCB:
        return read_double(number)
    if 0xCC <= tag <= 0xCF:
        return PyLong_FromUnsignedLongLong(number)
    if 0xD0 <= tag <= 0xD3:
        return PyLong_FromLongLong(signed(number, width))
    if 0xD9 <= tag <= 0xDB:
        return read_text(source, number, depth == AS_KEY)
    if tag == 0xDC or tag == 0xDD:
        return read_list(source, number, depth)
    if tag == 0xDE or tag == 0xDF:
        return read_dict(source, number, depth)
    if 0xC4 <= tag <= 0xC6:
        return read_bytes(source, number)
    if tag == 0xC0 or tag == 0xC2 or tag == 0xC3:
        return new(Py_None if tag == 0xC0 else Py_True if tag == 0xC3 else Py_False)
    if 0xC7 <= tag <= 0xC9 or 0xD4 <= tag <= 0xD8:
        return read_extension(source, <uint64_t>1 << (tag - 0xD4) if tag >= 0xD4 else number, depth)
    return refuse("a tag that nobody writes")


cdef int width_behind(uint8_t tag) noexcept:
    """The bytes of the number or the length behind ``tag``."""
    if tag == 0xCB or tag == 0xCF or tag == 0xD3:
        return 8
    if tag == 0xC6 or tag == 0xC9 or tag == 0xCE or tag == 0xD2 or tag == 0xDB or tag == 0xDD or tag == 0xDF:
        return 4
    if tag == 0xC5 or tag == 0xC8 or tag == 0xCD or tag == 0xD1 or tag == 0xDA or tag == 0xDC or tag == 0xDE:
        return 2
    return tag == 0xC4 or tag == 0xC7 or tag == 0xCC or tag == 0xD0 or tag == 0xD9


cdef inline int64_t signed(uint64_t number, int width) noexcept:
    if width == 1:
        return <int8_t>number
    if width == 2:
        return <int16_t>number
    return <int32_t>number if width == 4 else <int64_t>number


cdef inline PyObject *read_double(uint64_t bits) noexcept:
    cdef double number
    memcpy(&number, &bits, 8)
    return PyFloat_FromDouble(number)


cdef PyObject *read_dict(Input *source, uint64_t count, int depth) noexcept:
    cdef PyObject *mapping
    if not bears(source, 2 * count, depth) or Py_EnterRecursiveCall(" in a stored value"):
        return NULL
    mapping = PyDict_New()
    while count and mapping != NULL:
        if not read_pair(source, mapping, depth):
            Py_DECREF(mapping)
            mapping = NULL
        count -= 1
    Py_LeaveRecursiveCall()
    return mapping


cdef bint read_pair(Input *source, PyObject *mapping, int depth) noexcept:
    cdef PyObject *key = read(source, AS_KEY)
    cdef PyObject *item
    cdef bint done = False
    if key != NULL:
        item = read(source, depth + 1)
        if item != NULL:
            done = PyDict_SetItem(mapping, key, item) == 0
            Py_DECREF(item)
        Py_DECREF(key)
    return done


cdef PyObject *read_list(Input *source, uint64_t count, int depth) noexcept:
    cdef PyObject *items
    cdef PyObject *item
    cdef Py_ssize_t place
    if not bears(source, count, depth) or Py_EnterRecursiveCall(" in a stored value"):
        return NULL
    items = PyList_New(<Py_ssize_t>count)
    if items != NULL:
        for place in range(<Py_ssize_t>count):
            item = read(source, depth + 1)
            if item == NULL:
                Py_DECREF(items)
                items = NULL
                break
            PyList_SET_ITEM(items, place, item)
    Py_LeaveRecursiveCall()
    return items


cdef bint bears(Input *source, uint64_t parts, int depth) noexcept:
    """Say whether a container may stand here, and the bytes that are left can hold all that is announced."""
    source.owed += parts
    if depth < DEEPEST and source.owed <= <uint64_t>(source.end - source.at):
        return True
    refuse("a container where none fits")
    return False


cdef PyObject *read_text(Input *source, uint64_t size, bint is_key) noexcept:
    cdef const uint8_t *text = take(source, size)
    cdef PyObject *made
    if text == NULL:
        return NULL
    if PC_SHARED_NAMES and is_key and 0 < size <= LONGEST_NAME:
        return read_name(text, <Py_ssize_t>size)
    if size < 2 or not pc_is_ascii(text, <Py_ssize_t>size):
        return PyUnicode_DecodeUTF8(<const char *>text, <Py_ssize_t>size, NULL)
    made = PyUnicode_New(<Py_ssize_t>size, 127)
    if made != NULL:
        memcpy(PyUnicode_DATA(made), text, size)
    return made


cdef PyObject *read_name(const uint8_t *text, Py_ssize_t size) noexcept:
    """The string of a key: the one in the table, or a new one, which takes its place there."""
    cdef uint32_t place = pc_place(text, size)
    cdef PyObject *held = names[place]
    cdef PyObject *made
    if held != NULL and PyUnicode_GET_LENGTH(held) == size and memcmp(PyUnicode_DATA(held), text, size) == 0:
        return new(held)
    made = PyUnicode_DecodeUTF8(<const char *>text, size, NULL)
    if made != NULL and pc_is_ascii(text, size) and PyObject_Hash(made) != -1:
        names[place] = new(made)
        Py_XDECREF(held)
    return made


cdef PyObject *read_bytes(Input *source, uint64_t size) noexcept:
    cdef const uint8_t *data = take(source, size)
    return NULL if data == NULL else PyBytes_FromStringAndSize(<const char *>data, <Py_ssize_t>size)


cdef PyObject *read_extension(Input *source, uint64_t size, int depth) noexcept:
    cdef const uint8_t *data
    if depth == AS_KEY:
        return refuse("a key that is no scalar")
    data = take(source, size + 1)
    if data == NULL:
        return NULL
    return extended(source, <int8_t>data[0], data + 1 - source.begin, <Py_ssize_t>size)


cdef PyObject *extended(Input *source, int code, Py_ssize_t start, Py_ssize_t size) noexcept:
    """Have the hook make a value, which may come back here for what is inside it."""
    cdef PyObject *made = NULL
    cdef PyObject *part
    cdef PyObject *view = PyMemoryView_FromObject(source.owner)
    if view != NULL:
        part = PySequence_GetSlice(view, start, start + size)
        Py_DECREF(view)
        if part != NULL:
            made = PyObject_CallFunction(source.hook, "iO", code, part)
            Py_DECREF(part)
    return made


cdef inline const uint8_t *take(Input *source, uint64_t size) noexcept:
    cdef const uint8_t *taken = source.at
    if size > <uint64_t>(source.end - taken):
        refuse("bytes end within a value")
        return NULL
    source.at += size
    return taken


cdef inline PyObject *new(PyObject *value) noexcept:
    Py_INCREF(value)
    return value


cdef PyObject *refuse(const char *finding) noexcept:
    PyErr_SetString(PyExc_ValueError, finding)
    return NULL
