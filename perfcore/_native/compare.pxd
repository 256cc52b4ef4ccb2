# Keys as the cache sees them: their hashes, and comparisons of which it is certain that they run no foreign code.
from cpython.ref cimport PyObject


cdef extern from *:
    """
    /* The hash of a str is in the str, from the second time on. */
    static inline Py_hash_t pc_key_hash(PyObject *key)
    {
        if (PyUnicode_CheckExact(key) && ((PyASCIIObject *)key)->hash != -1)
            return ((PyASCIIObject *)key)->hash;
        return PyObject_Hash(key);
    }

    /* memcmp of a length that is rarely more than 16, for which two overlapping words are enough. */
    static inline int pc_same_bytes(const char *a, const char *b, size_t n)
    {
        uint64_t a1, b1, a2, b2;
        if (n < 8 || n > 16)
            return memcmp(a, b, n) == 0;
        memcpy(&a1, a, 8);
        memcpy(&b1, b, 8);
        memcpy(&a2, a + n - 8, 8);
        memcpy(&b2, b + n - 8, 8);
        return a1 == b1 && a2 == b2;
    }

    /* Both are exactly str, and have been hashed. */
    static inline int pc_same_str(PyObject *a, PyObject *b)
    {
        Py_ssize_t length = PyUnicode_GET_LENGTH(a);
        return ((PyASCIIObject *)a)->hash == ((PyASCIIObject *)b)->hash && length == PyUnicode_GET_LENGTH(b) &&
               PyUnicode_KIND(a) == PyUnicode_KIND(b) &&
               pc_same_bytes(PyUnicode_DATA(a), PyUnicode_DATA(b), (size_t)length * PyUnicode_KIND(a));
    }

    /* Both are exactly int. */
    static inline int pc_same_int(PyObject *a, PyObject *b)
    {
    #if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject *)a) && PyUnstable_Long_IsCompact((PyLongObject *)b))
            return PyUnstable_Long_CompactValue((PyLongObject *)a) == PyUnstable_Long_CompactValue((PyLongObject *)b);
    #else
        if (Py_ABS(Py_SIZE(a)) <= 1 && Py_ABS(Py_SIZE(b)) <= 1) /* 0 has no digit that counts */
            return Py_SIZE(a) == Py_SIZE(b) &&
                   (Py_SIZE(a) == 0 || ((PyLongObject *)a)->ob_digit[0] == ((PyLongObject *)b)->ob_digit[0]);
    #endif
        return PyObject_RichCompareBool(a, b, Py_EQ) == 1;
    }

    /* Whether two keys are equal as far as that can be told without foreign code; 0 is no answer. */
    static inline int pc_same_key(PyObject *a, PyObject *b)
    {
        if (a == b)
            return 1;
        if (PyUnicode_CheckExact(a))
            return PyUnicode_CheckExact(b) && pc_same_str(a, b);
        return PyLong_CheckExact(a) && PyLong_CheckExact(b) && pc_same_int(a, b);
    }

    /* Whether == on these two runs no foreign code: both are exactly str, int or bytes. */
    static inline int pc_compares_quietly(PyObject *a, PyObject *b)
    {
        return (PyUnicode_CheckExact(a) && PyUnicode_CheckExact(b)) || (PyLong_CheckExact(a) && PyLong_CheckExact(b)) ||
               (PyBytes_CheckExact(a) && PyBytes_CheckExact(b));
    }

    /* A reference that is the caller's already, as the object that it refers to. */
    #define pc_owned(object) (object)
    """
    Py_hash_t pc_key_hash(object key) except -1
    bint pc_same_str(PyObject *a, PyObject *b) noexcept
    bint pc_same_int(PyObject *a, PyObject *b) noexcept
    bint pc_same_key(PyObject *a, PyObject *b) noexcept
    bint pc_compares_quietly(PyObject *a, PyObject *b) noexcept
    object pc_owned(PyObject *object)
