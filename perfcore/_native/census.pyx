"""Counting what is allocated, by type, in windows: a hook on the allocator of objects over ``src_c/census.h``.

CPython tells of no object that is made or dies, but ``PyMem_SetAllocator`` is made for hooks: ``tracemalloc`` is one. A
window lays this one on top, and takes it off when as many blocks were born as it may see, or at its end; outside
windows nothing is hooked. What an object's block holds is layout of CPython (the collector's header, the words before
an object with a managed dict, the type): :func:`works` makes objects of its own and sees whether they are counted
right before anything is believed, once per process.

All of this happens under the GIL, of one interpreter. Where there is none, or where there are several, or while
somebody traces allocations or has laid a hook of his own over this one, there are no windows.
"""

import atexit
import os
import sys
from weakref import ref

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport PyTypeObject
from libc.stdint cimport uint64_t, uintptr_t

from perfcore._native.c.alloc cimport pc_alloc
from perfcore._native.c.base cimport PC_OK
from perfcore._native.c.census cimport *
from perfcore._native.c.clock cimport pc_clock_ns

__all__ = ["Census", "works"]

cdef extern from *:
    """
    #include "census.h"
    #include "clock.h"

    #if PY_VERSION_HEX < 0x030D0000
    #define PyThreadState_GetUnchecked _PyThreadState_UncheckedGet
    #endif

    /* The one window of the process. */
    static struct {
        pc_census *census; /* NULL: none is open */
        void *owner;       /* who has yet to take what the last one saw; NULL: nobody */
        PyInterpreterState *home;
        PyMemAllocatorEx under; /* what the hook was laid over */
        int laid;               /* it is, or somebody else's lies over it and calls it */
        uint64_t left, began, ended;
    } pc_window;

    static int pc_window_looks(void)
    {
    #if PY_VERSION_HEX >= 0x030C0000 /* another interpreter may have another GIL */
        PyThreadState *thread;
        if (pc_window.census == NULL)
            return 0;
        thread = PyThreadState_GetUnchecked();
        return thread != NULL && thread->interp == pc_window.home;
    #else
        return pc_window.census != NULL;
    #endif
    }

    static void pc_window_close(void);

    static void *pc_window_seen(void *block, size_t size)
    {
        if (block == NULL || !pc_window_looks())
            return block;
        pc_census_born(pc_window.census, block, size);
        if (--pc_window.left == 0)
            pc_window_close();
        return block;
    }

    static void *pc_hook_malloc(void *ctx, size_t size)
    {
        return pc_window_seen(pc_window.under.malloc(pc_window.under.ctx, size), size);
    }

    static void *pc_hook_calloc(void *ctx, size_t count, size_t size)
    {
        return pc_window_seen(pc_window.under.calloc(pc_window.under.ctx, count, size), count * size);
    }

    static void *pc_hook_realloc(void *ctx, void *block, size_t size)
    {
        if (block != NULL && pc_window_looks())
            pc_census_moved(pc_window.census, block);
        return pc_window.under.realloc(pc_window.under.ctx, block, size);
    }

    static void pc_hook_free(void *ctx, void *block)
    {
        if (pc_window_looks())
            pc_census_gone(pc_window.census, block);
        pc_window.under.free(pc_window.under.ctx, block);
    }

    static int pc_hook_is_on_top(void)
    {
        PyMemAllocatorEx now;
        PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &now);
        return now.malloc == pc_hook_malloc;
    }

    static void pc_window_close(void)
    {
        if (pc_window.census != NULL)
            pc_window.ended = pc_clock_ns();
        pc_window.census = NULL;
        if (pc_window.laid && pc_hook_is_on_top()) {
            PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &pc_window.under);
            pc_window.laid = 0;
        } /* else whoever lies over it would have called what is gone: it stays, and passes on */
    }

    static int pc_window_can_open(void)
    {
    #ifdef Py_GIL_DISABLED
        return 0;
    #else
        return pc_window.owner == NULL && !pc_window.laid && PyInterpreterState_Next(PyInterpreterState_Head()) == NULL;
    #endif
    }

    static int pc_window_open(pc_census *census, uint64_t most)
    {
        PyMemAllocatorEx hook = {NULL, pc_hook_malloc, pc_hook_calloc, pc_hook_realloc, pc_hook_free};
        if (!pc_window_can_open())
            return 0;
        PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &pc_window.under);
        pc_window.owner = census;
        pc_window.home = PyInterpreterState_Get();
        pc_window.left = most;
        pc_window.laid = 1;
        pc_window.began = pc_clock_ns();
        pc_window.census = census;
        PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &hook);
        return 1;
    }

    /* Where in a block of such an object its type stands; 0 for types that no class statement made. */
    static size_t pc_place_of_type(PyTypeObject *type)
    {
        size_t before = offsetof(PyObject, ob_type);
        unsigned long wide = Py_TPFLAGS_MANAGED_DICT;
    #ifdef Py_TPFLAGS_MANAGED_WEAKREF
        wide |= Py_TPFLAGS_MANAGED_WEAKREF;
    #endif
        if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE) || type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE)
            return 0;
        if (type->tp_flags & Py_TPFLAGS_HAVE_GC)
            before += 2 * sizeof(void *);
        if (type->tp_flags & wide)
            before += 2 * sizeof(void *);
        return before;
    }
    """
    struct pc_window_type "pc_window":
        pc_census *census
        void *owner
        bint laid
        uint64_t began, ended
    pc_window_type pc_window
    bint pc_window_open(pc_census *census, uint64_t most)
    bint pc_window_can_open()
    void pc_window_close()
    bint pc_hook_is_on_top()
    size_t pc_place_of_type(PyTypeObject *type)


cdef void *zalloc(void *ctx, size_t size) noexcept nogil:
    return PyMem_RawCalloc(1, size)


cdef void release_block(void *ctx, void *block) noexcept nogil:
    PyMem_RawFree(block)


cdef object subclasses = type.__subclasses__


cdef dict all_types():
    """``{id: weak reference}`` of the classes there are. Asks no metaclass: they may answer what they like."""
    cdef dict found = {}
    cdef list todo = [object]
    while todo:
        for kind in subclasses(todo.pop()):
            if id(kind) not in found:
                found[id(kind)] = ref(kind)
                todo.append(kind)
    return found


@cython.final
@cython.auto_pickle(False)
cdef class Census:
    """A window in which allocations are counted by the type of their objects; one at a time in a process.

    No type is kept alive by having been counted.
    """

    cdef pc_census core
    cdef dict types

    def __dealloc__(self):
        self.shut()

    cdef void shut(self) noexcept:
        if pc_window.owner == &self.core:
            pc_window_close()
            pc_window.owner = NULL
        pc_census_destroy(&self.core)
        self.types = None

    def begin(self, uint64_t most, /):
        """Count from now until :meth:`end`, or until ``most`` blocks were allocated.

        Return False, and count nothing, where that cannot be done: without a GIL, beside other interpreters or
        somebody who traces allocations, and while another window is open.
        """
        self.shut()
        if most == 0 or traced() or not free():
            return False
        return self.open(most, all_types())

    cdef bint open(self, uint64_t most, dict types) except -1:
        cdef pc_alloc alloc = pc_alloc(zalloc, release_block, NULL)
        if pc_census_init(&self.core, &alloc, len(types)) != PC_OK:
            raise MemoryError
        cdef size_t place
        for kind in types.values():
            kind = kind()
            place = 0 if kind is None else pc_place_of_type(<PyTypeObject *>kind)
            if place and pc_census_add(&self.core, <uintptr_t><void *>kind, place) != PC_OK:
                return False
        kind = None
        self.types = types
        return pc_window_open(&self.core, most)

    def end(self):
        """Return ``(seconds, blocks, [(weak reference to a type, gone, stayed), ...])`` of the window; None without one.

        ``gone`` objects were given back before a thousand more or so were made, or the window was over; ``stayed``
        outlived that. A window that had seen enough is as long as it took.
        """
        if pc_window.owner != &self.core:
            return None
        if pc_window.census != NULL and pc_hook_is_on_top():
            pc_census_end(&self.core)  # nobody frees a block meanwhile
        pc_window_close()
        cdef list counts = []
        cdef const pc_kind *kind
        for key, known in self.types.items():
            kind = pc_census_find(&self.core, key)
            if kind != NULL and kind.gone + kind.stayed:
                counts.append((known, kind.gone, kind.stayed))
        cdef double seconds = (pc_window.ended - pc_window.began) / 1e9
        cdef uint64_t born = self.core.born
        self.shut()
        return seconds, born, counts


def traced():
    """Whether somebody traces allocations; not asked of a module that nobody has imported."""
    tracemalloc = sys.modules.get("_tracemalloc")
    return tracemalloc is not None and tracemalloc.is_tracing()


cdef bint free():
    """Whether a window can be opened; takes off a hook that lay under another when its window ended, if it can now."""
    if pc_window.owner == NULL and pc_window.laid:
        pc_window_close()
    return pc_window_can_open()


cdef object verdict = None


def works():
    """Whether windows count right on this interpreter: tried once, with objects of each layout that there is."""
    global verdict
    if verdict is None and not traced() and free():
        verdict = tried()
    return bool(verdict)


cdef bint tried() except -1:
    cdef list bases = [(), (int,), (Exception,), (), ()]
    cdef list slots = [None, None, None, (), ("a", "__weakref__")]
    cdef list spaces = [{} if slot is None else {"__slots__": slot} for slot in slots]
    cdef list kinds = [type("Tried", base, space) for base, space in zip(bases, spaces)]
    cdef Census census = Census()
    if not census.open(1 << 20, {id(kind): ref(kind) for kind in kinds}):
        return False
    for times, kind in enumerate(kinds, 1):
        for _ in range(times):
            kind()
    _, _, counts = census.end()
    cdef dict seen = {id(known()): (gone, stayed) for known, gone, stayed in counts}
    return all([seen.get(id(kind)) == (times, 0) for times, kind in enumerate(kinds, 1)])


def pair_cost():
    """Return what a window adds to making an object that is counted and letting it go, in seconds, at least a nanosecond:
    measured here and now.
    """
    cdef Census census = Census()
    cdef double open = 1, closed = 1
    kind = type("Counted", (), {})
    cdef dict types = {id(kind): ref(kind)}
    for _ in range(7):
        closed = min(closed, made(kind, 500))
        if free() and census.open(1 << 30, types):
            open = min(open, made(kind, 500))
            census.end()
    return max(1e-9, (open - closed) / 500)


cdef double made(object kind, int times) except -1:
    """The seconds that it takes to make so many, each let go before the next."""
    cdef uint64_t start = pc_clock_ns()
    for _ in range(times):
        kind()
    return (pc_clock_ns() - start) / 1e9


def close_window():
    """Close the window, whoever opened it: at the interpreter's end, and in a forked child, where its owner is not."""
    pc_window_close()


atexit.register(close_window)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=close_window)
