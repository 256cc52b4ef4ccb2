"""The allow-list: classes whose instances may be stored, and how these are taken apart and rebuilt.

An instance is stored as the name of its class, a fingerprint of its field names, and its fields' values. It
is rebuilt by setting the fields: nothing named in stored bytes is imported or called. A class whose fields
have changed since no longer fits the fingerprint, and the entry is a miss.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from enum import Enum, Flag
from typing import Any, TypeVar

import msgspec
from xxhash import xxh32_intdigest

from perfcore.errors import UnreadableError

__all__ = ["allow", "rebuild", "take_apart"]

_C = TypeVar("_C", bound=type)


_by_type: dict[type, tuple[str, int, Callable[[Any], Iterable[Any]]]] = {}
_by_name: dict[str, tuple[type, int, Callable[[list[Any]], Any]]] = {}


def allow(
    cls: _C,
    /,
    *,
    name: str | None = None,
    pack: Callable[[Any], Any] | None = None,
    unpack: Callable[[Any], Any] | None = None,
) -> _C:
    """Let instances of ``cls`` be stored and read back; returns ``cls``, so it works as a decorator too.

    Enums, dataclasses, named tuples and msgspec structs need no more. Any other class needs ``pack``, which
    turns an instance into a value the codec knows, and ``unpack``, which does the reverse. ``name`` is what
    is stored (default: module and qualified name). Subclasses are not included. Raises :exc:`TypeError` for
    a class that cannot be rebuilt from its fields, :exc:`ValueError` for a ``name`` that another class has.

    >>> from dataclasses import dataclass
    >>> from perfcore.cache import codec
    >>> @codec.allow
    ... @dataclass(frozen=True)
    ... class Point:
    ...     x: int
    ...     y: int
    >>> codec.decode(codec.encode(Point(1, 2)))
    Point(x=1, y=2)
    """
    if pack is not None and unpack is not None:
        fields, apart, rebuilt = _by_functions(pack, unpack)
    else:
        fields, apart, rebuilt = _by_fields(cls)
    known = name or f"{cls.__module__}:{cls.__qualname__}"
    holder = _by_name.get(known, (cls,))[0]
    if holder is not cls:
        if name is not None:
            raise ValueError(f"another class is already allowed as {name!r}")
        _by_type.pop(
            holder, None
        )  # the same class defined again: its old instances must not return as new ones
    fingerprint = xxh32_intdigest("\0".join(fields).encode())
    _by_type[cls] = known, fingerprint, apart
    _by_name[known] = cls, fingerprint, rebuilt
    return cls


def take_apart(value: Any) -> tuple[str, int, Iterable[Any]]:
    """Return name, fingerprint and fields of ``value``; raises :exc:`TypeError` if its class is not
    allowed."""
    cls = type(value)
    try:
        name, fingerprint, apart = _by_type[cls]
    except KeyError:
        hint = f"; codec.allow({cls.__name__}) lets it" if _fits(cls) else ""
        raise TypeError(f"cannot store a value of type {cls.__module__}.{cls.__qualname__}{hint}") from None
    try:
        return name, fingerprint, apart(value)
    except AttributeError as error:
        raise TypeError(f"cannot store this {cls.__qualname__}: {error}") from error


def rebuild(name: str, fingerprint: int, values: list[Any]) -> Any:
    """Return the instance that :func:`take_apart` took apart."""
    cls, today, rebuilt = _by_name.get(name, (None, 0, list))
    if cls is None or fingerprint != today:
        raise UnreadableError(
            "a stored object is of a class that is not allowed here, or has other fields now"
        )
    return rebuilt(values)


_Way = tuple[tuple[str, ...], Callable[[Any], Iterable[Any]], Callable[[list[Any]], Any]]


def _by_functions(pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> _Way:
    return (), lambda value: (pack(value),), lambda values: unpack(values[0])


def _by_fields(cls: type) -> _Way:
    if issubclass(cls, Enum):
        return (), _enum_apart, lambda values: _enum_member(cls, values)
    if issubclass(cls, msgspec.Struct):
        return _struct(cls)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return cls._fields, tuple, cls._make  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(cls) and cls.__new__ is object.__new__:
        return _dataclass(cls)
    raise TypeError(f"cannot allow {cls.__qualname__} by its fields alone: give pack= and unpack=")


def _fits(cls: type) -> bool:
    try:
        _by_fields(cls)
    except TypeError:
        return False
    return True


def _enum_apart(member: Enum) -> Iterable[Any]:
    if member.name in type(member).__members__:
        return (member.name,)
    return None, member.value  # a combination of flags has no member of its own


def _enum_member(cls: type[Enum], values: list[Any]) -> Enum:
    if values[0] is None and issubclass(cls, Flag):
        return cls(values[1])
    return cls[values[0]]


def _dataclass(cls: type) -> _Way:
    names = tuple(field.name for field in dataclasses.fields(cls))

    def apart(value: Any) -> Iterable[Any]:
        return [getattr(value, name) for name in names]

    def rebuilt(values: list[Any]) -> Any:
        value: Any = object.__new__(cls)
        for name, item in zip(names, values, strict=True):
            object.__setattr__(value, name, item)  # also where the class is frozen
        return value

    return names, apart, rebuilt


def _struct(cls: type[msgspec.Struct]) -> _Way:
    names = cls.__struct_fields__

    def rebuilt(values: list[Any]) -> Any:
        value = cls(**dict(zip(names, values, strict=True)))
        if hasattr(
            cls, "__post_init__"
        ):  # it has run when the original was made, and may have changed fields
            for name, item in zip(names, values, strict=True):
                msgspec.structs.force_setattr(value, name, item)
        return value

    return names, msgspec.structs.astuple, rebuilt
