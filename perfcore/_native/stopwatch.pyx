"""Timing the next calls of a Python function that make objects of one type, and no others.

A function's ``vectorcall`` is a field that may be set (``PyFunction_SetVectorcall``, 3.12). A stopwatch puts itself there,
takes the time of as many calls as it was asked for, and takes itself away: what is not watched costs nothing, and what
was watched costs nothing more. Where a class is called again and again the interpreter (3.12) enters its ``__init__`` by
a shortcut that does not look at the field; each such place forgets that, for about fifty calls, when the type is said
to be modified, as is done when watching begins.

Only where there is a GIL: another thread may be calling the function.
"""

cimport cython
from libc.stdint cimport uint64_t

from weakref import ref

__all__ = ["Stopwatch"]

cdef extern from *:
    """
    #include "clock.h"

    enum { PC_WATCHED = 16, PC_TIMES = 64 };

    typedef struct {
        PyObject *function; /* borrowed: who sets it holds a weak reference. NULL: free */
        PyObject *kind;     /* borrowed, and only compared */
        uint64_t ticket;    /* this use of the place */
        unsigned wanted, count;
        uint64_t times[PC_TIMES];
    } pc_watch;

    static pc_watch pc_watches[PC_WATCHED];
    static uint64_t pc_tickets;
    static vectorcallfunc pc_plain_call; /* what every function has that nobody changed */

    static void pc_function_set(PyObject *function, vectorcallfunc call)
    {
    #if PY_VERSION_HEX >= 0x030C0000
        PyFunction_SetVectorcall((PyFunctionObject *)function, call);
    #else
        ((PyFunctionObject *)function)->vectorcall = call;
    #endif
    }

    static pc_watch *pc_watch_of(PyObject *function)
    {
        for (int i = 0; i < PC_WATCHED; i++)
            if (pc_watches[i].function == function)
                return &pc_watches[i];
        return NULL;
    }

    static PyObject *pc_timed_call(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *names);

    static int pc_is_timed(PyObject *function)
    {
        return ((PyFunctionObject *)function)->vectorcall == pc_timed_call;
    }

    static void pc_untimed(PyObject *function)
    {
        if (pc_is_timed(function))
            pc_function_set(function, pc_plain_call);
    }

    /* For __init__ the first argument is of the type, for __new__ it is the type. */
    static int pc_makes(pc_watch *watch, PyObject *const *args, size_t nargsf)
    {
        return PyVectorcall_NARGS(nargsf) > 0
            && (args[0] == watch->kind || (PyObject *)Py_TYPE(args[0]) == watch->kind);
    }

    static PyObject *pc_timed_call(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *names)
    {
        pc_watch *watch = pc_watch_of(function);
        uint64_t ticket, start, took;
        PyObject *result;
        if (watch == NULL)
            pc_untimed(function);
        if (watch == NULL || !pc_makes(watch, args, nargsf))
            return pc_plain_call(function, args, nargsf, names);
        ticket = watch->ticket;
        start = pc_clock_ns();
        result = pc_plain_call(function, args, nargsf, names);
        took = pc_clock_ns() - start;
        if (watch->ticket != ticket || result == NULL || watch->count == watch->wanted)
            return result; /* the place is another's by now, or nothing was made */
        watch->times[watch->count++] = took;
        if (watch->count == watch->wanted && watch->function == function)
            pc_untimed(function);
        return result;
    }

    /* 0 when there is no place, or the function is not as it was made: somebody else calls it in his own way. */
    static uint64_t pc_watch_begin(PyObject *function, PyObject *kind, unsigned wanted)
    {
        pc_watch *watch = pc_watch_of(function);
        if (((PyFunctionObject *)function)->vectorcall != pc_plain_call)
            return 0;
        if (watch == NULL) /* else the place of one that died here, or has been called often enough */
            watch = pc_watch_of(NULL);
        if (watch == NULL)
            return 0;
        watch->function = function;
        watch->kind = kind;
        watch->ticket = ++pc_tickets;
        watch->wanted = wanted < PC_TIMES ? wanted : PC_TIMES;
        watch->count = 0;
        pc_function_set(function, pc_timed_call);
        PyType_Modified((PyTypeObject *)kind);
        return watch->ticket;
    }

    static pc_watch *pc_watch_with(uint64_t ticket)
    {
        for (int i = 0; i < PC_WATCHED; i++)
            if (pc_watches[i].ticket == ticket)
                return &pc_watches[i];
        return NULL;
    }

    static void pc_watch_end(pc_watch *watch)
    {
        watch->function = watch->kind = NULL;
        watch->ticket = 0;
    }

    static void pc_learn_plain_call(PyObject *function)
    {
        pc_plain_call = ((PyFunctionObject *)function)->vectorcall;
    }

    #ifdef Py_GIL_DISABLED
    #define PC_STOPWATCHES 0
    #else
    #define PC_STOPWATCHES 1
    #endif
    """
    bint PC_STOPWATCHES
    ctypedef struct pc_watch:
        unsigned count
        uint64_t *times
    uint64_t pc_watch_begin(object function, object kind, unsigned wanted)
    pc_watch *pc_watch_with(uint64_t ticket)
    void pc_watch_end(pc_watch *watch)
    void pc_untimed(object function)
    void pc_learn_plain_call(object function)

cdef extern from "Python.h":
    bint PyFunction_Check(object thing)

pc_learn_plain_call(eval("lambda: None"))


@cython.final
@cython.auto_pickle(False)
cdef class Stopwatch:
    """The times of the next ``wanted`` calls (at most 64) of ``function`` that make a ``kind``.

    Neither is kept alive. Where the function cannot be watched there will be no times: it is not written in Python,
    somebody else has changed how it is called, too many are watched, or there is no GIL.
    """

    cdef object function
    cdef uint64_t ticket

    def __cinit__(self, function, kind, unsigned wanted=64, /):
        if PC_STOPWATCHES and PyFunction_Check(function) and wanted:
            self.function = ref(function)
            self.ticket = pc_watch_begin(function, kind, wanted)

    def __dealloc__(self):
        self.stop()

    @property
    def watching(self):
        """Whether the function is watched, or was and has been called often enough."""
        return self.ticket != 0

    def times(self):
        """Return the seconds that each call took so far."""
        cdef pc_watch *watch = pc_watch_with(self.ticket) if self.ticket else NULL
        return [] if watch == NULL else [watch.times[i] / 1e9 for i in range(watch.count)]

    cpdef void stop(self) noexcept:
        """Watch no longer, and forget the times."""
        cdef pc_watch *watch = pc_watch_with(self.ticket) if self.ticket else NULL
        function = None if self.function is None else self.function()
        if function is not None:
            pc_untimed(function)
        if watch != NULL:
            pc_watch_end(watch)
        self.ticket = 0
