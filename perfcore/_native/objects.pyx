"""Object pools: a bounded stack of idle objects, leases of those that are out, and a queue of those who wait.

Each step that changes the pool (claim, park, vacate, unlink) is short, holds the lock and runs no Python code; factory,
reset, validate, destroy and whatever wakes a waiter run between steps. So a finalizer, a signal handler or a collection
may use the same pool at any moment. An object that comes back is handed to the first who waits before anybody else can
take it, and who was granted room to make an object gets the one that was made.
"""

import sys

cimport cython
from cpython.exc cimport PyErr_SetObject, PyErr_WriteUnraisable
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport uint64_t

from perfcore._native.arguments cimport count_of, duration_ns, optional_callable
from perfcore._native.c.clock cimport PC_SECOND, pc_clock_ns
from perfcore._native.gc cimport PyTypeObject, inquiry, traverseproc, visitproc
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_release
from perfcore._native.sites cimport call_site, pc_number_drawn, site_text
from perfcore._native.spares cimport pc_only_reference, pc_spares_kept

from _thread import allocate_lock
from types import GenericAlias

from perfcore.types import ObjectStats

__all__ = ["Lease", "ObjectPool", "Waiter"]

cdef enum:
    NOTHING  # wait
    AN_OBJECT
    ROOM  # to make one: it is counted already

cdef uint64_t wait_ns(object timeout) except? 0:
    """A timeout in ns, at least one: 0 is left to mean for ever."""
    if not isinstance(timeout, bool) and isinstance(timeout, (int, float)) and timeout == 0:
        return 1
    return duration_ns("timeout", timeout)


cdef void report(object error) noexcept:
    """An exception that cannot be raised here goes where those of finalizers go: to ``sys.unraisablehook``."""
    PyErr_SetObject(type(error), error)
    PyErr_WriteUnraisable(error)


@cython.binding(False)  # a cyfunction is about twice as slow to call as a method descriptor
cdef class ObjectPool:
    """ObjectPool(factory, reset=None, min=0, max=20, *, validate=None, destroy=None, max_age=None, overflow=False,
    leak_sampling=128)

    Lends objects that are expensive to make, and takes them back.

    ``factory()`` makes an object; ``min`` are made at once, and ``max`` exist at most, idle and out together. Who
    comes when all are out waits, in order of arrival; with ``overflow=True`` an object is made for him, and what comes
    back while more than ``max`` exist is not kept. ``reset(object)`` runs as an object comes back, ``validate(object)``
    before an idle one is lent again, and decides by its truth; ``destroy(object)`` runs when the pool gives one up. An
    object that is older than ``max_age`` seconds is replaced when it is next lent or returned.

    Exceptions: factory's reaches who acquires, and no room is lost. Validate's reaches who acquires, reset's who
    releases; the object is given up. Destroy's goes to ``sys.unraisablehook``, and so does reset's where it would
    replace an exception that is leaving a ``with`` block. A factory that returns None is a TypeError.

    Any thread may acquire and release. A forked child starts with an empty pool: objects of the parent stay the
    parent's, unused and never destroyed; a lease that the child's thread holds may be released there, and its object is
    not kept. Raises TypeError or ValueError, naming the argument, when one makes no sense.

    >>> pool = ObjectPool(list, list.clear, max=2)
    >>> with pool.acquire() as items:
    ...     items.append(1)
    >>> pool.acquire().value
    []
    >>> pool.stats().made
    1
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __cinit__(self, factory, reset=None, min=0, max=20, *, validate=None, destroy=None, max_age=None,
                  overflow=False, leak_sampling=128):
        if not callable(factory):
            raise TypeError(f"factory must be callable, not {type(factory).__name__}")
        self.most = self.room = count_of("max", max, 1)
        self.least = count_of("min", min, 0)
        if self.least > self.most:
            raise ValueError(f"min must not be more than max, got {min} and {max}")
        self.factory = factory
        self.reset = optional_callable("reset", reset)
        self.validate = optional_callable("validate", validate)
        self.destroy = optional_callable("destroy", destroy)
        self.max_age = 0 if max_age is None else duration_ns("max_age", max_age)
        self.overflow = overflow
        self.plain = validate is None and max_age is None
        self.unchecked = reset is None and max_age is None
        self.leak_sampling = count_of("leak_sampling", leak_sampling, 0)
        self.relics, self.sites = [], {}
        self.idle = <parked *>PyMem_RawCalloc(self.room, sizeof(parked))
        if self.idle == NULL:
            raise MemoryError

    def __init__(self, factory, reset=None, min=0, max=20, *, validate=None, destroy=None, max_age=None,
                 overflow=False, leak_sampling=128):
        self.fill()

    def fill(self):
        """Make objects until ``min`` exist; return how many were made."""
        cdef list leases = []
        while self.total < self.least:
            leases.append(self.acquire(timeout=0))
            if self.idle_count:
                break  # there was one after all
        for lease in leases:
            self.park((<Lease>lease).value, (<Lease>lease).born, self.epoch)
            (<Lease>lease).value = None
        return len(leases)

    def __dealloc__(self):
        while self.idle_count:
            self.idle_count -= 1
            Py_DECREF(<object>self.idle[self.idle_count].value)
        PyMem_RawFree(self.idle)
        Py_XDECREF(self.spares[0])
        Py_XDECREF(self.spares[1])

    # --- acquiring ---------------------------------------------------------------------------------------------

    def acquire(self, timeout=None):
        """Return a :class:`Lease` of an idle object, of a new one, or of the next that comes back.

        Waits ``timeout`` seconds at most (None: for ever, 0: not at all), then raises TimeoutError. What factory or
        validate raise is raised here.
        """
        cdef uint64_t limit = wait_ns(timeout) if timeout is not None else 0
        cdef Lease lease = self.blank()
        cdef int claimed
        self.draws += 1
        if pc_number_drawn(self.draws, self.leak_sampling):
            lease.site = call_site()
        claimed = self.claim(lease, None)
        if claimed == AN_OBJECT and self.plain:
            return lease
        return self.acquire_slowly(lease, claimed, limit)

    def try_acquire(self):
        """Return a lease as :meth:`acquire` does, or None when one would have to wait."""
        cdef Lease lease = self.blank()
        while True:
            claimed = self.claim(lease, None)
            if claimed == NOTHING:
                return None
            if self.settled(lease, claimed):
                return lease

    cdef inline Lease blank(self):
        """A lease of nothing: one that was released, when by now nobody but the pool has it, else a new one."""
        cdef int i = not pc_only_reference(self.spares[0])
        cdef Lease lease
        if pc_only_reference(self.spares[i]):
            lease = <Lease>self.spares[i]
            Py_DECREF(lease)  # moved
            self.spares[i] = NULL
        else:
            lease = Lease.__new__(Lease)
        lease.pool = self
        return lease

    cdef inline void spare(self, Lease lease) noexcept:
        """Keep a released lease for :meth:`blank`: the last two, as a variable holds one while the other is made."""
        if pc_spares_kept:
            lease.pool, lease.site = None, None  # the pool lives: the caller has it
            self.turn ^= 1
            Py_INCREF(lease)
            Py_XDECREF(self.spares[self.turn])
            self.spares[self.turn] = <PyObject *>lease

    cdef inline int claim(self, Lease lease, Waiter waiter) noexcept:
        """Take an idle object, or else room to make one, or else queue the waiter if there is one."""
        cdef int claimed = NOTHING
        cdef parked *top
        pc_lock_acquire(&self.mutex)
        if self.idle_count:
            self.idle_count -= 1
            top = &self.idle[self.idle_count]
            lease.value, lease.born, lease.epoch = <object>top.value, top.born, self.epoch
            Py_DECREF(<object>top.value)  # moved: the lease has its own by now, so nothing dies here
            self.reused += 1
            claimed = AN_OBJECT
        elif self.total < self.most or self.overflow:
            self.total += 1
            lease.epoch = self.epoch
            claimed = ROOM
        elif waiter is not None:
            self.waited += 1
            waiter.epoch, waiter.queued, waiter.previous = self.epoch, True, self.last
            if self.last != NULL:
                (<Waiter>self.last).following = <PyObject *>waiter
            else:
                self.first = <PyObject *>waiter
            self.last = <PyObject *>waiter
            self.queued += 1
        pc_lock_release(&self.mutex)
        return claimed

    cdef Lease acquire_slowly(self, Lease lease, int claimed, uint64_t limit):
        while claimed != NOTHING:
            if self.settled(lease, claimed):
                return lease
            claimed = self.claim(lease, None)
        return self.wait(lease, limit)

    cdef bint settled(self, Lease lease, int claimed) except -1:
        """Make an object in the room that was claimed, or see whether the object that was claimed will do."""
        if claimed == ROOM:
            self.create(lease)
            return True
        return self.plain or self.fit(lease)

    cdef int create(self, Lease lease) except -1:
        try:
            value = self.factory()
            if value is None:
                raise TypeError("factory must return an object, not None")
        except BaseException:
            self.vacate(lease.epoch)
            raise
        lease.value, lease.born = value, pc_clock_ns()
        pc_lock_acquire(&self.mutex)
        self.made += 1
        pc_lock_release(&self.mutex)
        return 0

    cdef bint fit(self, Lease lease) except -1:
        """Whether an idle object may be lent again; one that may not is given up."""
        cdef bint old = self.max_age and pc_clock_ns() - lease.born > self.max_age
        cdef bint good = not old
        value = lease.value
        if good and self.validate is not None:
            try:
                good = bool(self.validate(value))
            except BaseException:
                lease.value = None
                self.scrap(value)
                self.vacate(lease.epoch)
                raise
        if not good:
            lease.value = None
            pc_lock_acquire(&self.mutex)
            self.reused -= 1
            self.expired += old
            self.refused += not old
            pc_lock_release(&self.mutex)
            self.scrap(value)
            self.vacate(lease.epoch)
        return good

    cdef Lease wait(self, Lease lease, uint64_t limit):
        cdef uint64_t deadline = pc_clock_ns() + limit
        cdef uint64_t now
        while True:
            gate = allocate_lock()
            gate.acquire()
            waiter = self.enroll(gate.release)
            try:
                now = pc_clock_ns()
                if waiter.granted:
                    pass
                elif limit == 0:
                    gate.acquire()
                elif now < deadline:
                    gate.acquire(True, (deadline - now) / <double>PC_SECOND)
            except BaseException:  # a signal's
                waiter.abandon()
                raise
            if not self.redeem(waiter, lease):
                pc_lock_acquire(&self.mutex)
                self.timeouts += 1
                pc_lock_release(&self.mutex)
                raise TimeoutError(f"all {self.most} objects of the pool are in use")
            if self.settled(lease, (<Waiter>waiter).grant):
                return lease

    def enroll(self, wake, /):
        """Return a :class:`Waiter`, who may have been served at once; else ``wake()`` will be called when he is."""
        cdef Waiter waiter = Waiter.__new__(Waiter)
        cdef Lease found = Lease.__new__(Lease)
        waiter.pool, waiter.wake = self, wake
        waiter.grant = self.claim(found, waiter)
        if waiter.grant != NOTHING:
            waiter.value, waiter.born, waiter.epoch = found.value, found.born, found.epoch
        return waiter

    def redeem(self, Waiter waiter not None, Lease lease not None, /):
        """Move what the waiter was granted to the lease; False, and he waits no longer, when that is nothing."""
        pc_lock_acquire(&self.mutex)
        if waiter.queued:
            self.unlink(waiter)
        if waiter.grant != NOTHING and waiter.value is not None:
            lease.value, lease.born = waiter.value, waiter.born
            waiter.value = None  # the lease has it
        lease.epoch = waiter.epoch
        waiter.queued = False
        waiter.pool = None if waiter.grant != NOTHING else waiter.pool
        pc_lock_release(&self.mutex)
        return waiter.grant != NOTHING

    def lease_of(self, Waiter waiter not None, /):
        """Return the lease of a waiter who was served; None when he was not, or when the object would not do."""
        cdef Lease lease = self.blank()
        if self.redeem(waiter, lease) and self.settled(lease, waiter.grant):
            return lease
        return None

    # --- releasing ---------------------------------------------------------------------------------------------

    def release(self, Lease lease not None, /):
        """Take an object back: :meth:`Lease.release` of a lease of this pool, ValueError for another's."""
        if lease.pool is not self and lease.value is not None:
            raise ValueError("the lease belongs to another pool")
        self.finish(lease, True)

    cdef int finish(self, Lease lease, bint keep) except -1:
        cdef parked *top
        pc_lock_acquire(&self.mutex)
        if (
            keep and self.unchecked and self.first == NULL and lease.value is not None
            and self.total <= self.most and lease.epoch == self.epoch
        ):  # nothing to run and nobody to serve
            top = &self.idle[self.idle_count]
            top.value, top.born = <PyObject *>lease.value, lease.born
            Py_INCREF(lease.value)  # moved: lease.value is let go of below, and does not die
            self.idle_count += 1
            self.released += 1
            lease.value = None
            pc_lock_release(&self.mutex)
            self.spare(lease)
            return 0
        value = lease.value
        lease.value = None  # `value` holds it: nothing dies here
        self.released += value is not None
        pc_lock_release(&self.mutex)
        if value is None:
            raise RuntimeError("the lease was released")
        if lease.epoch != self.epoch:
            return 0  # the parent's
        if keep and self.reset is not None:
            try:
                self.reset(value)
            except BaseException:
                self.scrap(value)
                self.vacate(lease.epoch)
                raise
        if not keep or (self.max_age and pc_clock_ns() - lease.born > self.max_age):
            self.scrap(value)
            self.vacate(lease.epoch)
        else:
            self.park(value, lease.born, lease.epoch)
        return 0

    cdef void park(self, object value, uint64_t born, uint64_t epoch) noexcept:
        """Hand an object to the first who waits, or keep it, or give it up when there is no room."""
        cdef Waiter waiter
        cdef bint kept
        while True:
            kept = False
            pc_lock_acquire(&self.mutex)
            waiter = self.next_waiter()
            if waiter is not None:
                waiter.value, waiter.born, waiter.grant = value, born, AN_OBJECT
                self.reused += 1
            elif epoch == self.epoch and self.idle_count < self.room and self.total <= self.most:
                Py_INCREF(value)
                self.idle[self.idle_count].value = <PyObject *>value
                self.idle[self.idle_count].born = born
                self.idle_count += 1
                kept = True
            pc_lock_release(&self.mutex)
            if waiter is None:
                break
            if self.call_waiter(waiter):
                return
        if not kept:
            self.scrap(value)
            self.vacate(epoch)

    cdef void vacate(self, uint64_t epoch) noexcept:
        """An object is gone: its room goes to the first who waits."""
        cdef Waiter waiter
        while True:
            pc_lock_acquire(&self.mutex)
            waiter = self.next_waiter() if epoch == self.epoch and self.total <= self.most else None
            if waiter is not None:
                waiter.grant = ROOM
            elif epoch == self.epoch:
                self.total -= 1
            pc_lock_release(&self.mutex)
            if waiter is None or self.call_waiter(waiter):
                return

    cdef bint call_waiter(self, Waiter waiter) noexcept:
        """Wake a waiter; False when that failed, and what he was granted is the caller's again."""
        try:
            waiter.wake()
            return True
        except BaseException:  # his event loop is closed
            pass
        pc_lock_acquire(&self.mutex)
        cdef bint unused = waiter.pool is not None
        self.reused -= unused and waiter.grant == AN_OBJECT
        if unused:
            waiter.grant, waiter.value = NOTHING, None  # the caller holds it
        pc_lock_release(&self.mutex)
        return not unused

    cdef Waiter next_waiter(self):
        """With the lock: take the first waiter out of the queue."""
        if self.first == NULL:
            return None
        cdef Waiter waiter = <Waiter>self.first
        self.unlink(waiter)
        return waiter

    cdef void unlink(self, Waiter waiter) noexcept:
        if not waiter.queued or waiter.epoch != self.epoch:
            return
        if waiter.previous != NULL:
            (<Waiter>waiter.previous).following = waiter.following
        else:
            self.first = waiter.following
        if waiter.following != NULL:
            (<Waiter>waiter.following).previous = waiter.previous
        else:
            self.last = waiter.previous
        waiter.previous = waiter.following = NULL
        waiter.queued = False
        self.queued -= 1

    cdef void scrap(self, object value) noexcept:
        pc_lock_acquire(&self.mutex)
        self.discarded += 1
        pc_lock_release(&self.mutex)
        if self.destroy is not None:
            try:
                self.destroy(value)
            except BaseException as error:
                report(error)

    # --- sizes -------------------------------------------------------------------------------------------------

    cdef list detach(self, Py_ssize_t keep):
        """Take the coldest idle objects out until ``keep`` are left."""
        cdef list gone = []
        cdef object value
        cdef Py_ssize_t i
        while True:
            value = None
            pc_lock_acquire(&self.mutex)
            if self.idle_count > keep:
                value = <object>self.idle[0].value
                Py_DECREF(value)  # moved
                self.idle_count -= 1
                for i in range(self.idle_count):
                    self.idle[i] = self.idle[i + 1]
            pc_lock_release(&self.mutex)
            if value is None:
                return gone
            gone.append(value)

    def shrink(self, keep=None, /):
        """Give up idle objects until ``keep`` are left (None: ``min``), the coldest first; return how many went."""
        cdef list gone = self.detach(self.least if keep is None else count_of("keep", keep, 0))
        for value in gone:
            self.scrap(value)
            self.vacate(self.epoch)
        return len(gone)

    def _forked(self):
        """In a forked child: what exists is the parent's. Nothing is run or released."""
        pc_lock_acquire(&self.mutex)
        self.epoch += 1
        self.first = self.last = NULL
        self.total = self.queued = 0
        pc_lock_release(&self.mutex)
        self.relics += self.detach(0)

    @property
    def min(self):
        """How many objects :meth:`shrink` leaves."""
        return self.least

    @property
    def max(self):
        """How many objects there may be."""
        return self.most

    def stats(self):
        """Return :class:`perfcore.types.ObjectStats`."""
        pc_lock_acquire(&self.mutex)
        cdef Py_ssize_t idle = self.idle_count, total = self.total, queued = self.queued
        cdef uint64_t reused = self.reused, made = self.made
        pc_lock_release(&self.mutex)
        return ObjectStats(
            acquired=reused + made, released=self.released, reused=reused, made=made, refused=self.refused,
            expired=self.expired, discarded=self.discarded, waited=self.waited, timeouts=self.timeouts,
            leaked=self.leaked, in_use=total - idle, idle=idle, waiting=queued,
        )

    def leaks(self):
        """Return ``{site: leases}`` of traced leases that died unreleased; multiply by ``leak_sampling``."""
        return dict(self.sites)

    def _check(self):
        """Verify every invariant; AssertionError when one is broken."""
        cdef Py_ssize_t waiting = 0
        cdef PyObject *waiter
        cdef PyObject *previous = NULL
        pc_lock_acquire(&self.mutex)
        cdef bint linked = True
        waiter = self.first
        while waiter != NULL:
            linked = linked and (<Waiter>waiter).queued and (<Waiter>waiter).previous == previous
            waiting += 1
            previous, waiter = waiter, (<Waiter>waiter).following
        linked = linked and self.last == previous and waiting == self.queued
        cdef bint counted = 0 <= self.idle_count <= self.total and self.idle_count <= self.room
        cdef bint bounded = self.overflow or self.total <= self.most
        cdef bint idle_only_if_nobody_waits = self.idle_count == 0 or self.first == NULL
        pc_lock_release(&self.mutex)
        assert linked and counted and bounded and idle_only_if_nobody_waits


@cython.final
@cython.no_gc_clear  # a lease that dies must still know that it was out; its value or the pool break any cycle
@cython.freelist(32)
@cython.auto_pickle(False)
@cython.binding(False)
@cython.always_allow_keywords(False)  # a method without arguments is then one to the interpreter, too
cdef class Lease:
    """An object of a pool, for as long as it is out: ``with pool.acquire() as object``, or ``.value`` and ``.release()``.

    A lease is released once; afterwards it knows no object. One that dies unreleased is counted as a leak: its object,
    which somebody may still hold, is not lent again, and its room is free.
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self):
        raise TypeError("a Lease comes from ObjectPool.acquire")

    def __dealloc__(self):
        cdef ObjectPool pool = self.pool
        if self.value is None or pool is None:
            return
        pc_lock_acquire(&pool.mutex)
        pool.leaked += 1
        pc_lock_release(&pool.mutex)
        if self.site is not None:
            note_leak(pool, self.site)
        pool.vacate(self.epoch)

    @property
    def value(self):
        """The object. Raises RuntimeError once the lease was released."""
        value = self.value
        if value is None:
            raise RuntimeError("the lease was released")
        return value

    @property
    def released(self):
        """Whether the lease was released."""
        return self.value is None

    cdef inline ObjectPool lender(self):
        """The pool, which a released lease no longer keeps alive."""
        if self.value is None:
            raise RuntimeError("the lease was released")
        return self.pool

    def release(self):
        """Give the object back: reset it, and hand it to the next. Raises RuntimeError when that was done before."""
        self.lender().finish(self, True)

    def discard(self):
        """Give the object up instead: it is broken. Raises RuntimeError when the lease was released."""
        self.lender().finish(self, False)

    def __enter__(self):
        if self.value is None:
            raise RuntimeError("the lease was released")
        return self.value

    def __exit__(self, kind, error, trace):
        if self.value is None:
            return  # inside the block
        try:
            self.lender().finish(self, True)
        except Exception as failure:
            if kind is None:
                raise
            report(failure)  # it would hide the one that is on its way


cdef void note_leak(ObjectPool pool, tuple noted) noexcept:
    """Log where a lease was acquired, once for each place."""
    try:
        if sys.is_finalizing():
            return  # whoever ends the interpreter has released everything
        site = site_text(noted)
        pool.sites[site] = pool.sites.get(site, 0) + 1
        if pool.sites[site] == 1:
            from perfcore._log import logger
            logger("memory").warning("an object was never released; it was acquired at %s", site)
    except Exception as error:
        report(error)


@cython.final
@cython.auto_pickle(False)
cdef class Waiter:
    """Somebody in the queue of a pool, whom ``wake()`` will tell that he was served."""

    def __init__(self):
        raise TypeError("a Waiter comes from ObjectPool.enroll")

    def __del__(self):
        self.abandon()

    @property
    def granted(self):
        """Whether there is an object, or room for one, to redeem."""
        return self.grant != NOTHING

    cpdef void abandon(self) noexcept:
        """Leave the queue; what was granted goes to the next."""
        cdef ObjectPool pool = self.pool
        if pool is None:
            return
        pc_lock_acquire(&pool.mutex)
        cdef int grant = self.grant
        self.pool, self.grant = None, NOTHING
        value, self.value = self.value, None
        pool.unlink(self)
        pool.reused -= grant == AN_OBJECT
        pc_lock_release(&pool.mutex)
        if grant == AN_OBJECT:
            pool.park(value, self.born, self.epoch)
        elif grant == ROOM:
            pool.vacate(self.epoch)


# --- garbage collection: as at the end of engine.pyx -------------------------------------------------------------

cdef traverseproc generated_traverse
cdef inquiry generated_clear


cdef int traverse(PyObject *self, visitproc visit, void *arg) noexcept:
    cdef Py_ssize_t i
    cdef int stop
    for i in range((<ObjectPool>self).idle_count):
        stop = visit((<ObjectPool>self).idle[i].value, arg)
        if stop:
            return stop
    return generated_traverse(self, visit, arg)


cdef int clear(PyObject *self) noexcept:
    cdef ObjectPool pool = <ObjectPool>self
    while pool.idle_count:
        pool.idle_count -= 1
        pool.total -= 1
        Py_DECREF(<object>pool.idle[pool.idle_count].value)
    return generated_clear(self)


cdef PyTypeObject *pool_type = <PyTypeObject *>ObjectPool
generated_traverse = pool_type.tp_traverse
generated_clear = pool_type.tp_clear
pool_type.tp_traverse = traverse
pool_type.tp_clear = clear
