from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t


cdef class Tag:
    cdef object name
    cdef uint64_t invalidated  # the tick of its latest invalidation
    cdef object __weakref__


# What a cache stores in place of the value of an entry that has tags.
cdef class Label:
    cdef object value
    cdef tuple tags            # of Tag
    cdef uint64_t tick         # when the label was written


cdef class TagRegister:
    cdef object known          # name -> Tag, weakly: a tag that no label holds is forgotten
    cdef uint64_t tick         # invalidations so far

    cdef Label label(self, object names)
    cdef list named(self, object names)
    cdef void invalidate(self, list tags) noexcept


cdef inline bint is_label(PyObject *held) noexcept:
    return type(<object>held) is Label


cdef inline bint is_stale(PyObject *held) noexcept:
    """Whether one of the label's tags was invalidated after it was written."""
    cdef Label label = <Label>held
    for tag in label.tags:
        if (<Tag>tag).invalidated > label.tick:
            return True
    return False


cdef inline PyObject *value_of(PyObject *held) noexcept:
    """The value, borrowed, of what a slot holds."""
    return <PyObject *>(<Label>held).value if is_label(held) else held
