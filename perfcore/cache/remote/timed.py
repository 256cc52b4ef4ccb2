"""Sockets whose waits share one deadline: a server that sends a byte now and then holds nobody for longer.

A timeout of a socket is for one packet. Client libraries set it and read until a reply is whole, which takes
as many timeouts as the server likes. So their connections get a socket here that cuts each wait to what is
left, connecting, TLS and AUTH included.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import Any, Final

from perfcore.cache.remote.resolve import addresses
from perfcore.cache.remote.tls import Tls

__all__ = ["Timed", "timed"]

_NEVER: Final = float("inf")
_SHORTEST: Final = 0.0005


class Timed:
    """A connected socket, with what a client library uses of it."""

    def __init__(self, wrapped: Any, deadline: float) -> None:
        self._socket = wrapped
        #: When reading and sending have to be over, in monotonic time.
        self.deadline = deadline
        self._polls = False

    def settimeout(self, seconds: float | None) -> None:
        """Let all that follows, taken together, last for ``seconds``; 0 does not wait, None has no end."""
        self._polls = seconds == 0
        self.deadline = _NEVER if seconds is None else monotonic() + seconds

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes; raises :exc:`TimeoutError` when the deadline passes first."""
        self._cut()
        received: bytes = self._socket.recv(size)
        return received

    def recv_into(self, buffer: Any, *sizes: int) -> int:
        """Read into ``buffer``; returns how many bytes."""
        self._cut()
        count: int = self._socket.recv_into(buffer, *sizes)
        return count

    def sendall(self, data: Any) -> None:
        """Send all of ``data``; raises :exc:`TimeoutError` when the deadline passes first."""
        self._cut()
        self._socket.sendall(data)

    def _cut(self) -> None:
        left = self.deadline - monotonic()
        if left <= 0 and not self._polls:
            raise TimeoutError("the deadline has passed")
        self._socket.settimeout(None if left == _NEVER else max(left, 0.0))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def timed(maker: Any) -> Any:
    """Return a connection class like ``maker`` that connects within its timeout and has a :class:`Timed`.

    Names are looked up here, within the same time; what the certificate of a server is held against is still
    the name.
    """

    class TimedConnection(maker):  # type: ignore[misc]
        tls: Tls | None = None

        def _connect(self) -> Timed:
            self._deadline = monotonic() + self.socket_timeout
            host = getattr(self, "host", None)
            if host is None:  # a socket of Unix
                return Timed(super()._connect(), self._deadline)
            found = addresses(host, self._deadline)
            try:
                return self._connect_to(host, found)
            finally:
                self.host = host

        def _connect_to(self, host: str, found: list[str]) -> Timed:
            self._named, error = host, OSError("the name has no address")
            for place, address in enumerate(found):
                left = max(self._deadline - monotonic(), _SHORTEST)
                self.host, self.socket_connect_timeout = address, left / (len(found) - place)
                try:
                    return Timed(super()._connect(), self._deadline)
                except OSError as refusal:
                    error = refusal
            raise error

        def _wrap_socket_with_ssl(self, sock: socket.socket) -> Any:
            self.host = self._named
            sock.settimeout(max(self._deadline - monotonic(), _SHORTEST))
            context = None if self.tls is None else self.tls.context()
            if context is None:
                return super()._wrap_socket_with_ssl(sock)
            return context.wrap_socket(sock, server_hostname=self.host)

    TimedConnection.__name__ = maker.__name__
    return TimedConnection
