"""The way from a cache manager to its memory tier: what a hit costs when there are other tiers below.

A manager is a ``Front``, so that its ``get`` is a native method. A hit looks at one word that the processes on a
directory share (it moves when any of them changed something), asks the memory tier, and returns what it holds.
Everything else, a miss, a moved word, a value with conditions to look at, is ``_missed``, ``_changed`` and
``_reviewed`` of the subclass, in Python.
"""

cimport cython
from libc.stdint cimport uint64_t

from perfcore._native.cache cimport Cache
from perfcore._native.watching cimport Watchers, pc_watchers, pc_watchers_count

from perfcore._native.watching import WATCHERS

__all__ = ["Front", "Guarded"]

cdef object ABSENT = object()
cdef double FOREVER = float("inf")
cdef pc_watchers *watchers = &(<Watchers>WATCHERS).number


@cython.final
@cython.binding(False)
@cython.auto_pickle(False)
@cython.trashcan(True)
cdef class Guarded:
    """Guarded(value, marks=(), files=(), fresh=inf, source=None)

    A value in the memory tier that is valid under conditions.

    ``marks`` are ``(name, stamp)`` pairs that must be current, ``files`` states of files that must be as they
    were, ``fresh`` the time (``time.monotonic()``) until which it is fresh, ``source`` who put it there.

    >>> Guarded("value", source="prediction").source
    'prediction'
    """

    def __init__(self, value, tuple marks=(), tuple files=(), double fresh=FOREVER, source=None):
        self.value, self.marks, self.files, self.source = value, marks, files, source
        self.fresh = fresh
        self.seen = 0

    def __sizeof__(self):
        from perfcore.sizing import weigh
        return object.__sizeof__(self) + weigh(None, self.value) + 100 * (len(self.marks) + len(self.files))

    def __repr__(self):
        return f"<Guarded: {len(self.marks)} marks, {len(self.files)} files>"


@cython.binding(False)
@cython.auto_pickle(False)
cdef class Front:
    """Front(cache, prefix=None)

    Base of a cache manager over its memory tier ``cache``; ``prefix`` distinguishes its keys from those of others
    who use the same one.
    """

    def __cinit__(self, *args, **kwargs):
        self.cache = Cache(0)  # never None: it is called without a look
        self.word = &self.none
        self.moves = 1

    def __init__(self, Cache cache not None, prefix=None):
        self.cache, self.prefix = cache, prefix

    def _watch(self, words):
        """Look at the third of these words on each hit; None: at nothing."""
        cdef uint64_t[:] view
        if words is None:
            self.word = &self.none
            self.words = None
        else:
            view = words
            if view.shape[0] < 3:
                raise ValueError(f"expected three words, got {view.shape[0]}")
            self.words = view  # the buffer stays exported, and mapped, as long as we point into it
            self.word = &view[2]
        self.seen = self.word[0]

    @property
    def _word(self):
        """The word as it is now."""
        return self.word[0]

    @property
    def _seen(self):
        """The word as it was when all that it stands for had been taken notice of; assign to say so."""
        return self.seen

    @_seen.setter
    def _seen(self, uint64_t word):
        self.seen = word

    def _stir(self):
        """Have each guarded value looked at again before it is served."""
        self.moves += 1

    def _vouch(self, Guarded guarded not None, uint64_t moves):
        """Note that the marks of a value were current at ``moves``."""
        guarded.seen = moves

    @property
    def _moves(self):
        """How often ``_stir`` was called, and one."""
        return self.moves

    def get(self, key, default=None, /):
        """Return the value of ``key`` from the nearest tier that has a valid one, or ``default``.

        A value found below is put into the tiers above, for as long as it has left. Raises :exc:`TypeError` when
        ``key`` cannot be one (str, bytes, int, None or a tuple of them).
        """
        cdef object value, near
        cdef Guarded guarded
        if pc_watchers_count(watchers):
            return self._watched(key, default)
        if self.word[0] != self.seen:
            self._changed()
        near = key if self.prefix is None else (self.prefix, key)
        value = self.cache.lookup(near, ABSENT)
        if type(value) is not Guarded:
            return value if value is not ABSENT else self._missed(key, default)
        guarded = <Guarded>value
        if guarded.seen == self.moves and guarded.fresh == FOREVER and not guarded.files:
            return guarded.value
        return self._reviewed(key, guarded, default)

    def _watched(self, key, default):
        """Called instead of all this while somebody is profiled: says what was found to whom it concerns."""
        raise NotImplementedError

    def _changed(self):
        """Called when the word has moved."""
        raise NotImplementedError

    def _missed(self, key, default):
        """Called when the memory tier has nothing."""
        raise NotImplementedError

    def _reviewed(self, key, guarded, default):
        """Called when the memory tier has a value whose conditions are to be looked at."""
        raise NotImplementedError
