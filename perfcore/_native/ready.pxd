cdef class Ready:
    cdef object value
    cdef bint spent

    cdef object spend(self)
