"""Buffer pools: Python handles over the blocks of ``src_c/buffers.h``.

A handle is a fresh small object for each acquisition; the memory behind it is what is pooled. So a handle that was
released stays released, whoever has the memory by then. No object here can refer to a handle (a pool holds numbers and
texts), hence no cycle can run through them, and none takes part in garbage collection.
"""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_SIMPLE, PyBUF_STRIDES
from cpython.long cimport PyLong_CheckExact
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport uint64_t

from perfcore._native.alloc cimport raw_alloc
from perfcore._native.arguments cimport bytes_of, count_of, duration_ns
from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.buffers cimport *
from perfcore._native.depot cimport Depot
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_release
from perfcore._native.sites cimport call_site, count_leak, pc_number_drawn

from perfcore.types import BufferStats

__all__ = ["BufferPool", "PooledBuffer"]

cdef extern from *:
    """
    static char pc_format[] = "B";
    static _Thread_local uint64_t pc_draws; /* of the thread's own: a plain count would beat in time with others */
    """
    char *pc_format
    uint64_t pc_draws

cdef tuple CLEARING = ("on_return", "on_acquire", "never")  # indexed by pc_clearing


cdef size_t size_of(object size, str name="size") except 0:
    """A request in bytes: positive, an integer or a text such as "64KB"."""
    cdef Py_ssize_t n
    if PyLong_CheckExact(size):
        n = size
    else:
        n = bytes_of(name, size)
    if n <= 0:
        raise ValueError(f"{name} must be at least one byte, got {size!r}")
    return n


# --- what users see --------------------------------------------------------------------------------------------

@cython.final
@cython.no_gc
@cython.binding(False)  # a cyfunction is about twice as slow to call as a method descriptor
cdef class BufferPool:
    """BufferPool(*, initial=10, per_class=20, max_bytes="64MB", largest="64MB", alignment=64, clear="on_return",
    trim_after=60, leak_sampling=128)

    Lends buffers, and keeps the memory of those that come back for the next who asks.

    A request gets the smallest size class that fits: 1, 4, 16 or 64 KB, and above that four classes to each power
    of two, so that less than a quarter is wasted. ``initial`` blocks of each of the four small classes are made at
    once; at most ``per_class`` of a class, and ``max_bytes`` in all (bytes, or a text such as ``"64MB"``), are kept
    idle. What is larger than ``largest`` (2 GB at most) is made for its holder and never kept. Memory starts at a
    multiple of ``alignment``, a power of two from 16 to 4096.

    Buffers are zero when they are handed out. ``clear="on_return"`` clears what their holder could have written as
    they come back, ``"on_acquire"`` as they go out again (data then waits in the pool), ``"never"`` not at all: the
    next holder sees what the last one wrote. Blocks that were not needed for ``trim_after`` seconds go back to the
    system while the pool is used (None: never); :meth:`trim` does so at once.

    One acquisition in ``leak_sampling`` notes where it was made (0: none, 1: each); when its buffer dies without
    having been released the place is logged and listed by :meth:`leaks`. The memory comes back all the same.

    May be used by any number of threads, and by a forked child, which has its own copy of everything. Raises
    TypeError or ValueError, naming the argument, when one of them makes no sense.

    >>> pool = BufferPool()
    >>> with pool.acquire(5000) as buffer:
    ...     memoryview(buffer)[:3] = b"abc"
    ...     len(buffer), buffer.capacity
    (5000, 16384)
    >>> pool.stats().in_use
    0
    """

    def __cinit__(self, *, initial=10, per_class=20, max_bytes="64MB", largest="64MB", alignment=64,
                  clear="on_return", trim_after=60, leak_sampling=128, _per_thread=None):
        cdef pc_alloc alloc = raw_alloc()
        cdef Depot depot = Depot.__new__(Depot)
        cdef uint64_t most = size_of(largest, "largest")
        if clear not in CLEARING:
            raise ValueError(f"clear must be one of {', '.join(map(repr, CLEARING))}, got {clear!r}")
        if count_of("alignment", alignment) not in (16, 32, 64, 128, 256, 512, 1024, 2048, 4096):
            raise ValueError(f"alignment must be a power of two from 16 to 4096, got {alignment}")
        if most > PC_LARGEST:
            raise ValueError(f"largest must be at most 2GB, got {largest!r}")
        if count_of("initial", initial) > count_of("per_class", per_class):
            raise ValueError("initial must not be more than per_class")
        self.leak_sampling = count_of("leak_sampling", leak_sampling)
        self.alignment, self.clear, self.sites = alignment, clear, {}
        depot.age_ns = 0 if trim_after is None else duration_ns("trim_after", trim_after)
        if _per_thread is not None:
            depot.per_thread = _per_thread
        pc_depot_init(&depot.core, &alloc, alignment, most, bytes_of("max_bytes", max_bytes), per_class,
                      <pc_clearing><int>CLEARING.index(clear))
        self.depot = depot
        self.stock(initial)

    def stock(self, int count, /):
        """Make ``count`` idle blocks of each of the four small classes, as far as the bounds allow."""
        cdef unsigned int kind
        cdef pc_block *block
        for kind in range(PC_SMALL):
            for _ in range(count):
                block = self.depot.make(kind, pc_class_size(kind))
                if block == NULL:
                    raise MemoryError
                self.depot.put(block)

    def __dealloc__(self):
        if self.depot is not None:
            self.depot.close()
        while self.lost_count:
            self.lost_count -= 1
            Py_XDECREF(self.lost[self.lost_count])

    def acquire(self, size, /):
        """Return a :class:`PooledBuffer` of ``size`` bytes: an integer or a text such as ``"64KB"``.

        Raises ValueError when ``size`` is not positive, TypeError when it is no size, MemoryError when there is none.
        """
        return self.lend(size_of(size))

    def get_optimal_buffer(self, size, /):
        """Return :meth:`acquire` of ``size``: the smallest buffer that fits."""
        return self.lend(size_of(size))

    def return_buffer(self, buffer not None, /):
        """Release a buffer of this pool; raises ValueError for another pool's, and as :meth:`PooledBuffer.release`."""
        if not isinstance(buffer, PooledBuffer):
            raise TypeError(f"return_buffer takes a PooledBuffer, not {type(buffer).__name__}")
        if (<PooledBuffer>buffer).pool is not self:
            raise ValueError("the buffer belongs to another pool")
        (<PooledBuffer>buffer).release()

    cdef PooledBuffer lend(self, size_t size):
        if self.lost_count:
            self.tell_leaks()
        cdef PooledBuffer buffer = PooledBuffer.__new__(PooledBuffer)
        global pc_draws
        pc_draws += 1
        cdef tuple site = call_site() if pc_number_drawn(pc_draws, self.leak_sampling) else None
        cdef pc_magazine *m = self.depot.magazine()  # the last step that may run Python code
        cdef bint fresh
        cdef pc_block *block = self.depot.obtain(m, size, &fresh)
        if block == NULL:
            raise MemoryError(f"no memory for a buffer of {size} bytes")
        self.depot.lend(m, block, size, fresh)
        buffer.pool, buffer.block, buffer.size, buffer.site = self, block, size, site
        buffer.generation = pc_block_generation(block)
        return buffer

    cdef void recover(self, pc_block *block) noexcept:
        self.depot.recover(self.depot.known_magazine(), block)  # makes none: that would run Python code

    def trim(self, target=0, /):
        """Give idle blocks back to the system until ``target`` bytes remain, the largest first; return the bytes freed.

        Magazines of other threads (free-threaded builds) are emptied when their threads next use the pool.
        """
        cdef uint64_t goal = bytes_of("target", target)
        return self.depot.trim(goal)

    # --- telling -----------------------------------------------------------------------------------------------

    def stats(self):
        """Return :class:`perfcore.types.BufferStats`: what was lent, what came back, and what is idle."""
        self.tell_leaks()
        cdef pc_tally sums
        cdef uint64_t idle = self.depot.sum_up(&sums)
        acquired = sums.reused + sums.made + sums.oversize
        lent, asked = sums.lent_bytes - sums.returned_bytes, sums.asked_bytes - sums.unasked_bytes
        return BufferStats(
            acquired=acquired, released=sums.returned, reused=sums.reused, made=sums.made, oversize=sums.oversize,
            discarded=sums.discarded, trimmed=sums.trimmed, leaked=self.leaked, deferred=self.deferred,
            in_use=acquired - sums.returned, in_use_bytes=asked, wasted_bytes=lent - asked, idle_bytes=idle,
            cleared_bytes=sums.cleared_bytes,
        )

    def idle(self):
        """Return ``{size class in bytes: idle blocks}``, without those in magazines of threads."""
        cdef unsigned int kind
        return {pc_class_size(kind): self.depot.core.racks[kind].count
                for kind in range(PC_CLASSES) if self.depot.core.racks[kind].count}

    def leaks(self):
        """Return ``{site: buffers}`` of traced buffers that died unreleased; multiply by ``leak_sampling``."""
        self.tell_leaks()
        return dict(self.sites)

    cdef void note_leak(self, PyObject *site) noexcept:
        """Count a leak; the site, if any, is told later, where Python code may run."""
        pc_lock_acquire(&self.depot.mutex)
        self.leaked += 1
        if site != NULL and self.lost_count < 16:
            Py_INCREF(<object>site)
            self.lost[self.lost_count] = site
            self.lost_count += 1
        pc_lock_release(&self.depot.mutex)

    cdef int tell_leaks(self) except -1:
        cdef PyObject *site = NULL
        cdef tuple noted
        while True:
            pc_lock_acquire(&self.depot.mutex)
            site = NULL
            if self.lost_count:
                self.lost_count -= 1
                site = self.lost[self.lost_count]
            pc_lock_release(&self.depot.mutex)
            if site == NULL:
                return 0
            noted = <tuple>site
            Py_XDECREF(site)
            with cython.critical_section(self):
                count_leak(self.sites, noted, "a buffer")

    def _check(self):
        """Verify every invariant; AssertionError when one is broken."""
        assert self.depot.valid()

    def __repr__(self):
        stats = self.stats()
        return f"<BufferPool {stats.in_use} in use, {stats.idle_bytes} bytes idle>"


@cython.final
@cython.no_gc
@cython.freelist(32)
@cython.binding(False)
cdef class PooledBuffer:
    """A buffer of a :class:`BufferPool`: a writable buffer of bytes, and a context manager that releases it.

    Anything that takes a buffer takes it: ``memoryview(buffer)``, ``file.readinto(buffer)``,
    ``socket.recv_into(buffer)``, ``numpy.frombuffer(buffer)``. Once released it is of no use: views and a second
    release raise BufferError. May be released by another thread than the one that acquired it. One that dies
    unreleased is given back and counted as a leak.

    >>> import io
    >>> buffer = BufferPool().acquire("4KB")
    >>> io.BytesIO(b"some data").readinto(buffer)
    9
    >>> bytes(buffer.view(9))
    b'some data'
    >>> buffer.release()
    >>> memoryview(buffer)
    Traceback (most recent call last):
    BufferError: the buffer was released
    """

    def __init__(self):
        raise TypeError("a PooledBuffer comes from BufferPool.acquire")

    def __dealloc__(self):
        # no view is left: each holds a reference to this object
        if self.block != NULL and pc_block_release(self.block, self.generation, False) == PC_RELEASED:
            self.pool.note_leak(NULL if self.site is None else <PyObject *>self.site)
            self.pool.recover(self.block)

    def release(self, *, bint defer=False):
        """Give the memory back to the pool.

        Raises BufferError when it was released before, and while views of it are in use; with ``defer=True`` the
        memory then goes back with the last of the views, and the buffer counts as released at once.
        """
        cdef pc_verdict verdict = PC_STALE
        if self.block != NULL:
            verdict = pc_block_release(self.block, self.generation, defer)
        if verdict == PC_RELEASED:
            self.pool.recover(self.block)
        elif verdict == PC_DEFERRED:
            pc_lock_acquire(&self.pool.depot.mutex)
            self.pool.deferred += 1
            pc_lock_release(&self.pool.depot.mutex)
        elif verdict == PC_EXPORTED:
            raise BufferError(f"views of the buffer that are in use: {pc_block_views(self.block)}")
        else:
            raise BufferError("the buffer was released")

    def __enter__(self):
        if self.released:
            raise BufferError("the buffer was released")
        return self

    def __exit__(self, *exception):
        # Deferred, not refused: a traceback's frames may hold views, and an error here would hide theirs.
        if not self.released:
            self.release(defer=True)

    @property
    def released(self):
        """Whether the buffer was released, be it that views still keep the memory."""
        return self.block == NULL or not pc_block_held(self.block, self.generation)

    @property
    def capacity(self):
        """The bytes of the size class; those beyond ``len(buffer)`` cannot be reached."""
        if self.released:
            raise BufferError("the buffer was released")
        return self.block.size

    def __len__(self):
        return self.size

    cdef int fill(self, Py_buffer *view, size_t reach, int flags) except -1:
        # who asks for no more than bytes, as bytes.join and socket.send do, gets them read-only: nothing to clear
        cdef bint readonly = flags == PyBUF_SIMPLE
        if self.block == NULL or not pc_block_export(self.block, self.generation, 0 if readonly else reach):
            raise BufferError("the buffer was released")
        view.buf, view.len, view.readonly, view.itemsize, view.ndim = self.block.memory, reach, readonly, 1, 1
        view.format = pc_format if flags & PyBUF_FORMAT else NULL
        view.shape = &view.len if flags & PyBUF_ND else NULL
        view.strides = &view.itemsize if flags & PyBUF_STRIDES == PyBUF_STRIDES else NULL
        view.suboffsets = NULL
        view.internal = NULL
        return 0

    def __getbuffer__(self, Py_buffer *view, int flags):
        self.fill(view, self.size, flags)
        view.obj = self

    def __releasebuffer__(self, Py_buffer *view):
        if pc_block_unexport(self.block):
            self.pool.recover(self.block)

    def view(self, size=None, /):
        """Return a memoryview of the first ``size`` bytes, None for all.

        Only what views can reach is cleared afterwards, so a view of what is needed makes releasing cheaper. Raises
        ValueError when the buffer is smaller.
        """
        if size is None:
            return PyMemoryView_FromObject(self)
        cdef size_t reach = size_of(size)
        if reach > self.size:
            raise ValueError(f"the buffer has {self.size} bytes, not {reach}")
        cdef Window window = Window.__new__(Window)
        window.buffer, window.reach = self, reach
        return PyMemoryView_FromObject(window)

    def array(self, dtype="u1", shape=None):
        """Return a numpy array over the buffer: of ``shape``, or flat with as many items of ``dtype`` as fit.

        It is a view: it holds the memory, and :meth:`release` waits for it as for any other. Raises ValueError when
        the buffer is too small.

        >>> BufferPool().acquire(100).array("f4", (5, 5)).sum()
        np.float32(0.0)
        """
        import numpy
        kind = numpy.dtype(dtype)
        if shape is None:
            return numpy.frombuffer(self, kind, self.size // kind.itemsize)
        return numpy.ndarray(shape, kind, self)

    def __repr__(self):
        return f"<PooledBuffer of {self.size} bytes{', released' if self.released else ''}>"


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Window:
    """Exports the first bytes of a buffer."""

    cdef PooledBuffer buffer
    cdef size_t reach

    def __getbuffer__(self, Py_buffer *view, int flags):
        self.buffer.fill(view, self.reach, flags)
        view.obj = self

    def __releasebuffer__(self, Py_buffer *view):
        if pc_block_unexport(self.buffer.block):
            self.buffer.pool.recover(self.buffer.block)
