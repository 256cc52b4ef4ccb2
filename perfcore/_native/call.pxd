# The arguments of a call as the key of a cache, without building that key: hashed as the tuple would be, and compared
# with a stored one element by element. See memo.pyi (key_of) for what the key is.
#
# Everything here is raw: references are counted by hand, and what fails returns NULL or -1 with the exception set, so
# that an exception passes through a cached function without a frame of ours in its traceback.
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

from perfcore._native.compare cimport pc_same_int, pc_same_str


cdef extern from *:
    """
    /* The hash of an int of one digit is the int, but for -1. */
    static inline int pc_is_small(PyObject *object, Py_hash_t *hash)
    {
        if (!PyLong_CheckExact(object))
            return 0;
    #if PY_VERSION_HEX >= 0x030C0000
        if (!PyUnstable_Long_IsCompact((PyLongObject *)object))
            return 0;
        Py_hash_t value = PyUnstable_Long_CompactValue((PyLongObject *)object);
    #else
        if (Py_ABS(Py_SIZE(object)) > 1)
            return 0;
        Py_hash_t value = Py_SIZE(object) == 0 ? 0 : Py_SIZE(object) * (Py_hash_t)((PyLongObject *)object)->ob_digit[0];
    #endif
        *hash = value == -1 ? -2 : value;
        return 1;
    }

    /* The hash of an object, without a call for a small int, and for a str that keeps it where no other thread writes. */
    static inline Py_hash_t pc_hash_of(PyObject *object)
    {
        Py_hash_t hash;
    #ifndef Py_GIL_DISABLED
        if (PyUnicode_CheckExact(object) && ((PyASCIIObject *)object)->hash != -1)
            return ((PyASCIIObject *)object)->hash;
    #endif
        return pc_is_small(object, &hash) ? hash : PyObject_Hash(object);
    }

    #define pc_of_heap_type(object) PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_HEAPTYPE)
    #define pc_type_of(object) ((PyObject *)Py_TYPE(object))
    #define pc_new_ref(object) Py_NewRef(object)
    """
    Py_hash_t pc_hash_of(PyObject *o) noexcept
    bint pc_of_heap_type(PyObject *o) noexcept
    PyObject *pc_type_of(PyObject *o) noexcept
    PyObject *pc_new_ref(PyObject *o) noexcept

cdef extern from "Python.h":
    bint is_str "PyUnicode_CheckExact"(PyObject *o) noexcept
    bint is_int "PyLong_CheckExact"(PyObject *o) noexcept
    bint is_bytes "PyBytes_CheckExact"(PyObject *o) noexcept
    bint is_float "PyFloat_CheckExact"(PyObject *o) noexcept
    bint is_tuple "PyTuple_CheckExact"(PyObject *o) noexcept
    PyObject *new_tuple "PyTuple_New"(Py_ssize_t size) noexcept
    Py_ssize_t tuple_size "PyTuple_GET_SIZE"(PyObject *o) noexcept
    PyObject *tuple_item "PyTuple_GET_ITEM"(PyObject *o, Py_ssize_t i) noexcept
    void tuple_fill "PyTuple_SET_ITEM"(PyObject *o, Py_ssize_t i, PyObject *item) noexcept
    PyObject *new_dict "PyDict_New"() noexcept
    int dict_set "PyDict_SetItem"(PyObject *o, PyObject *key, PyObject *value) noexcept
    int equal "PyObject_RichCompareBool"(PyObject *a, PyObject *b, int op) noexcept
    Py_hash_t hash_of "PyObject_Hash"(PyObject *o) noexcept
    void decref "Py_DECREF"(PyObject *o) noexcept
    void xdecref "Py_XDECREF"(PyObject *o) noexcept
    int Py_EQ
    PyObject *None_ "Py_None"
    Py_ssize_t PyVectorcall_NARGS(size_t nargsf) noexcept


ctypedef struct pc_call:
    PyObject **passed      # the arguments as CPython passed them: all of them, ...
    size_t nargsf          # ... and how many are positional, with its flag
    PyObject **args        # the positional arguments that are part of the key ...
    Py_ssize_t count
    PyObject **values      # ... and the values of the keywords, whose ...
    PyObject *names        # ... names are in this tuple, which is NULL without any
    Py_ssize_t named
    PyObject *mark         # what stands between the two in a key
    bint typed             # whether the types of all of them follow


cdef inline Py_ssize_t call_size(const pc_call *call) noexcept:
    """The number of elements of the key."""
    cdef Py_ssize_t size = call.count + (2 * call.named + 1 if call.named else 0)
    return size + call.count + call.named if call.typed else size


# --- hashing -------------------------------------------------------------------------------------------------
#
# The hash of a tuple as CPython has it since 3.8: xxHash's rounds over the hashes of the elements. Whoever changes
# the key in any other way (cache.delete(key), a cache read from a file) uses hash(), so the two must agree: memo.pyx
# tests that at import, and builds the key where they don't (another CPython, or a machine of 32 bits).

cdef inline uint64_t mixed(uint64_t state, Py_hash_t lane) noexcept:
    state += <uint64_t>lane * <uint64_t>14029467366897019727
    return ((state << 31) | (state >> 33)) * <uint64_t>11400714785074694791


cdef inline int mix(uint64_t *state, PyObject *item) noexcept:
    cdef Py_hash_t lane = pc_hash_of(item)
    state[0] = mixed(state[0], lane)
    return -(lane == -1)


cdef inline int mix_names(uint64_t *state, const pc_call *call) noexcept:
    cdef Py_ssize_t i
    if mix(state, call.mark) < 0:
        return -1
    for i in range(call.named):
        if mix(state, tuple_item(call.names, i)) < 0 or mix(state, call.values[i]) < 0:
            return -1
    return 0


cdef inline int mix_types(uint64_t *state, const pc_call *call) noexcept:
    cdef Py_ssize_t i
    for i in range(call.count):
        if mix(state, pc_type_of(call.args[i])) < 0:
            return -1
    for i in range(call.named):
        if mix(state, pc_type_of(call.values[i])) < 0:
            return -1
    return 0


cdef inline Py_hash_t call_hash(const pc_call *call) noexcept:
    """The hash that the key has; -1 when that of an argument raises. Runs the arguments' ``__hash__``, each once."""
    cdef uint64_t state = <uint64_t>2870177450012600261
    cdef Py_ssize_t i
    for i in range(call.count):
        if mix(&state, call.args[i]) < 0:
            return -1
    if call.named and mix_names(&state, call) < 0:
        return -1
    if call.typed and mix_types(&state, call) < 0:
        return -1
    state += <uint64_t>call_size(call) ^ (<uint64_t>2870177450012600261 ^ <uint64_t>3527539)
    return 1546275796 if state == <uint64_t>-1 else <Py_hash_t>state


# --- comparing -----------------------------------------------------------------------------------------------

cdef enum:
    LOUD = -1  # no verdict without code of the objects


cdef inline int same(PyObject *a, PyObject *b) noexcept:
    """Whether two objects are equal as far as that can be told without any foreign code."""
    if a == b:
        return 1
    if is_str(a) and is_str(b):
        return pc_same_str(a, b)  # every argument has been hashed
    if is_int(a) and is_int(b):
        return pc_same_int(a, b)
    if (is_float(a) and is_float(b)) or (is_bytes(a) and is_bytes(b)):
        return equal(a, b, Py_EQ)
    return LOUD


cdef inline int same_loudly(PyObject *a, PyObject *b) noexcept:
    return equal(a, b, Py_EQ)


ctypedef int (*comparison)(PyObject *, PyObject *) noexcept


cdef inline int names_match(const pc_call *call, PyObject *stored, comparison compare) noexcept:
    cdef Py_ssize_t i, at = call.count
    cdef int verdict
    if tuple_item(stored, at) != call.mark:
        return 0
    for i in range(call.named):
        verdict = compare(tuple_item(stored, at + 1), tuple_item(call.names, i))
        if verdict == 1:
            verdict = compare(tuple_item(stored, at + 2), call.values[i])
        if verdict != 1:
            return verdict
        at += 2
    return 1


cdef inline int types_match(const pc_call *call, PyObject *stored, comparison compare) noexcept:
    cdef Py_ssize_t i, at = tuple_size(stored) - call.count - call.named
    cdef int verdict
    for i in range(call.count + call.named):
        item = call.args[i] if i < call.count else call.values[i - call.count]
        verdict = compare(tuple_item(stored, at + i), pc_type_of(item))
        if verdict != 1:
            return verdict
    return 1


cdef inline int call_matches(const pc_call *call, PyObject *stored, comparison compare) noexcept:
    """What ``compare`` says first that is not 1, or 1; a stored key that is no tuple of our making is for others."""
    cdef Py_ssize_t i
    cdef int verdict = 1
    if not is_tuple(stored) or tuple_size(stored) != call_size(call):
        return 0
    for i in range(call.count):
        verdict = compare(tuple_item(stored, i), call.args[i])
        if verdict != 1:
            return verdict
    if call.named:
        verdict = names_match(call, stored, compare)
    if verdict == 1 and call.typed:
        verdict = types_match(call, stored, compare)
    return verdict


# --- building ------------------------------------------------------------------------------------------------

cdef inline PyObject *call_key(const pc_call *call) noexcept:
    """The key, as a new reference; NULL without memory."""
    cdef PyObject *key = new_tuple(call_size(call))
    cdef Py_ssize_t i, at = call.count
    if key == NULL:
        return NULL
    for i in range(call.count):
        tuple_fill(key, i, pc_new_ref(call.args[i]))
    if call.named:
        tuple_fill(key, at, pc_new_ref(call.mark))
        at += 1
    for i in range(call.named):
        tuple_fill(key, at, pc_new_ref(tuple_item(call.names, i)))
        tuple_fill(key, at + 1, pc_new_ref(call.values[i]))
        at += 2
    for i in range(call.count + call.named if call.typed else 0):
        item = call.args[i] if i < call.count else call.values[i - call.count]
        tuple_fill(key, at + i, pc_new_ref(pc_type_of(item)))
    return key


cdef inline PyObject *args_tuple(const pc_call *call) noexcept:
    """A new tuple of all positional arguments."""
    cdef Py_ssize_t i, count = PyVectorcall_NARGS(call.nargsf)
    cdef PyObject *made = new_tuple(count)
    for i in range(count if made != NULL else 0):
        tuple_fill(made, i, pc_new_ref(call.passed[i]))
    return made


cdef inline PyObject *kwargs_dict(const pc_call *call) noexcept:
    """A new dict of the keywords, or None."""
    cdef PyObject *made = new_dict() if call.named else pc_new_ref(None_)
    cdef Py_ssize_t i
    for i in range(call.named if made != NULL else 0):
        if dict_set(made, tuple_item(call.names, i), call.values[i]) < 0:
            decref(made)
            return NULL
    return made


cdef inline bint describe(const pc_call *call, PyObject *key, PyObject **items) noexcept:
    """Put key, args and kwargs of a call in the first three places, as new references."""
    items[0] = call_key(call) if key == NULL else pc_new_ref(key)
    items[1] = args_tuple(call)
    items[2] = kwargs_dict(call)
    if items[0] != NULL and items[1] != NULL and items[2] != NULL:
        return True
    release_description(items)
    return False


cdef inline void release_description(PyObject **items) noexcept:
    cdef int i
    for i in range(3):
        xdecref(items[i])
