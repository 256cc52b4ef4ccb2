"""How the keys of one cache manager are spelled on the tiers below memory: namespace and version belong to
them.
"""

from __future__ import annotations

from typing import Any

from perfcore.cache.keys import decode_key, encode_key
from perfcore.errors import CodecError, ConfigError

__all__ = ["FOREIGN", "Names"]

#: What stands before namespace, version and key, so that no key of anybody's own looks like it.
_MARK = "\x9dperfcore"
#: Stands for a key of somebody else's.
FOREIGN: Any = object()


class Names:
    """Encodes the keys of one namespace and version; without either they are those of a plain tier.

    Raises :exc:`ConfigError` when ``namespace`` is not a str or ``version`` neither a str nor an int.

    >>> names = Names("shop", 2)
    >>> names.decode(names.encode("user:1")), names.decode(Names("shop", 3).encode("user:1")) is FOREIGN
    ('user:1', True)
    """

    def __init__(self, namespace: str = "", version: str | int | None = None) -> None:
        if not isinstance(namespace, str):
            raise ConfigError(f"namespace: expected a str, got {type(namespace).__name__}")
        if version is not None and (isinstance(version, bool) or not isinstance(version, str | int)):
            raise ConfigError(f"version: expected a str or an int, got {type(version).__name__}")
        self.prefix = (namespace, version) if namespace or version is not None else None
        self._head = b"" if self.prefix is None else encode_key((_MARK, namespace, version))

    def encode(self, key: Any, /) -> bytes:
        """Return the canonical bytes of ``key``; raises :exc:`TypeError` when it cannot be one."""
        name = encode_key(key)
        return b"%b%b%b" % (self._head, len(name).to_bytes(4, "big"), name) if self._head else name

    def decode(self, name: bytes, /) -> Any:
        """Return the key with these canonical bytes, FOREIGN when it is not in this namespace and version."""
        try:
            if not self._head:
                key = decode_key(name)
                return FOREIGN if type(key) is tuple and key[:1] == (_MARK,) else key
            return decode_key(name[len(self._head) + 4 :]) if name.startswith(self._head) else FOREIGN
        except CodecError:
            return FOREIGN
