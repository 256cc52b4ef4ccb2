"""Tags of cache entries. To invalidate a tag moves one number: the entries notice when they are next looked at.

An entry with tags is stored as a ``Label``: its value, its tags, and the tick of the register's clock at which it was
written. Invalidation moves the clock on and notes its new time in the tag; a label is stale when one of its tags was
invalidated after it was written. So an entry without tags pays one comparison of types, and invalidation costs the same
for one entry and for a million.
"""

from weakref import WeakValueDictionary

cimport cython

__all__ = ["Label", "Tag", "TagRegister"]


@cython.final
@cython.auto_pickle(False)
cdef class Tag:
    """A tag of one cache, shared by all labels that bear it."""


@cython.final
@cython.auto_pickle(False)
cdef class Label:
    """A value with tags, as a slot holds it."""


@cython.final
@cython.auto_pickle(False)
cdef class TagRegister:
    """The tags of one cache: ``label`` before a value is computed, ``invalidate`` under the cache's lock."""

    def __cinit__(self):
        self.known = WeakValueDictionary()

    cdef Label label(self, object names):
        """A label without a value; None where there are no names. What is invalidated from now on makes it stale."""
        cdef Label label = Label.__new__(Label)
        cdef list tags = []
        label.tick = self.tick
        if isinstance(names, (str, bytes)):
            raise TypeError(f"tags must be an iterable of tags, not {type(names).__name__}")
        for name in names:
            fresh = Tag.__new__(Tag)
            (<Tag>fresh).name = name
            tags.append(self.known.setdefault(name, fresh))
        label.tags = tuple(tags)
        return label if tags else None

    cdef list named(self, object names):
        """The tags of these names that any label bears."""
        return [tag for tag in map(self.known.get, names) if tag is not None]

    cdef void invalidate(self, list tags) noexcept:
        self.tick += 1
        for tag in tags:
            (<Tag>tag).invalidated = self.tick
