"""What a cached value is on the tiers: a copy that nobody can change."""

from __future__ import annotations

from typing import Any

from perfcore.cache.codec import Codec
from perfcore.errors import CodecError

__all__ = ["Values"]

#: Values of exactly these types cannot change and stay as they are; a hit returns them at once.
_LEAVES = frozenset({str, bytes, int, float, bool, type(None)})


class Values:
    """Packs values into bytes, so that what is cached and what callers have are never one object.

    >>> values, row = Values(Codec()), {"scores": [1, 2]}
    >>> held = values.pack(row)
    >>> row["scores"].append(3)
    >>> values.unpack(held, None), values.pack("text")
    ({'scores': [1, 2]}, 'text')
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def pack(self, value: Any) -> Any:
        """Return what is stored for ``value``; raises :exc:`TypeError` for one that cannot be stored."""
        return value if type(value) in _LEAVES else self._codec.pack(value)

    def unpack(self, held: Any, default: Any) -> Any:
        """Return the value, or ``default`` when it is damaged, not ours, or of a class that is gone."""
        if type(held) in _LEAVES:
            return held
        if type(held) is not tuple or tuple(map(type, held)) != (int, bytes):
            return default
        try:
            return self._codec.unpack(*held)
        except CodecError:
            return default
