# The idle objects of a pool: a stack with room for so many, each with the time at which it was made. A reference that is
# put there is the shelf's, and one that is taken the caller's: references move, and nothing is counted or dies.
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

from perfcore._native.gc cimport visitproc


cdef extern from *:
    """
    typedef struct {
        PyObject *value;
        uint64_t born;
    } pc_parked;

    typedef struct {
        pc_parked *items;
        Py_ssize_t count, room;
    } pc_shelf;

    /* False when memory ran out. */
    static int pc_shelf_init(pc_shelf *shelf, Py_ssize_t room)
    {
        shelf->items = PyMem_RawCalloc(room, sizeof(pc_parked));
        shelf->room = room;
        return shelf->items != NULL;
    }

    static inline void pc_shelf_put(pc_shelf *shelf, PyObject *value, uint64_t born)
    {
        pc_parked *top = &shelf->items[shelf->count++];
        top->value = value;
        top->born = born;
    }

    /* What was put there last, or NULL. */
    static inline PyObject *pc_shelf_take(pc_shelf *shelf, uint64_t *born)
    {
        if (shelf->count == 0)
            return NULL;
        pc_parked *top = &shelf->items[--shelf->count];
        *born = top->born;
        return top->value;
    }

    /* What was put there first; there is something. */
    static PyObject *pc_shelf_take_first(pc_shelf *shelf)
    {
        PyObject *value = shelf->items[0].value;
        memmove(shelf->items, shelf->items + 1, --shelf->count * sizeof(pc_parked));
        return value;
    }

    static int pc_shelf_traverse(pc_shelf *shelf, visitproc visit, void *arg)
    {
        for (Py_ssize_t i = 0; i < shelf->count; i++)
            Py_VISIT(shelf->items[i].value);
        return 0;
    }

    static void pc_shelf_free(pc_shelf *shelf)
    {
        while (shelf->count)
            Py_DECREF(shelf->items[--shelf->count].value);
        PyMem_RawFree(shelf->items);
    }
    """
    ctypedef struct pc_shelf:
        Py_ssize_t count, room
    bint pc_shelf_init(pc_shelf *shelf, Py_ssize_t room) noexcept
    void pc_shelf_put(pc_shelf *shelf, PyObject *value, uint64_t born) noexcept
    PyObject *pc_shelf_take(pc_shelf *shelf, uint64_t *born) noexcept
    PyObject *pc_shelf_take_first(pc_shelf *shelf) noexcept
    int pc_shelf_traverse(pc_shelf *shelf, visitproc visit, void *arg) noexcept
    void pc_shelf_free(pc_shelf *shelf) noexcept
