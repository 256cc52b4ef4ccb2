"""A function behind a cache: a hit is answered here, from the arguments as CPython passes them (PEP 590).

The way of a call is written without Cython's references and exceptions: ``PyObject *`` is counted by hand, NULL says
that an exception is set. So a hit touches no count but the value's, and what the function raises has no frame of ours
in its traceback. The rules of cache.pyx hold: arguments are hashed before the search, compared quietly under the lock,
and loudly without it; what leaves is released after the last change.
"""

from types import GenericAlias

cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.arguments cimport duration_ns, optional_callable
from perfcore._native.c.base cimport PC_NIL, pc_hash32
from perfcore._native.c.cache cimport *
from perfcore._native.c.clock cimport PC_SECOND, pc_clock_ns
from perfcore._native.c.slots cimport *
from perfcore._native.c.table cimport pc_cursor, pc_cursor_next, pc_table_find
from perfcore._native.cache cimport Cache, entry
from perfcore._native.call cimport *
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_release
from perfcore._native.slots cimport *

from perfcore.types import CacheInfo

__all__ = ["KEYWORDS", "Held", "Memo", "Ready", "key_of"]

cdef extern from "Python.h":
    size_t PY_VECTORCALL_ARGUMENTS_OFFSET
    Py_ssize_t PyVectorcall_NARGS(size_t nargsf) noexcept
    PyObject *vectorcall "PyObject_Vectorcall"(PyObject *f, PyObject **args, size_t nargsf, PyObject *names) noexcept
    object PyVectorcall_Call(object f, object args, object kwargs)
    object PyMethod_New(object function, object instance)
    PyObject *PyFloat_FromDouble(double value) noexcept
    void PyErr_SetNone(object kind) noexcept
    void PyErr_SetString(object kind, const char *message) noexcept
    PyObject *PyErr_NoMemory() noexcept
    bint PyErr_ExceptionMatches(object kind) noexcept
    void PyErr_Fetch(PyObject **kind, PyObject **value, PyObject **traceback) noexcept
    void PyErr_NormalizeException(PyObject **kind, PyObject **value, PyObject **traceback) noexcept
    PyObject *None_ "Py_None"

cdef enum:
    FAILED = 0xFFFFFFFE  # of a search: no slot, but an exception that is set


# --- keys ----------------------------------------------------------------------------------------------------

@cython.final
cdef class _Keywords:
    """The type of KEYWORDS, which is its only instance."""

    def __reduce__(self):
        return "KEYWORDS"

    def __repr__(self):
        return "KEYWORDS"


KEYWORDS = _Keywords()
cdef PyObject *mark = <PyObject *>KEYWORDS


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
    call.names, call.named, call.mark, call.typed = <PyObject *>names, len(names), mark, typed
    return call_hash(&call)


cdef bint hashes_agree():
    cdef tuple samples = ((), (1, 2), ("a", -1, 2.5), tuple(range(9)))
    for args in samples:
        if (hash_as_tuple(args, (), (), False) != hash(args)
                or hash_as_tuple(args, ("x",), (1,), True) != hash(args + (KEYWORDS, "x", 1) + (*map(type, args), int))):
            return False
    return True


cdef bint in_place = hashes_agree()


def _hash_in_place(bint wanted=True, /):
    """For tests: whether hashes are computed without building keys; say whether they were until now."""
    global in_place
    cdef bint before = in_place
    in_place = wanted and hashes_agree()
    return before


# --- results -------------------------------------------------------------------------------------------------

cdef class Held:
    """A value that a Memo does not hand out as it is: instances of subclasses come to its ``review``."""


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

    cdef object value
    cdef bint spent

    __class_getitem__ = classmethod(GenericAlias)

    def __cinit__(self, value, /):
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
    result[0] = pc_new_ref(<PyObject *>ready.value)
    return PYGEN_RETURN


pc_type_send(<void *>Ready, ready_send)


# --- the way of a call ---------------------------------------------------------------------------------------

# What is known of a call; what it points to belongs to the caller, but for `made`.
ctypedef struct request:
    pc_call call
    PyObject **args     # as CPython passed them: all of them ...
    size_t nargsf       # ... and how many are positional
    PyObject *key       # the key where it is an object already, or NULL: a sole str or int, or what `key` returned ...
    PyObject *made      # ... which is released at the end
    uint32_t hash
    uint64_t now        # 0 when nobody needed the clock
    uint64_t version    # of the index, when the key was not found in it


@cython.final
@cython.no_gc_clear  # a finalizer may still call; whatever a cycle through it also goes through can be cleared
@cython.auto_pickle(False)
cdef class Memo:
    """Memo(function, cache, miss=None, *, key=None, typed=False, skip=0, review=None, margin=0, finish=None,
    awaitable=False, unhashable=None)

    A function whose results are looked up in a :class:`Cache`, natively; ``memo.pyi`` tells the way of a call.

    >>> from perfcore._native.cache import Cache
    >>> double = Memo(lambda x: 2 * x, Cache(100))
    >>> double(4), double(4), double.cache_info()
    (8, 8, CacheInfo(hits=1, misses=1, maxsize=100, currsize=1))
    """

    cdef vectorcallfunc vectorcall
    cdef readonly Cache cache
    cdef readonly object function
    cdef object miss, key, review, finish, unhashable  # None where there is none
    cdef Py_ssize_t skip
    cdef bint typed, awaitable, plain                  # plain: a hit is its value
    cdef uint64_t margin
    cdef readonly uint64_t hits, misses
    cdef dict __dict__
    cdef object __weakref__

    def __cinit__(self, function, Cache cache not None, miss=None, *, key=None, bint typed=False, Py_ssize_t skip=0,
                  review=None, margin=0, finish=None, bint awaitable=False, unhashable=None):
        if not callable(function):
            raise TypeError(f"function must be callable, not {type(function).__name__}")
        if skip < 0:
            raise ValueError(f"skip must not be negative, got {skip}")
        self.function, self.cache, self.key, self.typed, self.skip = function, cache, key, typed, skip
        self.miss = optional_callable("miss", miss)
        self.key = optional_callable("key", key)
        self.review = optional_callable("review", review)
        self.finish = optional_callable("finish", finish)
        self.unhashable = optional_callable("unhashable", unhashable)
        self.margin = 0 if margin == 0 else duration_ns("margin", margin)
        if self.margin and review is None:
            raise ValueError("margin needs review")
        self.awaitable = awaitable
        self.plain = review is None and finish is None and not awaitable
        self.vectorcall = <vectorcallfunc><void *>answer

    def __call__(self, /, *args, **kwargs):
        return PyVectorcall_Call(self, args, kwargs)

    def __get__(self, instance, owner):
        return self if instance is None else PyMethod_New(self, instance)

    def __reduce__(self):
        return self.__qualname__

    def __copy__(self):
        return self

    def __deepcopy__(self, memo, /):
        return self

    def cache_key(self, /, *args, **kwargs):
        """Return the key of a call with these arguments."""
        if self.key is not None:
            return self.key(*args, **kwargs)
        return key_of(args, kwargs, self.typed, self.skip)

    @cython.binding(False)
    def cache_info(self):
        """cache_info($self, /)
--

        Report cache statistics"""
        return CacheInfo(self.hits, self.misses, self.cache.maxsize, len(self.cache))

    @cython.binding(False)
    def cache_clear(self):
        """cache_clear($self, /)
--

        Clear the cache and cache statistics"""
        self.reset_counts()
        self.cache.clear()

    def reset_counts(self):
        """Set the counts of hits and misses to zero."""
        self.hits = self.misses = 0


cdef PyObject *answer(Memo self, PyObject **args, size_t nargsf, PyObject *names) noexcept:
    """The vectorcall of a Memo."""
    cdef request r
    cdef PyObject *result
    cdef Py_hash_t hash
    if not understand(self, &r, args, nargsf, names, &hash):
        return unanswerable(self, &r)
    r.hash = pc_hash32(<uint64_t>hash, self.cache.core.seed)
    r.now = 0
    if self.cache.core.slots.life.size:
        r.now = time_of(self.cache)
        if r.now == 0:
            xdecref(r.made)
            return NULL
    result = look_up(self, &r)
    xdecref(r.made)
    return result


cdef inline bint understand(Memo self, request *r, PyObject **args, size_t nargsf, PyObject *names,
                            Py_hash_t *hash) noexcept:
    """Fill in what is known of a call and the hash of its key; false with an exception when there is none."""
    cdef Py_ssize_t count = PyVectorcall_NARGS(nargsf)
    r.args, r.nargsf = args, nargsf
    r.call.args, r.call.count, r.call.values = args, count, args + count
    r.call.names, r.call.named = names, 0 if names == NULL else tuple_size(names)
    r.key = r.made = NULL
    if self.skip:
        r.call.args += min(self.skip, count)
        r.call.count -= min(self.skip, count)
    if <PyObject *>self.key != None_:
        r.key = r.made = vectorcall(<PyObject *>self.key, args, count, names)
        if r.made == NULL:
            return False
    elif r.call.count == 1 and r.call.named == 0 and not self.typed and (is_str(r.call.args[0]) or is_int(r.call.args[0])):
        r.key = r.call.args[0]
    elif in_place:
        r.call.mark, r.call.typed = mark, self.typed
        hash[0] = call_hash(&r.call)
        return hash[0] != -1
    else:
        r.call.mark, r.call.typed = mark, self.typed
        r.key = r.made = call_key(&r.call)
        if r.made == NULL:
            return False
    hash[0] = pc_hash_of(r.key)
    return hash[0] != -1


cdef inline uint64_t time_of(Cache cache) noexcept:
    """The time of the cache's clock; 0 with an exception when its timer raises."""
    if <PyObject *>cache.timer == None_:
        return 1 + pc_clock_ns()
    return (<uint64_t (*)(Cache) noexcept>ask_timer)(cache)


cdef uint64_t ask_timer(Cache cache) except 0:
    return cache.now()


# --- searching: with the lock held ---------------------------------------------------------------------------

cdef inline entry *entry_at(pc_cache *core, uint32_t slot) noexcept:
    return <entry *>pc_slots_payload(&core.slots, slot)


cdef inline uint32_t search(Memo self, request *r) noexcept:
    """The slot of the key, PC_NIL or FAILED."""
    if r.key == NULL:
        return search_call(self, r)
    return search_key(self, r)


cdef inline uint32_t search_key(Memo self, request *r) noexcept:
    cdef pc_cache *core = &self.cache.core
    cdef pc_cursor cursor
    cdef PyObject *stored
    cdef int verdict
    cdef uint32_t slot = pc_table_find(&core.table, &cursor, r.hash)
    while slot != PC_NIL:
        stored = entry_at(core, slot).key
        if stored == r.key:
            return slot
        if pc_slots_node(&core.slots, slot).hash == r.hash:
            verdict = same(stored, r.key)
            if verdict == 1:
                return slot
            if verdict == LOUD:
                return (<uint32_t (*)(Cache, PyObject *, uint32_t) noexcept>find_anyhow)(self.cache, r.key, r.hash)
        slot = pc_cursor_next(&cursor)
    return PC_NIL


cdef uint32_t find_anyhow(Cache cache, PyObject *key, uint32_t hash) except 0xFFFFFFFE:
    return cache.find(<object>key, hash)


cdef uint32_t search_call(Memo self, request *r) noexcept:
    cdef pc_cache *core = &self.cache.core
    cdef pc_cursor cursor
    cdef PyObject *stored
    cdef uint64_t version = core.version
    cdef int verdict
    cdef uint32_t slot = pc_table_find(&core.table, &cursor, r.hash)
    while slot != PC_NIL:
        stored = entry_at(core, slot).key
        if pc_slots_node(&core.slots, slot).hash == r.hash:
            verdict = call_matches(&r.call, stored, same)
            if verdict == LOUD:
                verdict = match_loudly(self, &r.call, stored)
                if verdict < 0:
                    return FAILED
                if core.version != version:
                    version = core.version
                    slot = pc_table_find(&core.table, &cursor, r.hash)
                    continue
            if verdict:
                return slot
        slot = pc_cursor_next(&cursor)
    return PC_NIL


cdef int match_loudly(Memo self, const pc_call *call, PyObject *stored) noexcept:
    """``call_matches`` with the objects' own ``==``, without the lock; -1 when one raises."""
    pc_new_ref(stored)
    pc_lock_release(&self.cache.mutex)
    cdef int verdict = call_matches(call, stored, same_loudly)
    decref(stored)
    pc_lock_acquire(&self.cache.mutex)
    return verdict


# --- hits ----------------------------------------------------------------------------------------------------

cdef inline PyObject *look_up(Memo self, request *r) noexcept:
    cdef pc_cache *core = &self.cache.core
    cdef PyObject *value
    cdef uint64_t left = PC_NEVER
    pc_lock_acquire(&self.cache.mutex)
    cdef uint32_t slot = search(self, r)
    if slot >= FAILED:
        return missed(self, r, slot)
    if r.now and pc_cache_timed(core, slot):
        left = time_left(core, slot, r.now)
        if left == 0:
            pc_cache_remove(core, slot, PC_CAUSE_EXPIRED)
            return missed(self, r, PC_NIL)
    value = pc_new_ref(entry_at(core, slot).value)
    self.hits += 1
    self.cache.hits += 1
    pc_cache_hit(core, slot)
    if core.slots.idle.size:
        pc_cache_prolong(core, slot, r.now)
    pc_lock_release(&self.cache.mutex)
    return value if self.plain else dressed(self, r, value, left)


cdef inline uint64_t time_left(pc_cache *core, uint32_t slot, uint64_t now) noexcept:
    """The ns until an entry with a deadline ends, not counting what uses may grant; 0 when it has ended."""
    cdef uint64_t end = pc_slots_life(&core.slots, slot).deadline
    if end > now and core.slots.idle.size and pc_slots_idle(&core.slots, slot).grant:
        end = pc_slots_idle(&core.slots, slot).end
    return PC_NEVER if end == PC_NEVER else end - now if end > now else 0


cdef PyObject *dressed(Memo self, request *r, PyObject *value, uint64_t left) noexcept:
    """What a hit returns where that is not just the value, whose reference is taken over."""
    if <PyObject *>self.review != None_ and (left <= self.margin or isinstance(<object>value, Held)):
        return reviewed(self, r, value, left)
    if <PyObject *>self.finish != None_:
        value = finished(self, value)
    if self.awaitable and value != NULL:
        return (<PyObject *(*)(PyObject *) noexcept>ready)(value)
    return value


cdef inline PyObject *finished(Memo self, PyObject *value) noexcept:
    cdef PyObject *made = vectorcall(<PyObject *>self.finish, &value, 1, NULL)
    decref(value)
    return made


cdef object ready(PyObject *value):
    cdef Ready made = Ready.__new__(Ready, <object>value)
    decref(value)
    return made


cdef PyObject *reviewed(Memo self, request *r, PyObject *value, uint64_t left) noexcept:
    """What ``review(key, args, kwargs, value, left)`` returns."""
    cdef PyObject *items[5]
    cdef PyObject *result = NULL
    items[3] = value
    items[4] = pc_new_ref(None_) if left == PC_NEVER else PyFloat_FromDouble(left / <double>PC_SECOND)
    if describe(r, items):
        if items[4] != NULL:
            result = vectorcall(<PyObject *>self.review, items, 5, NULL)
        release_description(items)
    xdecref(items[4])
    decref(value)
    return result


cdef bint describe(request *r, PyObject **items) noexcept:
    """Put key, args and kwargs of a call in the first three places, as new references."""
    cdef Py_ssize_t count = PyVectorcall_NARGS(r.nargsf)
    items[0] = call_key(&r.call) if r.key == NULL else pc_new_ref(r.key)
    items[1] = args_tuple(r.args, count)
    items[2] = kwargs_dict(r.call.names, r.call.values) if r.call.named else pc_new_ref(None_)
    if items[0] != NULL and items[1] != NULL and items[2] != NULL:
        return True
    release_description(items)
    return False


cdef void release_description(PyObject **items) noexcept:
    cdef int i
    for i in range(3):
        xdecref(items[i])


# --- misses --------------------------------------------------------------------------------------------------

cdef PyObject *missed(Memo self, request *r, uint32_t slot) noexcept:
    """What a call returns that found nothing; called with the lock, returns without it."""
    cdef bint left = self.cache.core.limbo.count != 0
    r.version = self.cache.core.version
    if slot != FAILED:
        self.misses += 1
        self.cache.misses += 1
    pc_lock_release(&self.cache.mutex)
    if slot == FAILED:
        return NULL
    if left:
        self.cache.settle()
    return computed(self, r) if <PyObject *>self.miss == None_ else asked(self, r)


cdef PyObject *asked(Memo self, request *r) noexcept:
    """What ``miss(key, args, kwargs)`` returns."""
    cdef PyObject *items[3]
    if not describe(r, items):
        return NULL
    cdef PyObject *result = vectorcall(<PyObject *>self.miss, items, 3, NULL)
    release_description(items)
    return result


cdef PyObject *computed(Memo self, request *r) noexcept:
    """What the function returns, stored unless a call in between has stored a result for the same key."""
    cdef PyObject *result = vectorcall(<PyObject *>self.function, r.args, r.nargsf, r.call.names)
    if result == NULL or self.cache.core.capacity == 0:
        return result
    cdef PyObject *key = call_key(&r.call) if r.key == NULL else pc_new_ref(r.key)
    cdef bint stored = key != NULL and keep(self, r, key, result)
    xdecref(key)
    if stored:
        return result
    decref(result)
    return NULL


cdef inline bint keep(Memo self, request *r, PyObject *key, PyObject *value) noexcept:
    if self.cache.ttl_ns or self.cache.tti_ns or r.now or <PyObject *>self.cache.weigher != None_:
        return (<int (*)(Cache, PyObject *, PyObject *) noexcept>store_anyhow)(self.cache, key, value) == 0
    return keep_plainly(self, r, key, value)


cdef int store_anyhow(Cache cache, PyObject *key, PyObject *value) except -1:
    cache.store(<object>key, <object>value, None, None, False)
    return 0


cdef bint keep_plainly(Memo self, request *r, PyObject *key, PyObject *value) noexcept:
    """Store an entry that has neither weight nor end, unless it is there; false with an exception when that fails."""
    cdef pc_cache *core = &self.cache.core
    cdef uint32_t slot = PC_NIL
    cdef bint left = False, failed = False
    pc_lock_acquire(&self.cache.mutex)
    if core.version != r.version:
        slot = search(self, r)
    if slot == PC_NIL:
        failed = pc_cache_reserve(core, 0, False, False) != 0
        if not failed:
            slot = pc_cache_insert(core, r.hash, 1)
            entry_at(core, slot).key, entry_at(core, slot).value = pc_new_ref(key), pc_new_ref(value)
            left = core.limbo.count != 0
    pc_lock_release(&self.cache.mutex)
    if failed:
        PyErr_NoMemory()
    if left:
        self.cache.settle()
    return not failed and slot != FAILED


# --- what cannot be hashed -----------------------------------------------------------------------------------

cdef PyObject *unanswerable(Memo self, request *r) noexcept:
    """A call without a key: the exception that is set comes out, unless ``unhashable`` has an answer to it."""
    cdef PyObject *result = NULL
    cdef bint no_key = <PyObject *>self.key != None_ and r.made == NULL  # the key function itself failed
    if <PyObject *>self.unhashable != None_ and not no_key and PyErr_ExceptionMatches(TypeError):
        result = explained(self, r)
    xdecref(r.made)
    return result


cdef PyObject *explained(Memo self, request *r) noexcept:
    """What ``unhashable(error, args, kwargs)`` returns."""
    cdef PyObject *items[3]
    cdef PyObject *kind
    cdef PyObject *traceback
    cdef PyObject *result = NULL
    PyErr_Fetch(&kind, &items[0], &traceback)
    PyErr_NormalizeException(&kind, &items[0], &traceback)
    items[1] = args_tuple(r.args, PyVectorcall_NARGS(r.nargsf))
    items[2] = kwargs_dict(r.call.names, r.call.values) if r.call.named else pc_new_ref(None_)
    if items[1] != NULL and items[2] != NULL:
        result = vectorcall(<PyObject *>self.unhashable, items, 3, NULL)
    release_description(items)
    xdecref(kind)
    xdecref(traceback)
    return result


cdef int install() except -1:
    cdef Memo probe = Memo.__new__(Memo, len, Cache(0))
    pc_type_vectorcall(<void *>Memo, <char *>&probe.vectorcall - <char *><PyObject *>probe)
    return 0


install()
