"""Timers: histograms of durations that are entered, left, awaited and put around functions."""

cimport cython

from perfcore._native.c.clock cimport pc_clock_ns
from perfcore._native.c.hist cimport pc_hist_record, pc_hist_stride
from perfcore._native.histogram cimport Histogram
from perfcore._native.shard cimport pc_shard

from perfcore._native.histogram import octaves
from perfcore._native.metrics import bind, wrap

__all__ = ["Span", "Timer"]

cdef object DONE = Done.__new__(Done)


cdef class Timer(Histogram):
    """Timer(name, description="", *, labels=(), registry=None, low=2**-30, high=2**40)

    A histogram of how long things take, in seconds: ``with``, ``async with``, or a decorator.

    One timer may time any number of blocks at once: threads, tasks and recursion each have their own start. A block
    that raises is counted as well. As a decorator it times a coroutine function until its result is there, and a
    generator until it is exhausted. To start and stop by hand, ``span = timer.time()`` and ``span.stop()``.

    >>> from perfcore.metrics import Registry, Timer
    >>> query = Timer("query", registry=Registry())
    >>> with query:
    ...     _ = sum(range(1000))
    >>> @query
    ... def fetch(): return 1
    >>> fetch(), query.count, query.quantile(1) < 1
    (1, 2, True)
    """

    def __init__(self, name, description="", *, labels=(), registry=None, low=2.0**-30, high=2.0**40):
        bind(self, "timer", name, description, "seconds", labels, registry, {"range": octaves(low, high)})

    def __enter__(self):
        self.entered += 1
        return self

    def __aenter__(self):
        self.entered += 1
        return DONE

    # `with` looks __exit__ up before it calls __enter__: each block gets an object of its own, with its start.
    __exit__ = Leave(False)
    __aexit__ = Leave(True)

    def __call__(self, function, /):
        if self.at == NULL:
            self.refuse()
        return wrap(self, function)

    def time(self):
        """Start a :class:`Span`."""
        if self.at == NULL:
            self.refuse()
        return span_of(self, False)


cdef Span span_of(Timer timer, bint asynchronous):
    cdef Span span = Span.__new__(Span)
    span.timer, span.asynchronous = timer, asynchronous
    if timer is not None:
        span.entered = timer.entered
    span.start = pc_clock_ns()
    return span


@cython.final
@cython.freelist(64)
cdef class Span:
    """One measurement of a timer, under way.

    >>> from perfcore.metrics import Registry, Timer
    >>> span = Timer("query", registry=Registry()).time()
    >>> 0 <= span.stop() < 60
    True
    """

    def __init__(self):
        raise TypeError("a span is started by Timer.time()")

    cdef double elapsed(self) noexcept:
        return <double>(pc_clock_ns() - self.start) * 1e-9

    def stop(self):
        """Record the time since the start and return it, in seconds; a second call records again."""
        cdef double seconds = self.elapsed()
        self.timer.observe(seconds)
        return seconds

    def __enter__(self):
        self.start = pc_clock_ns()
        return self

    def __exit__(self, *exception):
        self.stop()

    def __call__(self, *arguments):
        # __exit__ of the timer: with (type, value, traceback), or with the timer before them where the caller took
        # __exit__ from the class, as contextlib.ExitStack does before it enters
        cdef double seconds = self.elapsed()
        cdef Timer timer = self.timer
        if timer is None:
            timer = arguments[0]
        elif self.checked and timer.entered == self.entered:
            raise RuntimeError("__exit__ of a timer outside of a with statement; use span = timer.time(); span.stop()")
        if timer.at == NULL:
            timer.refuse()
        pc_hist_record(&timer.at[pc_shard(timer.shards) * pc_hist_stride(timer.shape)], timer.shape, seconds)
        return DONE if self.asynchronous else None


@cython.final
cdef class Leave:
    """The descriptor behind ``Timer.__exit__``: hands out a span with every look-up."""

    cdef bint asynchronous

    def __cinit__(self, bint asynchronous):
        self.asynchronous = asynchronous

    def __get__(self, instance, owner):
        cdef Span span = span_of(instance, self.asynchronous)
        span.checked = instance is not None
        return span


@cython.final
cdef class Done:
    """An awaitable that is done."""

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration
