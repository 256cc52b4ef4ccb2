"""Object pools: a bounded stack of idle objects, leases of those that are out, and a queue of those who wait.

Each step that changes the pool (claim, park, vacate, unlink) is short, holds the lock and runs no Python code; factory,
reset, validate, destroy and whatever wakes a waiter run between steps. So a finalizer, a signal handler or a collection
may use the same pool at any moment. An object that comes back is handed to the first who waits before anybody else can
take it, and who was granted room to make an object gets the one that was made.
"""

import sys

cimport cython
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport uint64_t

from perfcore._native.arguments cimport count_of, duration_ns, optional_callable, wait_ns
from perfcore._native.c.clock cimport PC_SECOND, pc_clock_ns
from perfcore._native.compare cimport pc_owned
from perfcore._native.errors cimport report
from perfcore._native.gc cimport PyTypeObject, inquiry, traverseproc, visitproc
from perfcore._native.lock cimport pc_lock_acquire, pc_lock_enrol, pc_lock_release, pc_lock_retire, survive_forks
from perfcore._native.shelf cimport *
from perfcore._native.sites cimport call_site, count_leak, pc_number_drawn
from perfcore._native.spares cimport pc_spares_clear, pc_spares_keep, pc_spares_kept, pc_spares_take

from _thread import allocate_lock
from types import GenericAlias

from perfcore.types import ObjectStats

__all__ = ["Lease", "ObjectPool", "Waiter"]

cdef enum:
    NOTHING  # wait
    AN_OBJECT
    ROOM  # to make one: it is counted already


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
        pc_lock_enrol(&self.mutex)
        if not callable(factory):
            raise TypeError(f"factory must be callable, not {type(factory).__name__}")
        self.most = count_of("max", max, 1)
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
        if not pc_shelf_init(&self.idle, self.most):
            raise MemoryError

    def __init__(self, factory, reset=None, min=0, max=20, *, validate=None, destroy=None, max_age=None,
                 overflow=False, leak_sampling=128):
        self.fill()

    cdef void count(self, uint64_t *what) noexcept:
        pc_lock_acquire(&self.mutex)
        what[0] += 1
        pc_lock_release(&self.mutex)

    def fill(self):
        """Make objects until ``min`` exist; return how many were made."""
        cdef Lease lease = pc_owned(self.blank())
        cdef Py_ssize_t made = 0, fewer
        while True:
            pc_lock_acquire(&self.mutex)
            lease.epoch, fewer = self.epoch, self.total < self.least
            self.total += fewer
            pc_lock_release(&self.mutex)
            if not fewer:
                return made
            self.create(lease)
            self.count(&self.ahead)
            self.park(taken(lease), lease.born, lease.epoch)
            made += 1

    def __dealloc__(self):
        pc_lock_retire(&self.mutex)
        pc_shelf_free(&self.idle)
        pc_spares_clear(&self.spares)

    # --- acquiring ---------------------------------------------------------------------------------------------

    def acquire(self, timeout=None):
        """Return a :class:`Lease` of an idle object, of a new one, or of the next that comes back.

        Waits ``timeout`` seconds at most (None: for ever, 0: not at all), then raises TimeoutError. What factory or
        validate raise is raised here.
        """
        cdef uint64_t limit = wait_ns(timeout) if timeout is not None else 0
        cdef PyObject *lease = self.blank()
        cdef bint drawn, claimed = False
        self.draws += 1
        drawn = pc_number_drawn(self.draws, self.leak_sampling)
        if self.plain and not drawn:
            pc_lock_acquire(&self.mutex)
            claimed = self.pop(lease)
            pc_lock_release(&self.mutex)
        if claimed:
            return pc_owned(lease)
        return self.acquire_slowly(pc_owned(lease), drawn, limit)

    def try_acquire(self):
        """Return a lease as :meth:`acquire` does, or None when one would have to wait."""
        return self.attempt(pc_owned(self.blank()))

    @cython.final
    cdef inline PyObject *blank(self) except NULL:
        """A lease of nothing, the caller's: one that was released and is of no use to others, or a new one."""
        cdef PyObject *lease = pc_spares_take(&self.spares)
        if lease == NULL:
            lease = new_lease()
        Py_INCREF(self)
        (<Lease>lease).pool = <PyObject *>self
        return lease

    @cython.final
    cdef inline void spare(self, Lease lease) noexcept:
        """Keep a released lease for :meth:`blank`."""
        if pc_spares_kept:
            if lease.site is not None:
                lease.site = None
            pc_spares_keep(&self.spares, <PyObject *>lease)
            lease.pool = NULL
            Py_DECREF(self)  # the lease's; there may be no other

    @cython.final
    cdef inline bint pop(self, PyObject *lease) noexcept:
        """With the lock: move the object that came last to a lease, if there is one."""
        cdef PyObject *value = pc_shelf_take(&self.idle, &(<Lease>lease).born)
        if value == NULL:
            return False
        (<Lease>lease).value, (<Lease>lease).epoch = value, self.epoch
        self.reused += 1
        return True

    cdef int claim(self, Lease lease, Waiter waiter) noexcept:
        """Take an idle object, or else room to make one, or else queue the waiter if there is one."""
        cdef int claimed = NOTHING
        pc_lock_acquire(&self.mutex)
        if self.pop(<PyObject *>lease):
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

    cdef Lease attempt(self, Lease lease):
        """The lease with an object in it, or None when one would have to wait."""
        cdef int claimed
        while True:
            claimed = self.claim(lease, None)
            if claimed == NOTHING:
                return None
            if self.settled(lease, claimed):
                return lease

    cdef Lease acquire_slowly(self, Lease lease, bint drawn, uint64_t limit):
        if drawn:
            lease.site = call_site()
        return self.attempt(lease) or self.wait(lease, limit)

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
        Py_INCREF(value)
        lease.value, lease.born = <PyObject *>value, pc_clock_ns()
        self.count(&self.made)
        return 0

    cdef bint fit(self, Lease lease) except -1:
        """Whether an idle object may be lent again; one that may not is given up."""
        cdef bint old = self.max_age and pc_clock_ns() - lease.born > self.max_age
        cdef bint good = not old
        value = <object>lease.value
        if good and self.validate is not None:
            try:
                good = bool(self.validate(value))
            except BaseException:
                taken(lease)
                self.scrap(value, lease.epoch)
                raise
        if not good:
            taken(lease)
            pc_lock_acquire(&self.mutex)
            self.reused -= 1
            self.expired += old
            self.refused += not old
            pc_lock_release(&self.mutex)
            self.scrap(value, lease.epoch)
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
                if limit == 0 and not waiter.granted:
                    gate.acquire()
                elif now < deadline and not waiter.granted:
                    gate.acquire(True, (deadline - now) / <double>PC_SECOND)
            except BaseException:  # a signal's
                waiter.abandon()
                raise
            if not self.redeem(waiter, lease):
                self.count(&self.timeouts)
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
            waiter.value, waiter.born, waiter.epoch = taken(found), found.born, found.epoch
        return waiter

    cdef bint redeem(self, Waiter waiter, Lease lease) noexcept:
        """Move what the waiter was granted to the lease; False, and he waits no longer, when that is nothing."""
        pc_lock_acquire(&self.mutex)
        self.unlink(waiter)
        if waiter.grant != NOTHING and waiter.value is not None:
            Py_INCREF(waiter.value)
            lease.value, lease.born = <PyObject *>waiter.value, waiter.born
            waiter.value = None  # the lease has it
        lease.epoch = waiter.epoch
        waiter.queued = False
        waiter.pool = None if waiter.grant != NOTHING else waiter.pool
        pc_lock_release(&self.mutex)
        return waiter.grant != NOTHING

    def lease_of(self, Waiter waiter not None, /):
        """Return the lease of a waiter who was served; None when he was not, or when the object would not do."""
        cdef Lease lease = pc_owned(self.blank())
        if self.redeem(waiter, lease) and self.settled(lease, waiter.grant):
            return lease
        return None

    # --- releasing ---------------------------------------------------------------------------------------------

    def release(self, Lease lease not None, /):
        """Take an object back: :meth:`Lease.release` of a lease of this pool, ValueError for another's."""
        if lease.pool != <PyObject *>self and lease.value != NULL:
            raise ValueError("the lease belongs to another pool")
        lease.release()

    @cython.final
    cdef inline bint put_back(self, Lease lease) noexcept:
        """Take back what a lease has if there is nothing to run and nobody to serve."""
        cdef bint simple
        pc_lock_acquire(&self.mutex)
        simple = (
            self.unchecked and self.first == NULL and self.total <= self.most and lease.epoch == self.epoch
            and lease.value != NULL
        )
        if simple:
            pc_shelf_put(&self.idle, lease.value, lease.born)
            lease.value = NULL
            self.released += 1
        pc_lock_release(&self.mutex)
        if simple:
            self.spare(lease)
        return simple

    cdef int finish(self, Lease lease, bint keep) except -1:
        pc_lock_acquire(&self.mutex)
        value = taken(lease)
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
                self.scrap(value, lease.epoch)
                raise
        if not keep or (self.max_age and pc_clock_ns() - lease.born > self.max_age):
            self.scrap(value, lease.epoch)
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
            elif epoch == self.epoch and self.idle.count < self.idle.room and self.total <= self.most:
                Py_INCREF(value)
                pc_shelf_put(&self.idle, <PyObject *>value, born)
                kept = True
            pc_lock_release(&self.mutex)
            if waiter is None:
                break
            if self.call_waiter(waiter):
                return
        if not kept:
            self.scrap(value, epoch)

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

    cdef void scrap(self, object value, uint64_t epoch) noexcept:
        """Give an object up, and its room."""
        self.count(&self.discarded)
        if self.destroy is not None:
            try:
                self.destroy(value)
            except BaseException as error:
                report(error)
        self.vacate(epoch)

    # --- sizes -------------------------------------------------------------------------------------------------

    cdef object coldest(self, Py_ssize_t keep):
        """Take the coldest idle object out if more than ``keep`` are idle, else return None."""
        pc_lock_acquire(&self.mutex)
        cdef PyObject *value = pc_shelf_take_first(&self.idle) if self.idle.count > keep else NULL
        pc_lock_release(&self.mutex)
        return pc_owned(value) if value != NULL else None

    def shrink(self, keep=None, /):
        """Give up idle objects until ``keep`` are left (None: ``min``), the coldest first; return how many went."""
        cdef Py_ssize_t least = self.least if keep is None else count_of("keep", keep, 0)
        cdef Py_ssize_t over = self.idle.count - least, gone = 0  # not those that come back meanwhile
        while gone < over and (value := self.coldest(least)) is not None:
            self.scrap(value, self.epoch)
            gone += 1
        return gone

    def _forked(self):
        """In a forked child: what exists is the parent's. Nothing is run or released."""
        pc_lock_acquire(&self.mutex)
        self.epoch += 1
        self.first = self.last = NULL
        self.total = self.queued = 0
        pc_lock_release(&self.mutex)
        while self.idle.count:
            self.relics.append(None)  # its place first: without memory nothing is taken out
            self.relics[-1] = self.coldest(0)

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
        cdef Py_ssize_t idle = self.idle.count, total = self.total, queued = self.queued
        cdef uint64_t reused = self.reused, made = self.made, ahead = self.ahead
        pc_lock_release(&self.mutex)
        return ObjectStats(
            acquired=reused + made - ahead, released=self.released, reused=reused, made=made, refused=self.refused,
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
        cdef bint counted = 0 <= self.idle.count <= self.total and self.idle.count <= self.idle.room
        cdef bint bounded = self.overflow or self.total <= self.most
        cdef bint idle_only_if_nobody_waits = self.idle.count == 0 or self.first == NULL
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
        cdef ObjectPool pool
        if self.value != NULL:
            pool = <ObjectPool>self.pool
            pool.count(&pool.leaked)
            if self.site is not None:
                note_leak(pool, self.site)
            pool.vacate(self.epoch)
        Py_XDECREF(self.value)
        Py_XDECREF(self.pool)

    @property
    def value(self):
        """The object. Raises RuntimeError once the lease was released."""
        return held(self)

    @property
    def released(self):
        """Whether the lease was released."""
        return self.value == NULL

    def release(self):
        """Give the object back: reset it, and hand it to the next. Raises RuntimeError when that was done before."""
        if self.value == NULL or not (<ObjectPool>self.pool).put_back(self):
            give_back(self, True)

    def discard(self):
        """Give the object up instead: it is broken. Raises RuntimeError when the lease was released."""
        give_back(self, False)

    def __enter__(self):
        return held(self)

    def __exit__(self, kind, error, trace):
        if self.value == NULL:
            return  # inside the block
        try:
            self.release()
        except Exception as failure:
            if kind is None:
                raise
            report(failure)  # it would hide the one that is on its way


cdef PyObject *new_lease() except NULL:
    cdef Lease lease = Lease.__new__(Lease)
    Py_INCREF(lease)  # the caller's
    return <PyObject *>lease


cdef inline object held(Lease lease):
    if lease.value == NULL:
        raise RuntimeError("the lease was released")
    return <object>lease.value


cdef inline object taken(Lease lease):
    """The object of a lease, or None, moved: nothing dies here."""
    cdef PyObject *value = lease.value
    lease.value = NULL
    return pc_owned(value) if value != NULL else None


cdef int give_back(Lease lease, bint keep) except -1:
    held(lease)
    cdef ObjectPool pool = <ObjectPool>lease.pool
    pool.finish(lease, keep)
    pool.spare(lease)


cdef void note_leak(ObjectPool pool, tuple site) noexcept:
    try:
        if not sys.is_finalizing():  # else whoever ends the interpreter has released everything
            with cython.critical_section(pool):
                count_leak(pool.sites, site, "an object")
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

cdef traverseproc generated_traverse, generated_lease_traverse
cdef inquiry generated_clear


cdef int traverse(PyObject *self, visitproc visit, void *arg) noexcept:
    return pc_shelf_traverse(&(<ObjectPool>self).idle, visit, arg) or generated_traverse(self, visit, arg)


cdef int clear(PyObject *self) noexcept:
    cdef ObjectPool pool = <ObjectPool>self
    cdef uint64_t born
    cdef PyObject *value = pc_shelf_take(&pool.idle, &born)
    while value != NULL:
        pool.total -= 1
        Py_DECREF(<object>value)
        value = pc_shelf_take(&pool.idle, &born)
    return generated_clear(self)


cdef int traverse_lease(PyObject *self, visitproc visit, void *arg) noexcept:
    cdef int stop = visit((<Lease>self).value, arg) if (<Lease>self).value != NULL else 0
    if stop == 0 and (<Lease>self).pool != NULL:
        stop = visit((<Lease>self).pool, arg)
    return stop or generated_lease_traverse(self, visit, arg)


cdef PyTypeObject *lease_type = <PyTypeObject *>Lease
generated_lease_traverse = lease_type.tp_traverse
lease_type.tp_traverse = traverse_lease

cdef PyTypeObject *pool_type = <PyTypeObject *>ObjectPool
generated_traverse, pool_type.tp_traverse = pool_type.tp_traverse, traverse
generated_clear, pool_type.tp_clear = pool_type.tp_clear, clear
survive_forks()
