"""Sockets that read into buffers of a pool instead of making bytes for each packet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, NamedTuple, Self

from perfcore._native.buffers import BufferPool, PooledBuffer
from perfcore._repr import safe_repr
from perfcore.io.trials import SizeTrial

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
    fills a quarter of it; an optimizer that watches it may try others. What is received is a view that is
    valid until the next call. The socket stays the caller's. Not for several threads at once.

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
        self._due, self._mark = _ROUND, 0  # when the size is looked at again, and the bytes until then
        self._trial: SizeTrial | None = None
        self._settled = 0.0  # bytes a call for which the size was measured
        self._ended = False

    @safe_repr
    def __repr__(self) -> str:
        ended = ", ended" if self._ended else ""
        return f"<Receiver: {self._bytes} bytes in {self._calls} calls, {self._size} at once{ended}>"

    def receive(self) -> memoryview:
        """Return what the socket has, at most the buffer's size; empty at the end of the stream."""
        buffer = self._ready()
        try:
            count = self._socket.recv_into(buffer)
        except ConnectionError:
            self._end()
            raise
        return self._received(buffer, count)

    async def areceive(self) -> memoryview:
        """Do :meth:`receive` on a non-blocking socket, without holding up the event loop."""
        buffer = self._ready()
        loop = asyncio.get_running_loop()
        try:
            count = await loop.sock_recv_into(self._socket, buffer)
        except ConnectionError:
            self._end()
            raise
        return self._received(buffer, count)

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
        trial = self._trial
        if trial is not None:
            self._try(trial)
        elif self._calls >= self._due:
            self._resize()
        return self._buffer

    def _try(self, trial: SizeTrial) -> None:
        self._use(trial.size())
        if trial.verdict is None:
            trial.begin()
            return
        self._trial = None
        self._settled = self._bytes / self._calls if self._calls else 0.0

    def _received(self, buffer: PooledBuffer, count: int) -> memoryview:
        self._calls += 1
        self._bytes += count
        trial = self._trial
        if not count:
            self._end()
        elif trial is not None:
            trial.note(count)
        self._full += count == self._size
        self._largest = max(self._largest, count)
        self._view = buffer.view(count) if count else memoryview(b"")
        return self._view

    def _resize(self) -> None:
        size, mean = self._size, (self._bytes - self._mark) / _ROUND
        self._due, self._mark = self._calls + _ROUND, self._bytes
        if self._settled / 4 < mean < self._settled * 4:
            pass  # it was measured for this
        elif self._full > _ROUND // 2:
            size = min(MOST, size * 4)
        elif self._largest * 4 <= size:
            size = max(LEAST, size // 4)
        self._full = self._largest = 0
        self._use(size)

    def _use(self, size: int) -> None:
        if size != self._size and self._buffer is not None:
            buffer, self._buffer = self._buffer, self._pool.acquire(size)
            self._size = size
            buffer.release(defer=True)

    def _end(self) -> None:
        self._ended, trial, self._trial = True, self._trial, None
        if trial is not None:
            trial.stop("nothing more comes")

    def _gone(self) -> bool:
        return self._ended or self._buffer is None or self._socket.fileno() < 0

    def stats(self) -> ReceiverStats:
        """Return the counts so far."""
        return ReceiverStats(self._calls, self._bytes, self._size)

    def close(self) -> None:
        """Give the buffer back; the socket stays open."""
        self._end()
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
