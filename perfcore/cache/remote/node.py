"""One server, as this process sees it: idle connections to it, and whether it answers."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Any, Final

from perfcore.cache.remote.breaker import Breaker
from perfcore.cache.remote.client import Connector
from perfcore.cache.remote.topology import Address
from perfcore.cache.remote.wire import pack

__all__ = ["READONLY", "Exchange", "Node", "fatal"]

#: Idle connections that are kept for each server; more are made when more threads ask at once.
_IDLE: Final = 32
#: What makes a replica answer reads instead of redirecting them.
READONLY: Final = pack([(b"READONLY",)])
_SHORTEST = 0.0005


class Exchange:
    """Commands that were sent to a node, and the connection that the replies will come on."""

    __slots__ = ("connection", "count", "data", "reused")

    def __init__(self, data: bytes, count: int) -> None:
        self.data, self.count = data, count
        self.connection: Any = None
        self.reused = False


class Node:
    """A server at an address. Thread-safe: a connection is used by one thread at a time."""

    def __init__(self, connector: Connector, address: Address) -> None:
        self.address = address
        self.replica = False
        self.breaker = Breaker()
        self.calls = self.failures = 0
        self._connector = connector
        self._idle: deque[Any] = deque()
        #: Connections of event loops; :mod:`perfcore.cache.remote.aio` keeps them here.
        self.asynchronous: Any = None

    @property
    def name(self) -> str:
        """Where it is, for people."""
        host, port = self.address
        return f"{host}:{port}" if port else host

    def talk(self, data: bytes, count: int, deadline: float) -> list[Any] | None:
        """Send packed commands and return ``count`` replies, None when there are none by ``deadline``.

        An error of the server is a reply.
        """
        exchange = Exchange(data, count)
        return self.receive(exchange, deadline) if self.send(exchange, deadline) else None

    def send(self, exchange: Exchange, deadline: float) -> bool:
        """Send, so that other servers can be sent to before the replies are waited for."""
        self.calls += 1
        idle = self._idle
        if not idle:
            return self._send_fresh(exchange, deadline)
        try:
            exchange.connection, exchange.reused = idle.pop(), True
        except IndexError:  # another thread was faster
            return self._send_fresh(exchange, deadline)
        try:
            _send(exchange.connection, exchange.data, deadline)
        except Exception as error:
            return self._retry(exchange, deadline, error)
        return True

    def receive(self, exchange: Exchange, deadline: float) -> list[Any] | None:
        """Return the replies to what was sent."""
        connection = exchange.connection
        try:
            replies = self._read(connection, exchange.count, deadline)
        except Exception as error:
            return self.receive(exchange, deadline) if self._retry(exchange, deadline, error) else None
        if len(self._idle) < _IDLE:
            self._idle.append(connection)
        else:
            self._drop(connection)
        if self.breaker.failures:
            self.breaker.succeeded()
        return replies

    def failed(self, error: Exception) -> None:
        """Note that the server did not answer as it should."""
        self.failures += 1
        self.breaker.failed(fatal=fatal(error), reason=_named(error))

    def _retry(self, exchange: Exchange, deadline: float, error: Exception) -> bool:
        """Begin again on a new connection if this one was idle and closed meanwhile; say whether it did."""
        self._drop(exchange.connection)
        if exchange.reused and fatal(error):
            self.disconnect()  # the others are no younger
            return self._send_fresh(exchange, deadline)
        self.failed(error)
        return False

    def _send_fresh(self, exchange: Exchange, deadline: float) -> bool:
        connection = None
        exchange.reused = False
        try:
            connection = self._connector.connect(self.address, max(deadline - monotonic(), _SHORTEST))
            if self.replica:
                _send(connection, READONLY, deadline)
                self._read(connection, 1, deadline)
            _send(connection, exchange.data, deadline)
        except Exception as error:
            self._drop(connection)
            self.failed(error)
            return False
        exchange.connection = connection
        return True

    def _read(self, connection: Any, count: int, deadline: float) -> list[Any]:
        refusal, read, replies = self._connector.errors, connection.read_response, []
        connection._sock.deadline = deadline
        for _ in range(count):
            try:
                replies.append(read())
            except refusal as error:
                error.__traceback__ = None
                replies.append(error)
        return replies

    def _drop(self, connection: Any) -> None:
        if connection is not None:
            try:
                connection.disconnect()
            except Exception:
                pass

    def disconnect(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            self._drop(connection)

    def forked(self) -> None:
        """In a forked child: the connections are the parent's; theirs are closed here without a word."""
        self._idle = deque()
        self.asynchronous = None


def _send(connection: Any, data: bytes, deadline: float) -> None:
    connection._sock.deadline = deadline
    connection.send_packed_command([data], check_health=False)


def _named(error: BaseException) -> str:
    """Name an error, and the error of TLS where it is one that a client library calls by another name."""
    name, cause = type(error).__name__, error.__cause__ or error.__context__
    while cause is not None:
        if type(cause).__name__.startswith("SSL"):
            return f"{name} ({type(cause).__name__})"
        cause = cause.__cause__ or cause.__context__
    return name


def fatal(error: BaseException) -> bool:
    """Say whether waiting longer would not have helped: not a timeout."""
    return not isinstance(error, TimeoutError) and "Timeout" not in type(error).__name__
