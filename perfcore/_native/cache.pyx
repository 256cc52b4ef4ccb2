"""The in-memory cache: all that ``Cache`` offers beside the lookups and stores of ``engine.pyx``."""

import copy
import copyreg
from collections.abc import KeysView, Mapping, MutableMapping
from types import GenericAlias

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from perfcore._native.arguments cimport bound, bytes_of, duration_ns, optional_callable, share_of
from perfcore._native.batches cimport get_many, set_many
from perfcore._native.c.base cimport PC_NIL, PC_OK, pc_status
from perfcore._native.c.cache cimport *
from perfcore._native.c.clock cimport PC_SECOND
from perfcore._native.c.policy cimport *
from perfcore._native.c.slots cimport *
from perfcore._native.copying cimport restore, saved
from perfcore._native.engine cimport CacheEngine
from perfcore._native.errors cimport check
from perfcore._native.explaining cimport explain, policy_state, ranked
from perfcore._native.gc cimport PyTypeObject
from perfcore._native.iteration cimport ITEMS, KEYS, VALUES, iterate
from perfcore._native.tags cimport Label, value_of

from perfcore._native.views import CacheItems, CacheValues
from perfcore.types import CacheStats

__all__ = ["Cache", "CacheStats"]

cdef object MISSING = object()
cdef tuple POLICIES = ("lru", "lfu", "random", "adaptive")  # indexed by pc_mode


cdef pc_mode mode_of(object policy) except *:
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(map(repr, POLICIES))}, got {policy!r}")
    return <pc_mode><int>POLICIES.index(policy)


cdef object pairs_of(object items):
    if hasattr(items, "items"):
        return items.items()
    if hasattr(items, "keys"):
        return [(key, items[key]) for key in items.keys()]
    return items


@cython.binding(False)  # a cyfunction is about twice as slow to call as a method descriptor
cdef class Cache(CacheEngine):
    """Cache(maxsize=None, *, policy="adaptive", maxweight=None, weigher=None, maxbytes=None, ttl=None, tti=None,
    jitter=0, timer=None, on_remove=None)

    A bounded mapping that keeps what will be asked for again.

    One of three bounds: ``maxsize`` entries (None: no bound, 0: nothing is stored), ``maxweight`` as the sum of
    ``weigher(key, value)`` (a non-negative int; 0 pins an entry), or ``maxbytes``, bytes or a string such as
    ``"256MB"``, as estimated by :func:`perfcore.sizing.weigh`. ``policy`` is ``"lru"``, ``"lfu"``, ``"random"`` or
    ``"adaptive"``, and can be changed later. ``ttl`` and ``tti`` are seconds, or timedeltas, after which an entry
    ends, counted from its last write and from its last use; ``jitter`` shortens each ttl by a random share of up
    to that much, from 0 to 1, so that what was stored together does not end together. ``timer`` returns seconds and
    replaces the monotonic clock. ``on_remove(key, value, cause)`` is called after an entry left, with the cause
    ``"size"``, ``"expired"``, ``"explicit"`` or ``"replaced"``; an exception in it goes to ``sys.unraisablehook``.

    Raises TypeError or ValueError, naming the argument, when one of them makes no sense.

    >>> cache = Cache(2, policy="lru")
    >>> cache["a"] = 1; cache["b"] = 2
    >>> cache["a"]
    1
    >>> cache["c"] = 3
    >>> sorted(cache)
    ['a', 'c']
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, maxsize=None, *, policy="adaptive", maxweight=None, weigher=None, maxbytes=None, ttl=None,
                 tti=None, jitter=0, timer=None, on_remove=None, _seed=None):
        if (maxsize is not None) + (maxweight is not None) + (maxbytes is not None) > 1:
            raise ValueError("maxsize, maxweight and maxbytes exclude each other")
        if (weigher is None) != (maxweight is None):
            raise ValueError("maxweight and weigher go together")
        cdef bint weighted = maxweight is not None or maxbytes is not None
        cdef pc_mode mode = mode_of(policy)
        cdef uint64_t capacity
        if maxbytes is not None:
            from perfcore.sizing import weigh as weigher
            capacity = bytes_of("maxbytes", maxbytes)
        else:
            name, value = ("maxweight", maxweight) if weighted else ("maxsize", maxsize)
            capacity = bound(name, value, PC_UNBOUNDED)
        optional_callable("weigher", weigher)
        optional_callable("timer", timer)
        optional_callable("on_remove", on_remove)
        cdef uint64_t ttl_ns = 0 if ttl is None else duration_ns("ttl", ttl)
        cdef uint64_t tti_ns = 0 if tti is None else duration_ns("tti", tti)
        cdef double share = share_of("jitter", jitter)
        cdef pc_slots gone
        self.lock()
        try:
            pc_cache_detach(&self.core, &gone)  # nothing, unless this is a second __init__
            pc_cache_destroy(&self.core)
            self.configure(mode, capacity, weighted, _seed)
        finally:
            self.unlock()
        self.release(&gone)
        self.weigher, self.timer, self.on_remove = weigher, timer, on_remove
        self.ttl_ns, self.tti_ns, self.jitter = ttl_ns, tti_ns, share
        self.plain = weigher is None and ttl is None and tti is None and on_remove is None

    # --- reading ---------------------------------------------------------------------------------------------

    def expires_in(self, key, /):
        """Return the seconds until a key ends, or None when it never does; KeyError when it is absent."""
        cdef uint64_t now = self.now(), deadline = PC_NEVER
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if slot != PC_NIL and pc_cache_timed(&self.core, slot):
                deadline = pc_slots_life(&self.core.slots, slot).deadline
        finally:
            self.unlock()
        self.settle()
        if slot == PC_NIL:
            raise KeyError(key)
        return None if deadline == PC_NEVER else (deadline - now) / <double>PC_SECOND

    def get_many(self, keys, default=None, /):
        """Return the values of many keys, in order, with ``default`` where there is none; each counts as a use.

        Cheaper per key than ``get``: the memory that up to 64 lookups need is asked for at once.

        >>> cache = Cache()
        >>> cache.update(a=1, b=2)
        >>> cache.get_many(["b", "x", "a"], 0)
        [2, 0, 1]
        """
        return get_many(self, list(keys), default)

    # --- writing ---------------------------------------------------------------------------------------------

    def set(self, key, value, *, ttl=None, tti=None, tags=None, weight=None):
        """Store a value; ``ttl`` and ``tti``, in seconds, replace the cache's own for this entry, ``weight`` what the
        weigher would say. ``tags`` are hashable names by which ``invalidate_tags`` reaches it.

        >>> cache = Cache()
        >>> cache.set("session", 7, ttl=60)
        >>> 59 < cache.expires_in("session") <= 60
        True
        """
        if ttl is None and tti is None and tags is None and weight is None:
            self.put(key, value)
        else:
            self.store(key, value, ttl, tti, self.label_of(tags), True, weight)

    def set_many(self, items, *, ttl=None, tti=None, tags=None, weight=None):
        """Store all items of a mapping or of an iterable of pairs, each with these times, tags and weight.

        Cheaper per key than ``set``, as ``get_many`` is. Nothing is stored when the iterable raises or has anything but
        pairs; what is wrong with one item leaves those before it stored.

        >>> cache = Cache(maxweight=10, weigher=lambda key, value: 1)
        >>> cache.set_many({"a": 1, "b": 2}, weight=3)
        >>> cache.weight
        6
        """
        set_many(self, pairs_of(items), ttl, tti, tags, weight)

    def add(self, key, value, *, ttl=None, tti=None, tags=None, weight=None):
        """Store a value only if the key is absent; say whether it was stored."""
        return bool(self.store(key, value, ttl, tti, self.label_of(tags), False, weight))

    def setdefault(self, key, default=None, /):
        """Return the value of a key, after storing ``default`` if it is absent."""
        value = self.lookup(key, MISSING)
        if value is not MISSING:
            return value
        self.store(key, default, None, None, None, False)
        return self.look(key, default)

    def get_or_set(self, key, factory, *, ttl=None, tti=None, tags=None):
        """Return the value of a key, or store and return what ``factory()`` gives; what it raises is not stored.

        What invalidates one of ``tags`` while the factory runs makes its value invalid, too.
        """
        value = self.lookup(key, MISSING)
        if value is MISSING:
            label = self.label_of(tags)
            value = factory()
            self.store(key, value, ttl, tti, label, True)
        return value

    async def aget_or_set(self, key, factory, *, ttl=None, tti=None, tags=None):
        """``get_or_set`` for a factory that returns an awaitable."""
        cdef Label label
        value = self.lookup(key, MISSING)
        if value is MISSING:
            label = self.label_of(tags)
            value = await factory()
            self.store(key, value, ttl, tti, label, True)
        return value

    def touch(self, key, *, ttl=None, tti=None):
        """Count a key as used and let its time start anew; say whether it is there."""
        cdef uint64_t ttl_ns = self.ttl_of(ttl), tti_ns = self.tti_of(tti), now = self.now()
        cdef uint32_t hash = self.hash_of(key)
        cdef uint32_t slot
        cdef pc_status status = PC_OK
        self.lock()
        try:
            slot = self.find_live(key, hash, now)
            if slot != PC_NIL:
                status = pc_cache_reserve(&self.core, now, ttl_ns != 0, tti_ns != 0)
                if status == PC_OK:
                    self.set_life(slot, now, ttl_ns, tti_ns)
                    pc_cache_hit(&self.core, slot)
        finally:
            self.unlock()
        self.settle()
        check(status)
        return slot != PC_NIL

    def update(self, other=(), /, **kwargs):
        """Store all items of a mapping or of an iterable of pairs."""
        for key, value in pairs_of(other):
            self.put(key, value)
        for key, value in kwargs.items():
            self.put(key, value)

    # --- leaving ---------------------------------------------------------------------------------------------

    def pop(self, key, default=MISSING, /):
        """Remove a key and return its value, or ``default``; without one raise KeyError."""
        value = self.take(key, default)
        if value is MISSING:
            raise KeyError(key)
        return value

    def popitem(self):
        """Remove the entry that would be evicted next and return ``(key, value)``; KeyError when empty."""
        cdef object key = None, value = None
        cdef pc_policy_walk walk
        cdef uint32_t slot
        self.expire()
        self.lock()
        walk = pc_policy_walk_from(&self.core.policy, False)
        slot = pc_policy_walk_next(&self.core.policy, &walk)
        if slot != PC_NIL:
            key, value = <object>self.at(slot).key, <object>value_of(self.at(slot).value)
            pc_cache_remove(&self.core, slot, PC_CAUSE_EXPLICIT)
        self.unlock()
        self.settle()
        if slot == PC_NIL:
            raise KeyError("the cache is empty")
        return key, value

    def delete_many(self, keys, /):
        """Remove many keys; return how many of them were there."""
        cdef Py_ssize_t removed = 0
        for key in keys:
            removed += self.take(key, MISSING) is not MISSING
        return removed

    def expire(self):
        """Remove what has ended or was invalidated, and return how many entries that were."""
        cdef uint64_t now = self.now_if_timed(), before = self.expirations + self.invalidations
        cdef uint32_t slot
        if not now and self.tags is None:
            return 0
        self.lock()
        for slot in range(self.core.slots.used):
            if pc_cache_holds(&self.core, slot):
                self.live(slot, now)
        self.unlock()
        self.settle()
        return self.expirations + self.invalidations - before

    def invalidate_tags(self, *tags):
        """Make all entries invalid that bear one of these tags: they are absent from now on.

        It costs the same for one entry and for a million: what became invalid leaves when it is next looked at, at
        the latest when its turn comes to be evicted.

        >>> cache = Cache()
        >>> cache.set("ada", 1, tags=["users"])
        >>> cache.invalidate_tags("users")
        >>> "ada" in cache, cache.explain("ada").state
        (False, 'invalidated')
        """
        cdef list known
        if self.tags is not None:
            known = self.tags.named(tags)
            self.lock()
            self.tags.invalidate(known)
            self.unlock()

    def resize(self, capacity):
        """Change the bound (entries, weight or bytes, whichever the cache has), evicting at once what is too much."""
        cdef uint64_t limit = (bytes_of("maxbytes", capacity) if isinstance(capacity, str) and self.weigher is not None
                               else bound("maxsize" if self.weigher is None else "maxweight", capacity, PC_UNBOUNDED))
        self.lock()
        status = pc_cache_resize(&self.core, limit)
        self.unlock()
        self.settle()
        check(status)

    # --- looking around --------------------------------------------------------------------------------------

    def __iter__(self):
        return iterate(self, KEYS)

    def _values(self):
        return iterate(self, VALUES)

    def _items(self):
        return iterate(self, ITEMS)

    def keys(self):
        """Return a view of the keys."""
        return KeysView(self)

    def values(self):
        """Return a view of the values; looking at them is no use."""
        return CacheValues(self)

    def items(self):
        """Return a view of the ``(key, value)`` pairs; looking at them is no use."""
        return CacheItems(self)

    def __eq__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.items()) == dict(other.items())

    __hash__ = None

    def __repr__(self):
        return f"<{type(self).__name__}: {len(self)} entries, weight {self.weight} of {self.capacity}>"

    def __sizeof__(self):
        """Return the bytes of the cache itself, without its keys and values."""
        return object.__sizeof__(self) + pc_cache_bytes(&self.core) - sizeof(pc_cache)

    @property
    def capacity(self):
        """The bound: entries, or weight where there is a weigher; None for no bound."""
        return None if self.core.capacity == PC_UNBOUNDED else self.core.capacity

    @property
    def maxsize(self):
        """The bound on the number of entries, or None."""
        return self.capacity if self.weigher is None else None

    @property
    def maxweight(self):
        """The bound on the sum of the weights, or None."""
        return None if self.weigher is None else self.capacity

    @property
    def weight(self):
        """The sum of the weights; the number of entries where there is no weigher."""
        self.lock()
        cdef uint64_t weight = pc_cache_weight(&self.core)
        self.unlock()
        return weight

    @property
    def currsize(self):
        """The number of entries, under functools' name."""
        return self.count()

    def stats(self):
        """Return the counts since the beginning or the last ``reset_stats`` as a ``CacheStats``."""
        return CacheStats(
            hits=self.hits, misses=self.misses, evictions=self.evictions, expirations=self.expirations,
            rejections=self.rejections, entries=self.count(), weight=self.weight,
        )

    def reset_stats(self):
        """Set the counts to zero."""
        self.hits = self.misses = self.evictions = self.expirations = self.rejections = self.invalidations = 0

    # --- the policy ------------------------------------------------------------------------------------------

    @property
    def policy(self):
        """The eviction policy, ``"lru"``, ``"lfu"``, ``"random"`` or ``"adaptive"``; assign to switch, losing nothing."""
        return POLICIES[<int>self.core.policy.mode]

    @policy.setter
    def policy(self, name):
        cdef pc_mode mode = mode_of(name)
        self.lock()
        status = pc_cache_set_mode(&self.core, mode)
        self.unlock()
        check(status)

    def policy_state(self):
        """Return why the policy does what it does, as a ``PolicyState``."""
        return policy_state(self)

    def hottest(self, n):
        """Return the up to ``n`` keys that would be evicted last, hottest first."""
        return ranked(self, n, True)

    def coldest(self, n):
        """Return the up to ``n`` keys that would be evicted first, coldest first."""
        return ranked(self, n, False)

    def explain(self, key, /):
        """Return what became of a key, as an ``Explanation``, as far as the cache remembers.

        >>> cache = Cache(1, policy="lru")
        >>> cache["a"] = 1; cache["b"] = 2
        >>> cache.explain("a").state, cache.explain("b").state, cache.explain("c").state
        ('evicted', 'present', 'unknown')
        """
        return explain(self, key)

    # --- copying ---------------------------------------------------------------------------------------------

    def copy(self):
        """Return a copy with the same entries, order and remaining times; keys and values are shared."""
        return copy.copy(self)

    def __reduce_ex__(self, protocol):
        return copyreg.__newobj__, (type(self),), self.__getstate__()

    def __getstate__(self):
        """The arguments, and the entries with the policy's knowledge of them, coldest first; times are remainders."""
        # asked of the core, not of the properties: a subclass may mean something else by those
        cdef bint by_bytes = self.weigher is not None and getattr(self.weigher, "__module__", "") == "perfcore.sizing"
        bound_by = "maxsize" if self.weigher is None else "maxbytes" if by_bytes else "maxweight"
        arguments = {
            bound_by: None if self.core.capacity == PC_UNBOUNDED else self.core.capacity,
            "policy": POLICIES[<int>self.core.policy.mode], "weigher": None if by_bytes else self.weigher,
            "ttl": self.ttl_ns / 1e9 or None, "tti": self.tti_ns / 1e9 or None, "jitter": self.jitter,
            "timer": self.timer, "on_remove": self.on_remove,
        }
        return arguments, saved(self), getattr(self, "__dict__", None)

    def __setstate__(self, state):
        arguments, entries, attributes = state
        Cache.__init__(self, **arguments)
        cdef uint64_t now = self.now()
        for entry in entries:
            restore(self, entry, now)
        if attributes:
            self.__dict__.update(attributes)

    def _check(self):
        """Verify every invariant of the structure, O(n); AssertionError when one does not hold."""
        cdef uint32_t slot
        self.lock()
        try:
            assert pc_cache_valid(&self.core), "index, policy, wheel, limbo and weights disagree"
            assert pc_cache_weight(&self.core) <= self.core.capacity, "over the bound"
            for slot in range(self.core.slots.used):
                assert (self.at(slot).key != NULL) == pc_slots_in_use(&self.core.slots, slot), "a slot without references"
        finally:
            self.unlock()


MutableMapping.register(Cache)

# Cache adds no references to those of the engine. What Cython generates for it would call the engine's functions,
# but its destructor without the trashcan: that has to be the outermost one.
cdef PyTypeObject *cache_type = <PyTypeObject *>Cache
cdef PyTypeObject *engine_type = <PyTypeObject *>CacheEngine
cache_type.tp_dealloc = engine_type.tp_dealloc
cache_type.tp_traverse = engine_type.tp_traverse
cache_type.tp_clear = engine_type.tp_clear
