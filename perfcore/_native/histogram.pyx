"""Histograms over ``src_c/hist.h``: OpenTelemetry's scale 5, which is Prometheus' schema 5."""

from math import frexp, inf

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.math cimport isnan
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from perfcore._native.c.cells cimport pc_double_of
from perfcore._native.c.hist cimport *
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_release
from perfcore._native.metrics cimport Instrument, Words
from perfcore._native.shard cimport pc_shard

from perfcore._native.metrics import bind

__all__ = ["DEFAULT_RANGE", "Histogram", "HistogramSnapshot", "octaves", "snapshot_from", "words_of"]

#: exponents of the range that is kept when none is given: 0.93 ns to 18 minutes in ns, or 1.1 TB in bytes
DEFAULT_RANGE = (-30, 40)

cdef enum:
    LONG = 4096  # values in a row that are worth releasing the GIL for


def octaves(low, high, /):
    """Return the whole octaves that cover a range, as two exponents.

    >>> octaves(0.001, 60)
    (-10, 6)
    """
    if not 0 < low < high < inf:
        raise ValueError(f"low and high must be finite and 0 < low < high, got {low!r} and {high!r}")
    _, first = frexp(low)
    half, last = frexp(high)
    if half == 0.5:  # a power of two ends an octave and begins none
        last -= 1
    if first - 1 < PC_HIST_LOWEST or last > PC_HIST_HIGHEST:
        raise ValueError(f"low and high must be between 2**{PC_HIST_LOWEST} and 2**{PC_HIST_HIGHEST}")
    return first - 1, last


cdef pc_hist_shape shape_of(int low, int high) noexcept:
    cdef pc_hist_shape shape
    shape.low, shape.buckets = low, (high - low) * PC_HIST_PER_OCTAVE
    return shape


def words_of(int low, int high, /):
    """Return how many words one shard of a histogram of these exponents takes."""
    return pc_hist_stride(shape_of(low, high))


cdef double share(object q) except? -1:
    cdef double value = q
    if isnan(value) or value < 0 or value > 1:
        raise ValueError(f"q must be from 0 to 1, got {q!r}")
    return value


@cython.final
@cython.binding(False)
cdef class HistogramSnapshot:
    """What a histogram held at one moment: immutable, to be added, subtracted and asked.

    Every observation that happened before the snapshot is in it and none twice; only ``sum`` may lag behind by
    threads that are recording at that moment. ``later - earlier`` is what was observed in between.

    >>> from perfcore.metrics import Histogram, Registry
    >>> latency = Histogram("latency", registry=Registry())
    >>> before = latency.snapshot()
    >>> latency.observe_many([0.1, 0.2, 0.3])
    >>> new = latency.snapshot() - before
    >>> new.count, round(new.quantile(0.5), 2)
    (3, 0.2)
    """

    def __cinit__(self):
        self.own(shape_of(0, 0))  # nothing at all, for whoever makes one without a histogram

    def __init__(self):
        raise TypeError("a snapshot is taken by Histogram.snapshot()")

    def __dealloc__(self):
        PyMem_RawFree(self.words)

    cdef int own(self, pc_hist_shape shape) except -1:
        PyMem_RawFree(self.words)
        self.shape = shape
        self.words = <uint64_t *>PyMem_RawCalloc(pc_hist_words(shape), sizeof(uint64_t))
        if self.words == NULL:
            raise MemoryError
        return 0

    def __bytes__(self):
        return (<unsigned char *>self.words)[:pc_hist_words(self.shape) * sizeof(uint64_t)]

    def __reduce__(self):
        return snapshot_from, (bytes(self), *self.exponents)

    @property
    def exponents(self):
        """The kept range, as powers of two."""
        return self.shape.low, self.shape.low + <int>self.shape.buckets // PC_HIST_PER_OCTAVE

    @property
    def count(self):
        """How many values were observed: all but the negative ones and those that are not a number."""
        return pc_hist_count(self.shape, self.words)

    @property
    def sum(self):
        """The sum of the finite values that are not negative."""
        return pc_double_of(self.words[PC_HIST_SUM])

    @property
    def mean(self):
        """``sum / count``, or NaN when nothing was observed."""
        return self.sum / self.count if self.count else float("nan")

    @property
    def zeros(self):
        """How many values were 0."""
        return self.words[PC_HIST_ZERO]

    @property
    def under(self):
        """How many values were above 0 and not above the kept range."""
        return self.words[PC_HIST_UNDER]

    @property
    def over(self):
        """How many values were above the kept range, infinities among them."""
        return self.words[PC_HIST_OVER]

    @property
    def negative(self):
        """How many values were negative: counted here and nowhere else."""
        return self.words[PC_HIST_NEGATIVE]

    @property
    def nan(self):
        """How many values were not a number: counted here and nowhere else."""
        return self.words[PC_HIST_NAN]

    @property
    def counts(self):
        """The counts of the buckets as a numpy array; bucket ``i`` ends at ``2**(low + (i + 1)/32)``, inclusive."""
        from numpy import frombuffer, uint64
        return frombuffer(bytes(self), uint64)[PC_HIST_BUCKETS:]

    def quantile(self, q, /):
        """Return the ``q``-quantile (0 to 1), within 1.083 % of what ``numpy.quantile`` says of the same values.

        What lies under the kept range counts as 0, what lies over it as infinity; NaN when nothing was observed.
        """
        return pc_hist_quantile(self.shape, self.words, share(q))

    def at_most(self, double bound, /):
        """Return how many values are certainly at most ``bound``: exact where a bucket ends, at powers of two."""
        return pc_hist_at_most(self.shape, self.words, bound)

    def buckets(self):
        """Return ``(upper edge, count)`` of every bucket that is not empty, in order."""
        return [
            (pc_hist_upper(self.shape, i), self.words[PC_HIST_BUCKETS + i])
            for i in range(self.shape.buckets)
            if self.words[PC_HIST_BUCKETS + i]
        ]

    def __add__(self, other):
        if not isinstance(self, HistogramSnapshot) or not isinstance(other, HistogramSnapshot):
            return NotImplemented
        cdef HistogramSnapshot a = self, b = other, both = HistogramSnapshot.__new__(HistogramSnapshot)
        same_range(a.shape, b.shape)
        both.own(a.shape)
        memcpy(both.words, a.words, pc_hist_words(a.shape) * sizeof(uint64_t))
        pc_hist_add(both.shape, both.words, b.words)
        return both

    def __sub__(self, other):
        if not isinstance(self, HistogramSnapshot) or not isinstance(other, HistogramSnapshot):
            return NotImplemented
        cdef HistogramSnapshot a = self, b = other, rest = HistogramSnapshot.__new__(HistogramSnapshot)
        same_range(a.shape, b.shape)
        rest.own(a.shape)
        memcpy(rest.words, a.words, pc_hist_words(a.shape) * sizeof(uint64_t))
        if not pc_hist_subtract(rest.shape, rest.words, b.words):
            raise ValueError("the snapshot that is subtracted is not an earlier one of the same histogram")
        return rest

    def __eq__(self, other):
        if not isinstance(other, HistogramSnapshot):
            return NotImplemented
        cdef HistogramSnapshot a = self, b = other
        return (
            a.shape.low == b.shape.low and a.shape.buckets == b.shape.buckets
            and memcmp(a.words, b.words, pc_hist_words(a.shape) * sizeof(uint64_t)) == 0
        )

    __hash__ = None

    def __repr__(self):
        if not self.count:
            return "<HistogramSnapshot count=0>"
        return f"<HistogramSnapshot count={self.count} p50={self.quantile(0.5):.4g} p99={self.quantile(0.99):.4g}>"


def snapshot_from(const unsigned char[::1] words not None, int low, int high, /):
    """Return the snapshot that ``bytes(snapshot)`` was taken of, with its exponents."""
    cdef HistogramSnapshot snapshot = HistogramSnapshot.__new__(HistogramSnapshot)
    if not PC_HIST_LOWEST <= low < high <= PC_HIST_HIGHEST:
        raise ValueError(f"no range: 2**{low} to 2**{high}")
    snapshot.own(shape_of(low, high))
    if words.shape[0] != <Py_ssize_t>(pc_hist_words(snapshot.shape) * sizeof(uint64_t)):
        raise ValueError(f"{words.shape[0]} bytes are not a snapshot from 2**{low} to 2**{high}")
    memcpy(snapshot.words, &words[0], words.shape[0])
    return snapshot


cdef int same_range(pc_hist_shape a, pc_hist_shape b) except -1:
    if a.low != b.low or a.buckets != b.buckets:
        raise ValueError("the histograms keep different ranges")
    return 0


@cython.binding(False)
cdef class Histogram(Instrument):
    """Histogram(name, description="", *, unit="", labels=(), registry=None, low=2**-30, high=2**40)

    A distribution of values from ``low`` to ``high`` (widened to powers of two) with at most 1.083 % error.

    Never reset: who wants an interval subtracts two snapshots. Takes 256 bytes an octave, 18 KB by default (and as
    much again for each shard on builds without the GIL). Every float is counted somewhere: zeros, values under and over
    the range (1e30 and infinity too), negative ones and NaN have counts of their own in the snapshot; the last two are
    no observations. An int that no float holds is an OverflowError.

    >>> from perfcore.metrics import Histogram, Registry
    >>> latency = Histogram("latency", registry=Registry())
    >>> for ms in range(1, 1001): latency.observe(ms / 1000)
    >>> latency.count, round(latency.quantile(0.95), 2)
    (1000, 0.95)
    """

    def __init__(self, name, description="", *, unit="", labels=(), registry=None, low=2.0**-30, high=2.0**40):
        bind(self, "histogram", name, description, unit, labels, registry, {"range": octaves(low, high)})

    def _shape(self, int low, int high):
        """Say which exponents the words are of; before they are attached."""
        self.shape = shape_of(low, high)

    def observe(self, double value, /):
        """Count a value."""
        if self.at == NULL:
            self.refuse()
        pc_hist_record(&self.at[pc_shard(self.shards) * pc_hist_stride(self.shape)], self.shape, value)

    def observe_many(self, values, /):
        """Count the values of an array or a sequence of numbers; of a long one without the GIL."""
        if self.at == NULL:
            self.refuse()
        from numpy import ascontiguousarray, float64
        cdef const double[::1] array = ascontiguousarray(values, dtype=float64).reshape(-1)
        cdef pc_atomic_u64 *at = &self.at[pc_shard(self.shards) * pc_hist_stride(self.shape)]
        cdef pc_hist_shape shape = self.shape
        cdef Py_ssize_t i, n = array.shape[0]
        if n < LONG:
            for i in range(n):
                pc_hist_record(at, shape, array[i])
            return
        with nogil:
            for i in range(n):
                pc_hist_record(at, shape, array[i])

    def merge(self, other, /):
        """Add what ``other`` holds: a snapshot, or a histogram of the same range. ValueError for another range."""
        cdef HistogramSnapshot taken = None
        cdef Histogram live = None
        if self.at == NULL:
            self.refuse()
        if isinstance(other, Histogram):
            live = other
            if live.at == NULL:
                live.refuse()
        if live is None or live.words.merged != NULL or self.words.block == NULL:
            taken, live = live.read() if live is not None else other, None
        same_range(self.shape, live.shape if live is not None else taken.shape)
        if self.words.block == NULL:
            pc_hist_pour(self.shape, self.at, taken.words)  # other processes look there
        else:
            self.keep(live, taken)

    cdef int keep(self, Histogram live, HistogramSnapshot taken) except -1:
        """Add live words or a snapshot to the plain ones: half the work of as many atomic additions."""
        cdef Words words = self.words
        cdef uint64_t *fresh = NULL
        if words.merged == NULL:
            fresh = <uint64_t *>PyMem_RawCalloc(pc_hist_words(self.shape), sizeof(uint64_t))
            if fresh == NULL:
                raise MemoryError
        pc_lock_acquire(&words.mutex)
        if words.merged == NULL:
            words.merged, fresh = fresh, NULL
        if live is not None:
            pc_hist_read(self.shape, live.at, live.shards, words.merged)
        else:
            pc_hist_add(self.shape, words.merged, taken.words)
        pc_lock_release(&words.mutex)
        PyMem_RawFree(fresh)
        return 0

    def snapshot(self):
        """Return what the histogram holds now."""
        if self.at == NULL:
            self.refuse()
        return self.read()

    cdef HistogramSnapshot read(self):
        cdef HistogramSnapshot snapshot = HistogramSnapshot.__new__(HistogramSnapshot)
        if self.at == NULL:
            self.refuse()
        snapshot.own(self.shape)
        pc_hist_read(self.shape, self.at, self.shards, snapshot.words)
        pc_lock_acquire(&self.words.mutex)
        if self.words.merged != NULL:
            pc_hist_add(self.shape, snapshot.words, self.words.merged)
        pc_lock_release(&self.words.mutex)
        return snapshot

    def quantile(self, q, /):
        """Return the ``q``-quantile of all values so far, as :meth:`HistogramSnapshot.quantile` does."""
        return self.read().quantile(q)

    @property
    def count(self):
        """How many values were observed so far."""
        return self.read().count

    @property
    def sum(self):
        """The sum of the finite values that are not negative."""
        return self.read().sum
