"""Keys below the memory tier: one reversible byte string for all keys that are one in a dict.

``s`` and UTF-8 for str, ``b`` and the bytes, ``i`` and the shortest big-endian two's complement for
integers (also ``True`` and ``2.0``), ``n`` for None, ``t`` and each item after its length (4 bytes,
big-endian) for tuples. ``docs/format.md`` says it again for other languages.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from xxhash import xxh3_128_digest

from perfcore.errors import CodecError

__all__ = ["DIGEST_BYTES", "Key", "decode_key", "digest", "encode_key"]

Key: TypeAlias = "str | bytes | int | float | tuple[Key, ...] | None"

DIGEST_BYTES = 16

#: Deeper keys are refused: a key is a name, and each level costs two frames of Python's stack here and in
#: hash().
_MAX_DEPTH = 32

_BASES: tuple[type, ...] = (str, bytes, int, tuple)


def encode_key(key: Any, /) -> bytes:
    """Return the canonical bytes of ``key``.

    Raises :exc:`TypeError` for anything but str, bytes, int, None and tuples of them; a float is taken when
    it is an integer, because ``1.0 == 1 == True`` in a dict too. A subclass counts as its base if it
    compares like it.

    >>> encode_key("user:1"), encode_key(True) == encode_key(1.0) == encode_key(1)
    (b'suser:1', True)
    >>> encode_key(["user", 1])
    Traceback (most recent call last):
        ...
    TypeError: a key is a str, bytes, int, None or a tuple of them, not a list
    """
    if type(key) is str:
        return b"s" + key.encode("utf-8", "surrogatepass")
    return _encode(key, 0)


def _encode(key: Any, depth: int) -> bytes:
    kind = _base(key)
    if kind is str:
        return b"s" + str.encode(key, "utf-8", "surrogatepass")
    if kind is bytes:
        return b"".join((b"b", key))
    if kind is int:
        return b"i" + _integer(int(key) if type(key) is float else int.__index__(key))
    if kind is tuple:
        return _tuple(key, depth + 1)
    return b"n"


def _base(key: Any) -> type | None:
    """The type that ``key`` is encoded as; None stands for None itself."""
    kind = type(key)
    if kind in _BASES:
        return kind
    if key is None:
        return None
    if kind is float:
        if key.is_integer():
            return int
        raise TypeError(f"a float key must be an integer, not {key!r}")
    for base in _BASES:
        if issubclass(kind, base) and _compares_like(kind, base):
            return base
    raise TypeError(f"a key is a str, bytes, int, None or a tuple of them, not a {kind.__name__}")


def _compares_like(kind: type, base: type) -> bool:
    return kind.__eq__ is base.__eq__ and kind.__hash__ is base.__hash__


def _integer(number: int) -> bytes:
    magnitude = number if number >= 0 else ~number
    return number.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True)


def _tuple(items: tuple[Any, ...], depth: int) -> bytes:
    if depth > _MAX_DEPTH:
        raise TypeError(f"a key is nested at most {_MAX_DEPTH} deep")
    parts = [b"t"]
    for item in tuple.__iter__(items):
        part = _encode(item, depth)
        parts += (len(part).to_bytes(4, "big"), part)
    return b"".join(parts)


def decode_key(data: bytes, /) -> Any:
    """Return the key whose canonical bytes are ``data``; raises :exc:`CodecError` if there is none.

    >>> decode_key(encode_key(("tenant", 7, None)))
    ('tenant', 7, None)
    """
    try:
        key = _decode(data, 0)
    except (UnicodeDecodeError, IndexError) as error:
        raise CodecError("a stored key is damaged") from error
    if encode_key(key) != data:  # a second spelling of a key would let two entries answer to one name
        raise CodecError("a stored key is not in canonical form")
    return key


def _decode(data: bytes, depth: int) -> Any:
    tag, body = data[0], data[1:]
    if tag == 0x73:
        return body.decode("utf-8", "surrogatepass")
    if tag == 0x62:
        return body
    if tag == 0x69:
        return int.from_bytes(body, "big", signed=True)
    if tag == 0x6E:
        return None
    if tag == 0x74 and depth < _MAX_DEPTH:
        return tuple(_items(body, depth + 1))
    raise CodecError("a stored key is of no known kind")


def _items(body: bytes, depth: int) -> list[Any]:
    items, start = [], 0
    while start < len(body):
        end = start + 4 + int.from_bytes(body[start : start + 4], "big")
        items.append(_decode(body[start + 4 : end], depth))
        start = end
    return items


def digest(canonical: bytes, /) -> bytes:
    """Return the 16 bytes (XXH3-128) under which the key with these canonical bytes is filed."""
    return xxh3_128_digest(canonical)
