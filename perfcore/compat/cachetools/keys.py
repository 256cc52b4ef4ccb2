"""cachetools' key functions, which are those of :mod:`perfcore.keys`."""

from perfcore.keys import hashkey, methodkey, typedkey, typedmethodkey

__all__ = ["hashkey", "methodkey", "typedkey", "typedmethodkey"]
