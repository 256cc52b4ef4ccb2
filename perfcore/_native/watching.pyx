"""Whether anybody watches what is done on behalf of a call, at the price of one look at a word.

The context variable of :mod:`perfcore.metrics.instrument` says who; asking it takes longer than a hit of a cache, and
nearly always the answer is nobody.
"""

cimport cython

__all__ = ["WATCHERS", "Watchers"]


@cython.final
@cython.binding(False)
@cython.auto_pickle(False)
cdef class Watchers:
    """How many watch, in all threads together.

    >>> watchers = Watchers()
    >>> watchers.come(); watchers.come(); watchers.go()
    >>> watchers.number
    1
    """

    def come(self):
        """Count one more."""
        pc_watchers_add(&self.number, 1)

    def go(self):
        """Count one less."""
        pc_watchers_add(&self.number, -1)

    @property
    def number(self):
        """How many there are."""
        return pc_watchers_count(&self.number)


#: those of the process
WATCHERS = Watchers()
