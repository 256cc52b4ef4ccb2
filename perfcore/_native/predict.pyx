"""Which keys will be asked for soon, over ``src_c/predict.h``.

The core knows hashes and numbers of rows; the keys of the rows are in a list beside it, which the garbage collector
sees. A key is hashed first of all, and never compared: keys of one hash share a row. References are released
after the lock.
"""

from os import urandom

cimport cython
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_SET_ITEM
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from perfcore._native.alloc cimport raw_alloc
from perfcore._native.arguments cimport bound
from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.predict cimport *
from perfcore._native.compare cimport pc_key_hash
from perfcore._native.errors cimport check
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_enrol, pc_lock_release, pc_lock_retire, survive_forks

__all__ = ["Foreseen", "Predictor"]

cdef enum:
    LARGEST = 1 << 20  # rows, unless asked for otherwise
    MOST = 1 << 30  # of anything


@cython.final
cdef class Foreseen:
    """A key that will be asked for soon, as far as is known, and the share of such guesses that came true."""

    @property
    def confidence(self):
        """The share of guesses like this one that came true lately, from 0 to 1."""
        return self.core.confidence

    def __repr__(self):
        return f"<Foreseen {self.key!r} {self.core.confidence:.2f}>"

    def __reduce__(self):
        raise TypeError("a Foreseen belongs to its Predictor")


cdef Foreseen foreseen(PyObject *key, const pc_foreseen *core):
    """A prediction with the key's reference, which was the caller's."""
    cdef Foreseen one = Foreseen.__new__(Foreseen)
    one.key, one.core = <object>key, core[0]
    Py_DECREF(one.key)
    return one


@cython.binding(False)
cdef class Predictor:
    """Predictor(size, *, cache=None, remember=None, contexts=16, threshold=0.7)

    Learns from the order in which keys are asked for which of them come next, for a cache of ``size`` entries.

    ``remember`` keys (None: 16 for each entry, from 4096 to 2**20) and four times as many visits are remembered, in about
    100 bytes a key that are taken at once. ``cache`` is asked whether it holds a key when the caller does not say. A
    prediction's confidence is above ``threshold``.

    >>> predictor = Predictor(100)
    >>> for i in range(40_000): predictor.record(i % 1000, None, False)
    >>> best = predictor.predictions(1)[0]
    >>> 0 < (best.key - i) % 1000 < 100, best.confidence > 0.9
    (True, True)
    """

    def __cinit__(self, size, *, cache=None, remember=None, contexts=16, threshold=0.7, _seed=None):
        cdef pc_alloc alloc = raw_alloc()
        cdef uint64_t entries = min(bound("size", size, MOST), <uint64_t>MOST)
        cdef uint64_t rows = min(max(entries * 16, <uint64_t>4096), <uint64_t>LARGEST)
        cdef uint64_t streams = min(bound("contexts", contexts, 0), <uint64_t>(1 << 20))
        cdef bytes chance = urandom(16) if _seed is None else <bytes>_seed
        cdef uint64_t[2] secret
        pc_lock_enrol(&self.mutex)
        if remember is not None:
            rows = min(bound("remember", remember, 0), <uint64_t>MOST)
        if not 64 <= rows <= 1 << 28 or not 1 <= streams <= 65536:
            raise ValueError("remember must be from 64 to 2**28, contexts from 1 to 65536")
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must be between 0 and 1, got {threshold!r}")
        memcpy(secret, <const char *>chance, 16)
        secret[1] |= 1
        check(pc_predict_init(&self.core, &alloc, entries, rows, rows * 4, streams, threshold, secret))
        self.keys = [None] * <Py_ssize_t>(rows + 1)
        self.cache = cache

    def __dealloc__(self):
        pc_lock_retire(&self.mutex)
        pc_predict_destroy(&self.core)

    # --- learning --------------------------------------------------------------------------------------------

    cdef int visit(self, object key, object context, int hit) except -1:
        cdef uint64_t hash = <uint64_t>pc_key_hash(key), stream = 0
        cdef pc_visited visited
        cdef PyObject *old = NULL
        if context is not None:
            stream = <uint64_t>pc_key_hash(context)
        cdef list keys = self.keys
        if keys is None:  # the collector has been here
            return 0
        pc_lock_acquire(&self.mutex)
        visited = pc_predict_visit(&self.core, hash, stream, hit)
        if visited.fresh and <Py_ssize_t>visited.row < PyList_GET_SIZE(keys):
            old = PyList_GET_ITEM(keys, visited.row)
            Py_INCREF(key)
            PyList_SET_ITEM(keys, visited.row, key)
        pc_lock_release(&self.mutex)
        if old != NULL:
            Py_DECREF(<object>old)
        return 0

    def record(self, key, context=None, hit=None, /):
        """Note that a key is asked for; call it before the lookup, or say as ``hit`` whether that found it.

        ``context`` is any hashable thing that tells clients apart, whose requests interleave: a user, a session, a
        connection. Raises TypeError for what cannot be hashed.
        """
        cdef int known = -1
        if hit is not None:
            known = bool(hit)
        elif self.cache is not None:
            known = key in self.cache
        self.visit(key, context, known)

    # --- predictions -----------------------------------------------------------------------------------------

    def predictions(self, count=10, /):
        """Return at most ``count`` (up to 64) keys with a confidence above the threshold, the best first."""
        cdef pc_foreseen found[64]
        cdef PyObject *held[64]
        cdef unsigned room = min(max(count, 0), 64), n, i
        cdef list keys = self.keys
        if keys is None:
            return []
        pc_lock_acquire(&self.mutex)
        n = pc_predict_list(&self.core, found, room) if pc_predict_open(&self.core) else 0
        for i in range(n):
            held[i] = NULL
            if <Py_ssize_t>found[i].row < PyList_GET_SIZE(keys):
                held[i] = PyList_GET_ITEM(keys, found[i].row)
                Py_INCREF(<object>held[i])
        pc_lock_release(&self.mutex)
        return [foreseen(held[i], &found[i]) for i in range(n) if held[i] != NULL]

    def begin(self, Foreseen guess not None, /):
        """Say that the key is being loaded; False when it need not be, because it was asked for or has been begun."""
        pc_lock_acquire(&self.mutex)
        cdef bint begun = pc_predict_begin(&self.core, &guess.core)
        pc_lock_release(&self.mutex)
        return begun

    def fail(self, Foreseen guess not None, /):
        """Say that a key which was begun could not be loaded."""
        pc_lock_acquire(&self.mutex)
        pc_predict_fail(&self.core, &guess.core)
        pc_lock_release(&self.mutex)

    def arrive(self, Foreseen guess not None, /):
        """Say that a key which was begun is in the cache now; return the key that must leave for it, as a 1-tuple, or ().

        At most a quarter of the cache is for what nobody has asked for yet.
        """
        cdef object leaves = ()
        cdef list keys = self.keys
        pc_lock_acquire(&self.mutex)
        cdef uint32_t row = pc_predict_arrive(&self.core, &guess.core)
        cdef PyObject *key = NULL
        if row and keys is not None and <Py_ssize_t>row < PyList_GET_SIZE(keys):
            key = PyList_GET_ITEM(keys, row)
            Py_INCREF(<object>key)
        pc_lock_release(&self.mutex)
        if key != NULL:
            leaves = (<object>key,)
            Py_DECREF(<object>key)
        return leaves

    def present(self, Foreseen guess not None, /):
        """Say that the key is in the cache, and need not be predicted for now."""
        pc_lock_acquire(&self.mutex)
        pc_predict_present(&self.core, &guess.core)
        pc_lock_release(&self.mutex)

    # --- keeping ---------------------------------------------------------------------------------------------

    def recent(self, count=65_536, /):
        """Return the keys of about the last ``count`` visits, oldest first, as far as they are remembered."""
        cdef uint32_t room = min(max(count, 0), 1 << 24), n, i
        cdef unsigned char[::1] memory = bytearray(room * 4 + 4)
        cdef uint32_t *rows = <uint32_t *>&memory[0]
        cdef list keys = self.keys, result = []
        if keys is None:
            return result
        pc_lock_acquire(&self.mutex)
        n = pc_predict_recent(&self.core, rows, room)
        pc_lock_release(&self.mutex)
        for i in range(n):  # a row may have got another key meanwhile, and is then that one
            pc_lock_acquire(&self.mutex)
            key = <object>PyList_GET_ITEM(keys, rows[i]) if <Py_ssize_t>rows[i] < PyList_GET_SIZE(keys) else None
            pc_lock_release(&self.mutex)
            result.append(key)
        return result

    def learnt(self):
        """Return what was learnt about guesses, without keys, as little-endian floats: for ``relearn``."""
        cdef pc_judge judge
        pc_lock_acquire(&self.mutex)
        judge = self.core.judge
        pc_lock_release(&self.mutex)
        return (<char *>&judge)[:sizeof(judge)]

    def relearn(self, bytes learnt not None, /):
        """Take over what another predictor has learnt; ValueError for what no predictor can have learnt."""
        cdef pc_judge judge
        if len(learnt) != sizeof(judge):
            raise ValueError(f"expected {sizeof(judge)} bytes, got {len(learnt)}")
        memcpy(&judge, <const char *>learnt, sizeof(judge))
        if not pc_judge_valid(&judge):
            raise ValueError("these are no numbers that a predictor can have learnt")
        pc_lock_acquire(&self.mutex)
        self.core.judge = judge
        pc_lock_release(&self.mutex)

    # --- looking around --------------------------------------------------------------------------------------

    def stats(self):
        """Return what was counted: of predictions that were acted upon, and what the predictor goes by."""
        pc_lock_acquire(&self.mutex)
        cdef pc_predict_counts c = self.core.counts
        cdef bint paused = not pc_predict_open(&self.core)
        cdef float precision = pc_predict_precision(&self.core), stay = self.core.stay, lead = self.core.lead
        cdef uint32_t visits = self.core.now, keys = self.core.used, held = self.core.held_count
        pc_lock_release(&self.mutex)
        return {
            "visits": visits, "keys": keys, "issued": c.issued, "arrived": c.arrived, "used": c.used, "late": c.late,
            "wasted": c.wasted, "failed": c.failed, "held": held, "pauses": c.pauses, "paused": paused,
            "precision": precision, "lead": lead, "stay": stay,
        }

    def __sizeof__(self):
        return object.__sizeof__(self) + pc_predict_bytes(&self.core)

    def __repr__(self):
        return f"<Predictor keys={self.core.used} visits={self.core.now}>"

    def __reduce__(self):
        raise TypeError("a Predictor belongs to its process")

    def _check(self):
        """Raise AssertionError unless all is consistent."""
        pc_lock_acquire(&self.mutex)
        cdef bint valid = pc_predict_valid(&self.core)
        pc_lock_release(&self.mutex)
        if not valid:
            raise AssertionError("the predictor is inconsistent")


survive_forks()
