from perfcore._native.c.queue cimport pc_queue


cdef class EventQueue:
    cdef pc_queue *core
    cdef object anchor          # never set: makes the collector visit queues, and so what they hold
    cdef object __weakref__

    cdef object take(self)
