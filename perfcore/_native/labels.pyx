"""Entries whose tags are noted before their values are computed, as functions over the engine.

``label`` comes first, ``put`` when there is a value: what is invalidated in between makes the entry stale.
"""

from cpython.ref cimport PyObject

from perfcore._native.engine cimport CacheEngine
from perfcore._native.tags cimport Label, is_stale

__all__ = ["holds", "label", "put"]


def label(CacheEngine cache not None, tags):
    """The label of an entry with these tags, for ``put``, once; None where there are no tags."""
    return cache.label_of(tags)


def holds(CacheEngine cache not None, Label label not None):
    """Whether none of the label's tags was invalidated since it was made."""
    cdef bint stale
    cache.lock()
    stale = is_stale(<PyObject *>label)
    cache.unlock()
    return not stale


def put(CacheEngine cache not None, key, value, ttl, Label label not None):
    """Store a value for ``ttl`` seconds, None being the cache's own, under the label."""
    cache.store(key, value, ttl, None, label, True)
