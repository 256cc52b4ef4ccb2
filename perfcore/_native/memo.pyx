"""A function behind a cache: a hit is answered here, from the arguments as CPython passes them (PEP 590).

The way of a call is written without Cython's references and exceptions: ``PyObject *`` is counted by hand, NULL says
that an exception is set. So a hit touches no count but the value's, and what the function raises has no frame of ours
in its traceback. The rules of engine.pyx hold: arguments are hashed before the search, compared quietly under the lock,
and loudly without it; what leaves is released after the last change.
"""

cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.arguments cimport duration_ns, optional_callable
from perfcore._native.c.base cimport PC_NIL, pc_hash32
from perfcore._native.c.cache cimport *
from perfcore._native.c.clock cimport PC_SECOND, pc_clock_ns
from perfcore._native.c.slots cimport *
from perfcore._native.cache cimport Cache
from perfcore._native.call cimport *
from perfcore._native.engine cimport FAILED
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_release
from perfcore._native.ready cimport Ready
from perfcore._native.search cimport *
from perfcore._native.slots cimport pc_type_vectorcall, vectorcallfunc
from perfcore._native.tags cimport is_label, is_stale, value_of

from perfcore._native.keys import KEYWORDS, hashes_agree, key_of
from perfcore.types import CacheInfo

__all__ = ["Held", "Memo"]

cdef extern from "Python.h":
    PyObject *vectorcall "PyObject_Vectorcall"(PyObject *f, PyObject **args, size_t nargsf, PyObject *names) noexcept
    object PyVectorcall_Call(object f, object args, object kwargs)
    object PyMethod_New(object function, object instance)
    PyObject *PyFloat_FromDouble(double value) noexcept
    PyObject *PyErr_NoMemory() noexcept
    bint PyErr_ExceptionMatches(object kind) noexcept
    void PyErr_Fetch(PyObject **kind, PyObject **value, PyObject **traceback) noexcept
    void PyErr_NormalizeException(PyObject **kind, PyObject **value, PyObject **traceback) noexcept

cdef PyObject *mark = <PyObject *>KEYWORDS
cdef bint in_place = hashes_agree()


def _hash_in_place(bint wanted=True, /):
    """For tests: whether hashes are computed without building keys; say whether they were until now."""
    global in_place
    cdef bint before = in_place
    in_place = wanted and hashes_agree()
    return before


cdef class Held:
    """A value that a Memo does not hand out as it is: instances of subclasses come to its ``review``."""


# --- the way of a call ---------------------------------------------------------------------------------------

@cython.final
@cython.no_gc_clear  # a finalizer may still call; whatever a cycle through it also goes through can be cleared
@cython.auto_pickle(False)
cdef class Memo:
    """Memo(function, cache, miss=None, *, key=None, typed=False, skip=0, review=None, margin=0, finish=None,
    awaitable=False, unhashable=None, bind=None)

    A function whose results are looked up in a :class:`Cache`, natively; ``memo.pyi`` tells the way of a call.

    >>> from perfcore._native.cache import Cache
    >>> double = Memo(lambda x: 2 * x, Cache(100))
    >>> double(4), double(4), double.cache_info()
    (8, 8, CacheInfo(hits=1, misses=1, maxsize=100, currsize=1))
    """

    cdef vectorcallfunc vectorcall
    cdef pc_cache *core                                # of `cache`
    cdef PyObject *(*answer_any)(Memo, PyObject **, size_t, PyObject *) noexcept
    cdef PyObject *(*answer_otherwise)(Memo, PyObject **, size_t, uint32_t, uint32_t) noexcept
    cdef readonly Cache cache
    cdef readonly object function
    cdef object miss, key, review, finish, unhashable, bind  # None where there is none
    cdef Py_ssize_t skip
    cdef bint typed, awaitable
    cdef bint simple                                   # a sole str or int is its own key
    cdef bint bare                                     # a hit that need not be reviewed is its value
    cdef uint64_t margin
    cdef readonly uint64_t hits, misses
    cdef dict __dict__
    cdef object __weakref__

    def __cinit__(self, function, Cache cache not None, miss=None, *, key=None, bint typed=False, Py_ssize_t skip=0,
                  review=None, margin=0, finish=None, bint awaitable=False, unhashable=None, bind=None):
        if not callable(function):
            raise TypeError(f"function must be callable, not {type(function).__name__}")
        if skip < 0:
            raise ValueError(f"skip must not be negative, got {skip}")
        self.function, self.cache, self.key, self.typed, self.skip = function, cache, key, typed, skip
        self.miss = optional_callable("miss", miss)
        self.key = optional_callable("key", key)
        self.review, self.finish = optional_callable("review", review), optional_callable("finish", finish)
        self.unhashable = optional_callable("unhashable", unhashable)
        self.bind = optional_callable("bind", bind)
        self.margin = 0 if margin == 0 else duration_ns("margin", margin)
        if self.margin and review is None:
            raise ValueError("margin needs review")
        self.awaitable = awaitable
        self.simple = key is None and skip == 0 and not typed
        self.bare = finish is None and not awaitable
        self.core = &cache.core
        self.vectorcall, self.answer_any = <vectorcallfunc><void *>answer, answer_any
        self.answer_otherwise = answer_otherwise

    def __call__(self, /, *args, **kwargs):
        return PyVectorcall_Call(self, args, kwargs)

    def __get__(self, instance, owner):
        if instance is None:
            return self
        return PyMethod_New(self, instance) if self.bind is None else self.bind(self, instance)

    def __repr__(self):
        return f"<cached {getattr(self.function, '__qualname__', 'function')}: {len(self.cache)} results>"

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
    """The vectorcall of a Memo: here the commonest call, where a sole str or int is its own key, and the commonest
    outcome, a hit that is just its value. The rest is called through pointers, or the compiler would make it a part of
    this function, whose every call would pay for its registers and its stack."""
    cdef pc_cache *core = self.core
    cdef uint32_t hash, slot
    if names != NULL or PyVectorcall_NARGS(nargsf) != 1 or not self.simple or not (is_str(args[0]) or is_int(args[0])):
        return self.answer_any(self, args, nargsf, names)
    hash = pc_hash32(<uint64_t>pc_hash_of(args[0]), core.seed)  # of a str or an int: cannot fail
    pc_lock_acquire(&self.cache.mutex)
    slot = search_key(core, args[0], hash)
    if (slot < UNSURE and self.bare and not is_label(entry_at(core, slot).value)
            and (core.slots.life.size == 0 or surely_alive(<PyObject *>self.cache, slot, self.margin))
            and (<PyObject *>self.review == None_ or not is_held(entry_at(core, slot).value))):
        return hit(self, slot, 0)
    return self.answer_otherwise(self, args, nargsf, slot, hash)


cdef PyObject *answer_otherwise(Memo self, PyObject **args, size_t nargsf, uint32_t slot, uint32_t hash) noexcept:
    """The end of ``answer`` where there is no hit, or it is not just its value; with the lock held."""
    cdef request r
    if has_timer(<PyObject *>self.cache):
        pc_lock_release(&self.cache.mutex)  # to ask the timer, which may change everything
        return answer_any(self, args, nargsf, NULL)
    arrive(self, &r, args, nargsf, NULL)
    r.key, r.hash = args[0], hash
    return conclude(self, &r, self.cache.seek_loudly(<object>r.key, hash) if slot == UNSURE else slot)


cdef PyObject *answer_any(Memo self, PyObject **args, size_t nargsf, PyObject *names) noexcept:
    """``answer`` for all other calls."""
    cdef request r
    cdef PyObject *result = NULL
    if self.core.capacity == 0 and <PyObject *>self.miss == None_:
        return call_through(self, args, nargsf, names)
    arrive(self, &r, args, nargsf, names)
    if not identify(self, &r):
        return unanswerable(self, &r)
    if not has_timer(<PyObject *>self.cache) or ask_timer(self, &r.now):
        pc_lock_acquire(&self.cache.mutex)
        result = conclude(self, &r, search(self.cache, &r))
    xdecref(r.made)
    return result


cdef inline PyObject *call_through(Memo self, PyObject **args, size_t nargsf, PyObject *names) noexcept:
    """A call where nothing is stored: as in functools, the arguments need not even be hashable."""
    pc_lock_acquire(&self.cache.mutex)
    self.misses += 1
    self.cache.misses += 1
    pc_lock_release(&self.cache.mutex)
    return vectorcall(<PyObject *>self.function, args, nargsf, names)


cdef inline void arrive(Memo self, request *r, PyObject **args, size_t nargsf, PyObject *names) noexcept:
    """Fill in what is known of a call before its key."""
    cdef Py_ssize_t count = PyVectorcall_NARGS(nargsf), skipped = min(self.skip, count)
    r.call.passed, r.call.nargsf = args, nargsf
    r.call.args, r.call.count, r.call.values = args + skipped, count - skipped, args + count
    r.call.names, r.call.named = names, 0 if names == NULL else tuple_size(names)
    r.call.mark, r.call.typed = mark, self.typed
    r.key = r.made = NULL
    r.now = 0


cdef inline bint identify(Memo self, request *r) noexcept:
    """Find the key or its hash; false with an exception when there is none."""
    cdef Py_hash_t hash
    if <PyObject *>self.key != None_:
        r.key = r.made = vectorcall(<PyObject *>self.key, r.call.passed, r.call.nargsf, r.call.names)
    elif r.call.count == 1 and r.call.named == 0 and not self.typed and (is_str(r.call.args[0]) or is_int(r.call.args[0])):
        r.key = r.call.args[0]
    elif not in_place:
        r.key = r.made = call_key(&r.call)
    else:
        hash = call_hash(&r.call)
        r.hash = pc_hash32(<uint64_t>hash, self.core.seed)
        return hash != -1
    hash = -1 if r.key == NULL else pc_hash_of(r.key)
    r.hash = pc_hash32(<uint64_t>hash, self.core.seed)
    return hash != -1


cdef inline bint ask_timer(Memo self, uint64_t *now) noexcept:
    """Ask the cache's own timer; false with an exception when that raises."""
    now[0] = (<uint64_t (*)(Cache) noexcept>time_of)(self.cache)
    return now[0] != 0


# --- hits ----------------------------------------------------------------------------------------------------

cdef inline PyObject *hit(Memo self, uint32_t slot, uint64_t now) noexcept:
    """Note a hit and let go of the lock; return a reference to the value."""
    cdef PyObject *value = pc_new_ref(value_of(entry_at(self.core, slot).value))
    self.hits += 1
    self.cache.hits += 1
    watch(self.cache, pc_slots_node(&self.core.slots, slot).hash)
    pc_cache_hit(self.core, slot)
    if now and self.core.slots.idle.size:
        pc_cache_prolong(self.core, slot, now)
    pc_lock_release(&self.cache.mutex)
    return value


cdef inline bint is_held(PyObject *value) noexcept:
    """``isinstance(value, Held)``; most values are of types that no class statement made, and so are none."""
    return (pc_of_heap_type(value) or type(<object>value) is Held) and isinstance(<object>value, Held)


cdef PyObject *conclude(Memo self, request *r, uint32_t slot) noexcept:
    """What a call returns, given the outcome of the search; called with the lock, returns without it."""
    cdef uint64_t left = PC_NEVER
    if slot >= FAILED:
        return missed(self, r, slot)
    cdef PyObject *held = entry_at(self.core, slot).value
    cdef bint reviewed = <PyObject *>self.review != None_ and is_held(value_of(held))
    if self.core.slots.life.size and (reviewed or not surely_alive(<PyObject *>self.cache, slot, self.margin)):
        r.now = r.now or 1 + pc_clock_ns()
        left = time_left(self.core, slot, r.now)
    if left == 0:
        pc_cache_remove(self.core, slot, PC_CAUSE_EXPIRED)
        return missed(self, r, PC_NIL)
    if is_label(held) and is_stale(held):
        pc_cache_remove(self.core, slot, PC_CAUSE_INVALIDATED)
        return missed(self, r, PC_NIL)
    reviewed = reviewed or (<PyObject *>self.review != None_ and left <= self.margin)
    cdef PyObject *value = hit(self, slot, r.now)
    if reviewed:
        return ask_review(self, r, value, left)
    return value if self.bare else dressed(self, value)


cdef PyObject *dressed(Memo self, PyObject *value) noexcept:
    """What a hit returns where that is not just the value, whose reference is taken over."""
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
    cdef Ready made = Ready.__new__(Ready)
    made.value = <object>value
    decref(value)
    return made


cdef PyObject *ask_review(Memo self, request *r, PyObject *value, uint64_t left) noexcept:
    """What ``review(key, args, kwargs, value, left)`` returns."""
    cdef PyObject *items[5]
    cdef PyObject *result = NULL
    items[3] = value
    items[4] = pc_new_ref(None_) if left == PC_NEVER else PyFloat_FromDouble(left / <double>PC_SECOND)
    if describe(&r.call, r.key, items):
        if items[4] != NULL:
            result = vectorcall(<PyObject *>self.review, items, 5, NULL)
        release_description(items)
    xdecref(items[4])
    decref(value)
    return result


# --- misses --------------------------------------------------------------------------------------------------

cdef PyObject *missed(Memo self, request *r, uint32_t slot) noexcept:
    """What a call returns that found nothing; called with the lock, returns without it."""
    cdef bint left = self.core.limbo.count != 0
    r.version = self.core.version
    if slot != FAILED:
        self.misses += 1
        self.cache.misses += 1
        watch(self.cache, r.hash)
    pc_lock_release(&self.cache.mutex)
    if slot == FAILED:
        return NULL
    if left:
        self.cache.settle()
    return computed(self, r) if <PyObject *>self.miss == None_ else asked(self, r)


cdef PyObject *asked(Memo self, request *r) noexcept:
    """What ``miss(key, args, kwargs)`` returns."""
    cdef PyObject *items[3]
    if not describe(&r.call, r.key, items):
        return NULL
    cdef PyObject *result = vectorcall(<PyObject *>self.miss, items, 3, NULL)
    release_description(items)
    return result


cdef PyObject *computed(Memo self, request *r) noexcept:
    """What the function returns, stored unless a call in between has stored a result for the same key."""
    cdef PyObject *result = vectorcall(<PyObject *>self.function, r.call.passed, r.call.nargsf, r.call.names)
    if result == NULL or self.core.capacity == 0:
        return result
    cdef PyObject *key = call_key(&r.call) if r.key == NULL else pc_new_ref(r.key)
    if key == NULL or not keep(self, r, key, result):
        decref(result)
        result = NULL
    xdecref(key)
    return result


cdef inline bint keep(Memo self, request *r, PyObject *key, PyObject *value) noexcept:
    if self.cache.ttl_ns or self.cache.tti_ns or self.core.slots.life.size or <PyObject *>self.cache.weigher != None_:
        return (<int (*)(Cache, PyObject *, PyObject *) noexcept>store_anyhow)(self.cache, key, value) == 0
    return keep_plainly(self, r, key, value)


cdef int store_anyhow(Cache cache, PyObject *key, PyObject *value) except -1:
    cache.store(<object>key, <object>value, None, None, None, False)
    return 0


cdef bint keep_plainly(Memo self, request *r, PyObject *key, PyObject *value) noexcept:
    """Store an entry that has neither weight nor end, unless it is there; false with an exception when that fails."""
    cdef pc_cache *core = self.core
    cdef uint32_t slot = PC_NIL
    cdef bint left = False, failed = False
    pc_lock_acquire(&self.cache.mutex)
    if core.version != r.version:
        slot = search(self.cache, r)
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
    items[1] = args_tuple(&r.call)
    items[2] = kwargs_dict(&r.call)
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
