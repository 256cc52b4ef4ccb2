"""Any storable value as self-describing bytes, and back, with nothing in the bytes that could run."""

from __future__ import annotations

from typing import Any

from perfcore._repr import safe_repr
from perfcore.cache.codec import arrays, values
from perfcore.cache.codec.entry import COMPRESSED, Entry, seal, unseal
from perfcore.errors import CodecError, UnreadableError

__all__ = ["Codec", "decode", "encode"]

#: What a payload is: the value's own bytes, MessagePack with our extensions, a numpy array, or a pickle.
RAW, MESSAGEPACK, ARRAY, PICKLE = range(4)


class Codec:
    """Encodes values by exact type and decodes only what :func:`allow` and the built-in list permit.

    ``pickle=True`` lets every other value through as a pickle, which runs code when it is read: only for
    stores that nobody else can write to. ``secret`` (16 bytes or more) signs every entry and refuses those
    not signed with it; a signature does not stop an older entry of the same key from being put back.

    >>> from datetime import date
    >>> codec = Codec()
    >>> codec.decode(codec.encode({"day": date(2026, 1, 31), "at": (1, 2.5, {b"x"})}))
    {'day': datetime.date(2026, 1, 31), 'at': (1, 2.5, {b'x'})}
    """

    def __init__(self, *, pickle: bool = False, secret: bytes | None = None) -> None:
        if secret is not None and len(secret) < 16:
            raise ValueError(f"a secret has 16 bytes or more, this one has {len(secret)}")
        self.secret = secret
        self._pickle = pickle

    @safe_repr
    def __repr__(self) -> str:
        return f"Codec(pickle={self._pickle}, signed={self.secret is not None})"

    def pack(self, value: Any, /) -> tuple[int, bytes]:
        """Return the kind and the payload of ``value``; the payload of ``bytes`` is the object itself.

        Raises :exc:`TypeError` naming the type that cannot be stored.
        """
        kind = type(value)
        if kind is bytes:
            return RAW, value
        try:
            if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
                return ARRAY, arrays.pack_array(value)
            return MESSAGEPACK, values.pack(value)
        except TypeError:
            if not self._pickle:
                raise
        import pickle

        return PICKLE, pickle.dumps(value, protocol=5)

    def unpack(self, kind: int, payload: bytes | memoryview, /) -> Any:
        """Return the value; raises :exc:`CodecError` for anything that :meth:`pack` could not have made.

        That is an :exc:`UnreadableError` when another process might make a value of it, or this one later.
        """
        try:
            if kind == MESSAGEPACK:
                return values.unpack(payload)
            if kind == RAW:
                return bytes(payload)
            if kind == ARRAY:
                return arrays.unpack_array(payload)
            if kind == PICKLE and self._pickle:
                import pickle

                return pickle.loads(payload)
        except CodecError:
            raise
        except (RecursionError, MemoryError) as error:  # what is above this call may be to blame
            raise UnreadableError(f"no room to make a stored value: {type(error).__name__}") from error
        except Exception as error:  # whatever hostile bytes provoke in a constructor of the allow-list
            raise CodecError(f"stored bytes are not a value: {type(error).__name__}") from error
        if kind == PICKLE:
            raise UnreadableError("a stored value is a pickle")
        raise CodecError(f"a value is of unknown kind {kind}")

    def encode(self, value: Any, *, key: bytes = b"") -> bytes:
        """Return ``value`` as bytes; raises :exc:`TypeError` naming what cannot be stored."""
        kind, payload = self.pack(value)
        return seal(key, Entry(kind, 0, 0, len(payload), 0, 0, payload), self.secret)

    def decode(self, data: bytes, *, key: bytes = b"") -> Any:
        """Return the value; raises :exc:`CodecError` when damaged, foreign, forged or for another key."""
        entry = Entry._make(unseal(data, key, self.secret))
        if entry.flags & COMPRESSED or entry.raw_length != len(entry.payload):
            raise CodecError("a stored entry is compressed or has a wrong length")
        return self.unpack(entry.kind, entry.payload)


_default = Codec()
encode = _default.encode
decode = _default.decode
