"""Counters and gauges over the cells of ``src_c/cells.h``, and what all instruments share.

An instrument is a handle on atomic words: those of this process, or those of a file that several processes map. Names,
labels and registries are the business of :mod:`perfcore.metrics`, which installs itself here (:func:`install`): the
native floor knows nobody above it. Recording takes no lock, allocates nothing and runs no Python code, so that it may
happen in a signal handler or in a callback of the garbage collector at any moment.
"""

import os

cimport cython
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_Check
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.errno cimport errno
from libc.math cimport isfinite
from libc.stdint cimport uintptr_t

from perfcore._native.c.cells cimport *
from perfcore._native.c.clock cimport pc_clock_ns
from perfcore._native.lock cimport pc_lock_enrol, pc_lock_retire, survive_forks
from perfcore._native.shard cimport PC_SHARDS_AT_MOST, pc_shard

__all__ = ["Counter", "Gauge", "Instrument", "Words", "bind", "install", "replace_mapping", "shards_here", "wrap"]

cdef extern from "sys/mman.h":
    void *mmap(void *at, size_t length, int protection, int flags, int fd, long offset)
    void *MAP_FAILED
    int MAP_FIXED, MAP_SHARED, PROT_READ, PROT_WRITE

cdef object hooks = None
cdef object ONE = 1

cdef enum:
    LINE = 128  # two cache lines, which x86 fetches in pairs


def install(installed, /):
    """Give constructors and decorators their meaning: an object with ``bind`` and ``wrap``."""
    global hooks
    hooks = installed


def bind(Instrument instrument, *arguments):
    """Find or create what an instrument that is being constructed stands for."""
    if hooks is None:
        raise RuntimeError(f"import {type(instrument).__name__} from perfcore.metrics")
    hooks.bind(instrument, *arguments)


def wrap(timer, function):
    """Return ``function`` timed by ``timer``."""
    return hooks.wrap(timer, function)


cpdef unsigned shards_here():
    """Return how many shards an instrument has in this process: 1 with the GIL."""
    cdef unsigned wanted = 1, processors = os.cpu_count() or 1
    while wanted < processors and wanted < PC_SHARDS_AT_MOST:
        wanted *= 2
    return wanted


@cython.final
cdef class Words:
    """Words(count, home=None, offset=0)

    ``count`` 64-bit words, zeroed, or those at ``offset`` of the writable buffer ``home`` as they are.

    >>> Words(16).count
    16
    """

    def __cinit__(self, Py_ssize_t count, home=None, Py_ssize_t offset=0):
        cdef uintptr_t start
        cdef unsigned char[::1] writable
        pc_lock_enrol(&self.mutex)
        if count < 1:
            raise ValueError(f"count must be positive, got {count}")
        self.count = count
        if home is not None:
            writable = home
            if offset < 0 or offset % 8 or offset + count * 8 > writable.shape[0]:
                raise ValueError(f"{count} words at {offset} do not fit in {writable.shape[0]} bytes")
            self.home = writable  # keeps the buffer where it is
            self.at = <pc_atomic_u64 *>&writable[offset]
            return
        self.block = PyMem_RawCalloc(1, count * 8 + LINE)
        if self.block == NULL:
            raise MemoryError
        start = (<uintptr_t>self.block + LINE - 1) // LINE * LINE
        self.at = <pc_atomic_u64 *>start

    def __dealloc__(self):
        pc_lock_retire(&self.mutex)
        PyMem_RawFree(self.block)
        PyMem_RawFree(self.merged)


def replace_mapping(unsigned char[::1] buffer not None, int fd, /):
    """Map the file ``fd`` over the pages of ``buffer``, itself a shared mapping: every pointer into it stays good."""
    cdef void *at = mmap(&buffer[0], buffer.shape[0], PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0)
    if at == MAP_FAILED:
        raise OSError(errno, os.strerror(errno))


cdef class Instrument:
    """What counters, gauges, histograms and timers share: a family of one name, and the values of its labels."""

    @property
    def name(self):
        """The name of the family."""
        return self.family.name

    def labels(self, *values, **named):
        """Return the instrument for these values of the labels: keep it, and record without any look-up.

        Values are turned into ``str``. Raises ValueError, naming the labels, when one is missing or not known, or when
        the instrument has none. Beyond the registry's ``max_series`` different sets, all others share one instrument,
        exported with the label ``otel.metric.overflow="true"``, and the family counts these look-ups in ``overflowed``.
        """
        return self.family.child(self, values, named)

    def _attach(self, Words words, family, tuple label_values, unsigned shards):
        """Become a handle on ``words`` (None: only a parent of labelled instruments)."""
        self.words, self.family, self.label_values = words, family, label_values
        self.shards = shards
        self.at = words.at if words is not None else NULL

    def _attach_to(self, Instrument other):
        """Become another handle on what ``other`` is one of."""
        self._attach(other.words, other.family, other.label_values, other.shards)

    cdef int refuse(self) except -1:
        if self.family is None:
            raise RuntimeError("this instrument was never initialised")
        raise ValueError(f"{self.family.name} has the labels {self.family.labels}: call labels(...) first")

    def __repr__(self):
        if self.family is None:
            return f"<{type(self).__name__}, not initialised>"
        labels = dict(zip(self.family.labels, self.label_values)) if self.label_values else {}
        return f"<{type(self).__name__} {self.family.name}{labels or ''}>"

    def __reduce__(self):
        raise TypeError(f"a {type(self).__name__} belongs to its process; pickle a snapshot of its registry instead")


@cython.final
@cython.binding(False)  # a cyfunction is about twice as slow to call as a method descriptor
cdef class Counter(Instrument):
    """Counter(name, description="", *, unit="", labels=(), registry=None)

    A sum that only grows, from any thread, without a lock.

    The same name in the same registry (None: the process-wide one) is the same counter; another kind, unit or set of
    labels under that name is a ValueError. Integers below 2**32 are summed exactly (up to 2**64), everything else as a
    float. Amounts that are negative, NaN or infinite are a ValueError, and change nothing.

    >>> from perfcore.metrics import Counter, Registry
    >>> served = Counter("served", registry=Registry())
    >>> served.inc(); served.inc(2)
    >>> served.value
    3
    """

    def __init__(self, name, description="", *, unit="", labels=(), registry=None):
        bind(self, "counter", name, description, unit, labels, registry, {})

    def inc(self, amount=1, /):
        """Add ``amount``, an int or a float that is finite and not negative."""
        cdef int overflow = 0
        cdef long long n = -1
        if self.at == NULL:
            self.refuse()
        if amount is ONE:  # small integers are one object each: no conversion for what is nearly always added
            n = 1
        elif PyLong_Check(amount):
            n = PyLong_AsLongLongAndOverflow(amount, &overflow)
        if 0 <= n < 1 << 32 and not overflow:
            pc_cell_count(&self.at[pc_shard(self.shards) * PC_CELL_STRIDE], n)
        else:
            self.add(amount)

    cdef int add(self, object amount) except -1:
        cdef double value = amount
        if not isfinite(value) or value < 0:
            raise ValueError(f"{self.family.name}: a counter grows by finite amounts, got {amount!r}")
        pc_cell_add(&self.at[pc_shard(self.shards) * PC_CELL_STRIDE + 1], value)
        return 0

    @property
    def value(self):
        """The sum: an int while only integers below 2**32 were added, else a float."""
        if self.at == NULL:
            self.refuse()
        cdef double rest = pc_cell_sum(&self.at[1], self.shards, PC_CELL_STRIDE)
        whole = pc_cell_total(self.at, self.shards, PC_CELL_STRIDE)
        return whole + rest if rest else whole


@cython.final
@cython.binding(False)
cdef class Gauge(Instrument):
    """Gauge(name, description="", *, unit="", labels=(), registry=None, merge="sum")

    A value that goes up and down; what was set last, by whichever thread.

    Takes every float, also NaN and the infinities: a gauge says what was measured. An int that no float holds is an
    OverflowError. ``merge`` says how the values of several processes become one (``"sum"``, ``"max"``, ``"min"``,
    ``"latest"``); see :mod:`perfcore.metrics.multiprocess`.

    >>> from perfcore.metrics import Gauge, Registry
    >>> queued = Gauge("queued", registry=Registry())
    >>> queued.set(7); queued.dec(); queued.inc(2.5)
    >>> queued.value
    8.5
    """

    def __init__(self, name, description="", *, unit="", labels=(), registry=None, merge="sum"):
        if merge not in ("sum", "max", "min", "latest"):
            raise ValueError(f'merge must be "sum", "max", "min" or "latest", got {merge!r}')
        bind(self, "gauge", name, description, unit, labels, registry, {"merge": merge})

    cdef int note(self) noexcept:
        """Remember when the value changed; the monotonic clock is one for all processes of a machine."""
        pc_cell_set(&self.at[1], <double>pc_clock_ns())
        return 0

    def set(self, double value, /):
        """Replace the value."""
        if self.at == NULL:
            self.refuse()
        pc_cell_set(self.at, value)
        self.note()

    def inc(self, double amount=1, /):
        """Add ``amount``, which may be negative."""
        if self.at == NULL:
            self.refuse()
        pc_cell_add(self.at, amount)
        self.note()

    def dec(self, double amount=1, /):
        """Subtract ``amount``."""
        if self.at == NULL:
            self.refuse()
        pc_cell_add(self.at, -amount)
        self.note()

    @property
    def value(self):
        """The value; 0.0 until something was recorded."""
        if self.at == NULL:
            self.refuse()
        return pc_cell_sum(self.at, 1, PC_CELL_STRIDE)


survive_forks()
