"""A listening socket, or an error that says which port is the matter."""

from __future__ import annotations

import errno
import socket
from typing import Any

__all__ = ["bind", "resolve"]

_BACKLOG = 64
#: Bytes of an answer that the kernel may hold for a client that does not read; by itself it holds megabytes.
_HELD = 128 * 1024
_REASONS = {
    errno.EADDRINUSE: "is taken; port=0 takes a free one",
    errno.EACCES: "needs privileges; ports from 1024 on do not",
    errno.EADDRNOTAVAIL: "is on no address of this machine",
}


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Return the family and the address to bind to; ValueError for no port, OSError for an unknown host.

    >>> resolve("127.0.0.1", 9100)[1]
    ('127.0.0.1', 9100)
    """
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"a port is a number from 0 to 65535, got {port!r}")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(error.errno, f"cannot serve on {host}: {error.strerror}") from None
    family, _, _, _, address = found[0]
    return family, address


def bind(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    """Return a socket that listens there."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # a server that was just closed leaves connections behind that the kernel still remembers
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _HELD)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = _REASONS.get(error.errno or 0, error.strerror)
        raise OSError(error.errno, f"port {address[1]} of {address[0]} {reason}") from None
    return listener
