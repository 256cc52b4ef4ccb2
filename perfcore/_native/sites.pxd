# Where something was acquired, noted for one acquisition in some. A note is what running code is known by, a tuple of code
# objects and instructions, and becomes a text when it is told, which few ever are: 950 instructions instead of 16,400.
from libc.stdint cimport uint32_t, uint64_t


cdef extern from *:
    """
    /* Whether the golden ratio draws this number: one in n, and with no rhythm that a caller could have. */
    static inline int pc_number_drawn(uint64_t number, uint32_t n)
    {
        return n != 0 && (uint64_t)(uint32_t)((uint32_t)number * 0x9e3779b9u) * n >> 32 == 0;
    }

    enum { PC_SITE_FRAMES = 4 };

    /* (code, instruction, code, instruction, ...) of the frames that run, innermost first. */
    static PyObject *pc_call_site(void)
    {
        PyObject *site = PyTuple_New(2 * PC_SITE_FRAMES), *instruction = NULL;
        PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get()), *inner;
        Py_ssize_t n = 0;
        while (site != NULL && frame != NULL && n < 2 * PC_SITE_FRAMES &&
               (instruction = PyLong_FromLong(PyFrame_GetLasti(frame))) != NULL) {
            PyTuple_SET_ITEM(site, n++, (PyObject *)PyFrame_GetCode(frame));
            PyTuple_SET_ITEM(site, n++, instruction);
            inner = frame;
            frame = PyFrame_GetBack(inner);
            Py_DECREF(inner);
        }
        Py_XDECREF(frame);
        if (site == NULL || PyErr_Occurred()) {
            Py_XDECREF(site);
            return NULL;
        }
        for (; n < 2 * PC_SITE_FRAMES; n++)
            PyTuple_SET_ITEM(site, n, Py_NewRef(Py_None));
        return site;
    }
    #define pc_line_of(code, instruction) PyCode_Addr2Line((PyCodeObject *)(code), instruction)
    """
    bint pc_number_drawn(uint64_t number, uint32_t n)
    tuple call_site "pc_call_site"()
    int pc_line_of(object code, int instruction)


# ``leaks`` is a dict, and not declared as one: Cython then borrows what dict.get finds, which another thread may replace
# and so free where there is no GIL.
cdef inline int count_leak(object leaks, tuple site, str what) except -1:
    """Count what was lost under the text of its site, and log the first of each place."""
    cdef Py_ssize_t i
    cdef object count
    found = []
    for i in range(0, len(site), 2):
        code = site[i]
        if code is not None:
            found.append(f"{code.co_filename}:{pc_line_of(code, site[i + 1])} in {code.co_name}")
    text = " < ".join(found)
    count = leaks.get(text, 0) + 1
    leaks[text] = count
    if count == 1:
        from perfcore._log import logger
        logger("memory").warning("%s was never released; it was acquired at %s", what, text)
    return 0
