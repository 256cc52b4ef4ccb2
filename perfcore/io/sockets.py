"""Sockets that read into buffers of a pool instead of making bytes for each packet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, NamedTuple, Self

from perfcore._native.buffers import BufferPool, PooledBuffer

__all__ = ["Receiver", "ReceiverStats", "receive_exactly"]

LEAST: Final = 1 << 12
MOST: Final = 1 << 18
#: packets that decide about the next size
_ROUND: Final = 16


class ReceiverStats(NamedTuple):
    """Calls of ``recv_into`` and bytes so far, and the size of the buffer now."""

    calls: int
    bytes: int
    size: int


class Receiver:
    """Receives from a socket into one buffer of a pool, whose size follows what comes.

    When most of 16 packets fill the buffer the next size class is used, and a smaller one when none of them
    fills a quarter of it. What is received is a view that is valid until the next call. The socket stays the
    caller's. Not for several threads at once.

    >>> here, there = socket.socketpair()
    >>> with here, there, Receiver(here, BufferPool()) as receiver:
    ...     there.sendall(b"hello")
    ...     bytes(receiver.receive())
    b'hello'
    """

    def __init__(self, sock: socket.socket, pool: BufferPool, size: int = 1 << 14) -> None:
        if size < 1:
            raise ValueError(f"Expected `int` >= 1, got {size} - at `size`")
        self._socket, self._pool, self._size = sock, pool, size
        self._buffer: PooledBuffer | None = pool.acquire(size)
        self._view: memoryview | None = None
        self._calls = self._bytes = self._full = self._largest = 0

    def receive(self) -> memoryview:
        """Return what the socket has, at most the buffer's size; empty at the end of the stream."""
        buffer = self._ready()
        return self._received(buffer, self._socket.recv_into(buffer))

    async def areceive(self) -> memoryview:
        """Do :meth:`receive` on a non-blocking socket, without holding up the event loop."""
        buffer = self._ready()
        loop = asyncio.get_running_loop()
        return self._received(buffer, await loop.sock_recv_into(self._socket, buffer))

    def __iter__(self) -> Iterator[memoryview]:
        """Yield what comes until the end of the stream."""
        while view := self.receive():
            yield view

    def _ready(self) -> PooledBuffer:
        if self._buffer is None:
            raise ValueError("the receiver is closed")
        if self._view is not None:
            self._view.release()
            self._view = None
        if self._calls and self._calls % _ROUND == 0:
            self._resize()
        return self._buffer

    def _received(self, buffer: PooledBuffer, count: int) -> memoryview:
        self._calls += 1
        self._bytes += count
        self._full += count == self._size
        self._largest = max(self._largest, count)
        self._view = buffer.view(count) if count else memoryview(b"")
        return self._view

    def _resize(self) -> None:
        size = self._size
        if self._full > _ROUND // 2:
            size = min(MOST, size * 4)
        elif self._largest * 4 <= size:
            size = max(LEAST, size // 4)
        self._full = self._largest = 0
        if size != self._size and self._buffer is not None:
            self._buffer.release()
            self._buffer, self._size = self._pool.acquire(size), size

    def stats(self) -> ReceiverStats:
        """Return the counts so far."""
        return ReceiverStats(self._calls, self._bytes, self._size)

    def close(self) -> None:
        """Give the buffer back; the socket stays open."""
        if self._view is not None:
            self._view.release()
        buffer, self._buffer, self._view = self._buffer, None, None
        if buffer is not None:
            buffer.release(defer=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def receive_exactly(sock: socket.socket, size: int, pool: BufferPool) -> Iterator[memoryview]:
    """Receive ``size`` bytes into a buffer of the pool, which is given back at the end of the block.

    Raises EOFError when the stream ends before, and what the socket raises.

    >>> here, there = socket.socketpair()
    >>> there.sendall(b"12345")
    >>> with here, there, receive_exactly(here, 4, BufferPool()) as message:
    ...     bytes(message)
    b'1234'
    """
    with pool.acquire(size) as buffer, buffer.view() as view:
        done = 0
        while done < size:
            with view[done:] as rest:
                count = sock.recv_into(rest)
            if not count:
                raise EOFError(f"the stream ended after {done} of {size} bytes")
            done += count
        yield view
