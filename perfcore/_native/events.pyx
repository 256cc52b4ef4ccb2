"""The queue of events that must not be overwritten, over ``src_c/queue.h``."""

import os
from types import GenericAlias
from weakref import WeakSet

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport uint64_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.cells cimport pc_cell_total
from perfcore._native.c.queue cimport *
from perfcore._native.gc cimport PyTypeObject, inquiry, traverseproc, visitproc

__all__ = ["EventQueue"]

cdef object living = WeakSet()
cdef object NOTHING = object()


cdef void *zalloc(void *ctx, size_t size) noexcept nogil:
    return PyMem_RawCalloc(1, size)


cdef void release_block(void *ctx, void *block) noexcept nogil:
    PyMem_RawFree(block)


@cython.binding(False)
cdef class EventQueue:
    """EventQueue(capacity=1024)

    A bounded queue of objects for what must not be overwritten: when it is full the newest is refused, and counted.

    Any thread may put and take; an event is delivered once, and those of one thread keep their order. Neither side
    waits. (It is not lock-free in the strict sense: a thread that is stopped in the middle of a put hides the events
    after it until it goes on.) ``capacity`` is a power of two from 2 to 2**28. A forked child starts with an
    empty queue: the events are the parent's.

    >>> alerts = EventQueue(2)
    >>> alerts.put("a"), alerts.put("b"), alerts.put("c")
    (True, True, False)
    >>> alerts.drain(), alerts.dropped
    (['a', 'b'], 1)
    """

    def __cinit__(self, capacity=1024, /):
        cdef pc_alloc alloc
        alloc.zalloc, alloc.release, alloc.ctx = zalloc, release_block, NULL
        if isinstance(capacity, bool) or not isinstance(capacity, int):
            raise TypeError(f"capacity must be an int, not {type(capacity).__name__}")
        if not 2 <= capacity <= PC_QUEUE_LARGEST or capacity & (capacity - 1):
            raise ValueError(f"capacity must be a power of two from 2 to 2**28, got {capacity}")
        self.core = pc_queue_create(&alloc, capacity)
        if self.core == NULL:
            raise MemoryError
        living.add(self)

    def __dealloc__(self):
        if self.core != NULL:
            empty(self.core)
            pc_queue_destroy(self.core)

    def put(self, event, /):
        """Append any object; False when the queue is full, and counted in ``dropped``."""
        Py_INCREF(event)
        if pc_queue_put(self.core, <void *><PyObject *>event):
            return True
        Py_DECREF(event)
        return False

    cdef object take(self):
        cdef void *item
        if not pc_queue_take(self.core, &item):
            return NOTHING
        event = <object><PyObject *>item
        Py_DECREF(event)
        return event

    def get(self, default=None, /):
        """Take the oldest event out, or return ``default`` when there is none."""
        event = self.take()
        return default if event is NOTHING else event

    def drain(self, limit=None, /):
        """Take events out, at most ``limit`` (None: as many as there are now), oldest first, as a list."""
        cdef uint64_t left = pc_queue_count(self.core)
        if limit is not None:
            if limit < 0:
                raise ValueError(f"limit must not be negative, got {limit}")
            left = min(limit, left)
        events = []
        while left > 0:
            event = self.take()
            if event is NOTHING:
                break
            events.append(event)
            left -= 1
        return events

    def __len__(self):
        return pc_queue_count(self.core)

    @property
    def capacity(self):
        """How many events fit."""
        return self.core.mask + 1

    @property
    def dropped(self):
        """How many events were refused because the queue was full."""
        return pc_cell_total(&self.core.dropped, 1, 1)

    @property
    def accepted(self):
        """How many events were accepted so far."""
        return pc_cell_total(&self.core.tail, 1, 1)

    def __repr__(self):
        return f"<EventQueue {len(self)} of {self.capacity}, dropped={self.dropped}>"

    def __reduce__(self):
        raise TypeError("an EventQueue belongs to its process")

    def _check(self):
        """Raise AssertionError unless the queue is consistent; only where no put or take is under way."""
        if not pc_queue_valid(self.core):
            raise AssertionError("the queue is inconsistent")

    def _reset(self):
        """Forget everything; only where no other thread uses the queue."""
        empty(self.core)
        pc_queue_reset(self.core)

    __class_getitem__ = classmethod(GenericAlias)


cdef void empty(pc_queue *core) noexcept:
    """Release what is in the queue, each after it is out of it."""
    cdef void *item
    while pc_queue_take(core, &item):
        Py_DECREF(<object><PyObject *>item)


def forget():
    """Empty the queues of a forked child."""
    for queue in list(living):
        queue._reset()


os.register_at_fork(after_in_child=forget)


# --- garbage collection: the references in the C cells, which Cython cannot see (as in cache.pyx) -----------------

cdef traverseproc generated_traverse
cdef inquiry generated_clear


cdef int traverse(PyObject *self, visitproc visit, void *arg) noexcept:
    cdef pc_queue *core = (<EventQueue>self).core
    cdef void *item
    cdef uint64_t position
    cdef int stop
    if core != NULL:
        for position in range(pc_cell_total(&core.head, 1, 1), pc_cell_total(&core.tail, 1, 1)):
            if pc_queue_peek(core, position, &item):
                stop = visit(<PyObject *>item, arg)
                if stop:
                    return stop
    return generated_traverse(self, visit, arg) if generated_traverse != NULL else 0


cdef int clear(PyObject *self) noexcept:
    if (<EventQueue>self).core != NULL:
        empty((<EventQueue>self).core)
    return generated_clear(self) if generated_clear != NULL else 0


cdef PyTypeObject *queue_type = <PyTypeObject *>EventQueue
generated_traverse = queue_type.tp_traverse
generated_clear = queue_type.tp_clear
queue_type.tp_traverse = traverse
queue_type.tp_clear = clear
