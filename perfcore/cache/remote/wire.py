"""Commands as bytes, and what servers answer when they refuse one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

__all__ = ["UNAVAILABLE", "Ask", "address_in", "code_of", "pack", "refused"]

#: The answer of a server that cannot be had.
UNAVAILABLE: Any = type("Unavailable", (), {"__repr__": lambda self: "UNAVAILABLE", "__slots__": ()})()

#: Errors that a client library gives a class, and takes the first word of.
_CODES: Final = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "MovedError": "MOVED",
    "AskError": "ASK",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "NoScriptError": "NOSCRIPT",
}


class Ask(NamedTuple):
    """One command of one slot; ``reads`` may be answered by a replica."""

    slot: int
    parts: tuple[bytes, ...]
    reads: bool = False


def pack(commands: Iterable[tuple[bytes, ...]]) -> bytes:
    """Return commands as the protocol (RESP) writes them.

    >>> pack([(b"GET", b"a")])
    b'*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\na\\r\\n'
    """
    out = []
    for parts in commands:
        out.append(b"*%d\r\n" % len(parts))
        out += [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"".join(out)


def refused(reply: Any) -> bool:
    """Say whether a reply is an error of the server."""
    return isinstance(reply, Exception)


def code_of(error: Exception) -> str:
    """Return the first word of a server's error, which says what is the matter.

    >>> code_of(ValueError("MOVED 866 10.0.0.1:6379"))
    'MOVED'
    """
    return _CODES.get(type(error).__name__) or str(error).partition(" ")[0]


def address_in(error: Exception) -> tuple[str, int] | None:
    """Return the host and port in a MOVED or ASK; an empty host is that of whoever said so."""
    host, port = getattr(error, "host", None), getattr(error, "port", None)
    if host is None or port is None:
        host, _, port = str(error).rpartition(" ")[2].rpartition(":")
    try:
        return str(host).strip("[]"), int(port)
    except ValueError:
        return None
