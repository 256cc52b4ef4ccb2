"""Values as MessagePack, with extension types for all that MessagePack would not bring back as it was.

A plain value is written in one pass (:func:`perfcore._native.plain.pack_plain`). Any other is rewritten
for msgspec first: what MessagePack lacks becomes an ``Ext`` whose data is again MessagePack, so that inside a
tuple or a dataclass everything plain still moves at C speed. One reader
(:func:`perfcore._native.unpack.unpack_plain`) takes both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import msgpack

from perfcore._native.plain import MAX_DEPTH, pack_plain
from perfcore._native.unpack import unpack_plain
from perfcore.cache.codec import arrays, objects
from perfcore.cache.codec.leaves import LEAVES, Leaf
from perfcore.errors import CodecError

__all__ = ["MAX_DEPTH", "pack", "unpack"]

Ext = msgpack.Ext
_encode = msgpack.Encoder().encode

_TUPLE, _SET, _FROZENSET, _PAIRS, _ROWS, _OBJECT, _ARRAY, _SCALAR = range(16, 24)
_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_SEQUENCES: dict[type, int] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET}
#: A value that contains another one twice, which does the same, doubles at each level. Others do not reach
#: these: the largest that is stored takes 256 MB.
_MOST_PARTS, _MOST_BYTES = 1 << 22, 1 << 30
_LEAVES = {kind: leaf for leaf in LEAVES for kind in leaf.types}


def pack(value: Any) -> bytes:
    """Return ``value`` as MessagePack; raises :exc:`TypeError` naming what cannot be kept exactly."""
    packed = pack_plain(value)
    if packed is not None:
        return packed
    try:
        return _encode(_Packer(_SCALARS).pack(value, _TOP))
    except (
        OverflowError,
        UnicodeEncodeError,
    ):  # an int beyond 64 bits, or text with surrogates, somewhere inside
        return _encode(_Packer(_SCALARS - {int, str}).pack(value, _TOP))
    except RecursionError:
        raise TypeError("cannot store a value nested so deep below this call stack") from None


#: The containers above a value: how many, the innermost, and those above it.
_Path = tuple[int, Any, Any]
_TOP: _Path = (0, None, None)


class _Packer:
    """Rewrites one value level by level; ``passed`` are the exact types that msgspec may see unchanged."""

    def __init__(self, passed: frozenset[type]) -> None:
        self._passed = passed
        self._parts, self._bytes = _MOST_PARTS, _MOST_BYTES

    def pack(self, value: Any, above: _Path) -> Any:
        kind = type(value)
        if kind in self._passed:
            return value
        self._parts -= 1
        if self._parts < 0:
            raise TypeError(f"cannot store a value of more than {_MOST_PARTS} parts")
        if kind in _LEAVES:
            return _pack_leaf(value, _LEAVES[kind])
        depth = above[0]
        if depth >= MAX_DEPTH:
            raise TypeError(_too_deep(value, above))
        path = depth + 1, value, above
        if kind is list:
            return self._list(value, path)
        if kind is dict:
            return self._dict(value, path)
        if kind in _SEQUENCES:
            return self._inside(_SEQUENCES[kind], self._items(value, path))
        return self._object(value, kind, path)

    def _items(self, items: Any, path: _Path) -> Any:
        """The items of a list, tuple or set as something that msgspec writes as an array."""
        if self._passed.issuperset(map(type, items)):
            return items
        return [self.pack(item, path) for item in items]

    def _list(self, items: list[Any], path: _Path) -> Any:
        if set(map(type, items)) == {tuple} and all(self._passed.issuperset(map(type, row)) for row in items):
            return self._inside(_ROWS, items)  # a table: one extension, not one for each row
        return self._items(items, path)

    def _dict(self, items: dict[Any, Any], path: _Path) -> Any:
        if not self._passed.issuperset(map(type, items)):
            pairs = [part for pair in items.items() for part in pair]
            return self._inside(_PAIRS, self._items(pairs, path))
        if self._passed.issuperset(map(type, items.values())):
            return items
        return {key: self.pack(item, path) for key, item in items.items()}

    def _object(self, value: Any, kind: type, path: _Path) -> Any:
        if kind.__module__ == "numpy":
            import numpy as np  # loaded already, or there would be no such value

            if issubclass(kind, np.ndarray):
                return Ext(_ARRAY, arrays.pack_array(value))
            if issubclass(kind, np.generic):
                return Ext(_SCALAR, arrays.pack_scalar(value))
        name, fingerprint, fields = objects.take_apart(value)
        return self._inside(_OBJECT, [name, fingerprint, *self._items(list(fields), path)])

    def _inside(self, code: int, items: Any) -> msgpack.Ext:
        data = _encode(items)
        self._bytes -= len(data)
        if self._bytes < 0:
            raise TypeError(f"cannot store a value that takes more than {_MOST_BYTES >> 30} GB to write")
        return Ext(code, data)


def _too_deep(value: Any, above: _Path) -> str:
    name = type(value).__qualname__
    path = above
    while path[0]:
        if path[1] is value:
            return f"cannot store a recursive structure: this {name} contains itself"
        path = path[2]
    return f"cannot store a {name} nested deeper than {MAX_DEPTH}"


def _pack_leaf(value: Any, leaf: Leaf) -> Any:
    if type(value) is int and -(1 << 63) <= value < 1 << 64:
        return value
    if type(value) is str and value.isascii():
        return value
    return Ext(leaf.code, leaf.write(value))


def _read(code: int, data: memoryview) -> Any:
    reader = _READERS.get(code)
    if reader is None:
        raise CodecError(f"stored bytes use an unknown extension, {code}")
    return reader(data)


def _read_pairs(data: memoryview) -> dict[Any, Any]:
    parts = iter(_decode_list(data))
    return dict(zip(parts, parts, strict=True))


def _read_object(data: memoryview) -> Any:
    name, fingerprint, *values = _decode_list(data)
    return objects.rebuild(name, fingerprint, values)


#: Returns the value in bytes or a memoryview; anything but :func:`pack`'s work may raise any exception.
unpack: Callable[[bytes | memoryview], Any] = partial(unpack_plain, _read)
_decode_list = msgpack.Decoder(list, ext_hook=_read).decode

_READERS: dict[int, Callable[[memoryview], Any]] = {
    **{leaf.code: leaf.read for leaf in LEAVES},
    _TUPLE: msgpack.Decoder(tuple, ext_hook=_read).decode,
    _SET: msgpack.Decoder(set, ext_hook=_read).decode,
    _FROZENSET: msgpack.Decoder(frozenset, ext_hook=_read).decode,
    _PAIRS: _read_pairs,
    _ROWS: msgpack.Decoder(list[tuple[Any, ...]]).decode,
    _OBJECT: _read_object,
    _ARRAY: arrays.unpack_array,
    _SCALAR: arrays.unpack_scalar,
}
