"""What a class is, asked of the class itself: its metaclass may answer what it likes, or raise."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["constructor_of", "is_ours", "name_of"]

_mro = type.__dict__["__mro__"].__get__
_namespace = type.__dict__["__dict__"].__get__
_qualname = type.__dict__["__qualname__"].__get__


def _module(kind: type[Any]) -> str:
    module = _namespace(kind).get("__module__")
    return module if type(module) is str else "builtins"


def name_of(kind: type[Any]) -> str:
    """Return the full name of a class.

    >>> name_of(dict)
    'builtins.dict'
    """
    return f"{_module(kind)}.{_qualname(kind)}"


def is_ours(kind: type[Any]) -> bool:
    """Whether a class is the standard library's or this package's: nobody else says how those are made.

    >>> import pathlib
    >>> is_ours(pathlib.PurePath)
    True
    """
    root = _module(kind).partition(".")[0]
    return root == "perfcore" or (
        root in sys.stdlib_module_names and root != "builtins"
    )  # which no class has


def constructor_of(kind: type[Any]) -> object:
    """Return what makes the objects of a class its own: its ``__init__``, or else its ``__new__``; None if it
    has neither.

    >>> class Point:
    ...     def __init__(self): ...
    >>> constructor_of(Point) is Point.__init__
    True
    """
    for name in ("__init__", "__new__"):
        for base in _mro(kind)[:-1]:
            found = _namespace(base).get(name)
            if found is not None:
                return found.__func__ if type(found) is staticmethod else found
    return None
