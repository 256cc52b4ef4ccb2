"""The input and output optimizer: files kept open and pooled buffers, given up where they do not pay."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from perfcore._native.buffers import BufferPool, PooledBuffer
from perfcore._repr import safe_repr
from perfcore.io.keeping import StreamStats, contents
from perfcore.io.network import Receivers
from perfcore.io.sockets import Receiver
from perfcore.io.steps import IOStep
from perfcore.io.streams import StreamCache
from perfcore.io.trials import clocks
from perfcore.types import BufferStats

__all__ = ["IOOptimizer", "IOReport", "IOStep"]

#: share of the time that must be saved for something to stay
GAIN: Final = 0.1
#: files that are looked at, and how often
_FILES: Final = 8
_TIMES: Final = 9
#: buffers that are in use at once where they are measured
_AT_ONCE: Final = 8


class IOReport(NamedTuple):
    """What one call of :meth:`IOOptimizer.optimize_io` found, and the counts so far."""

    steps: list[IOStep]
    closed: int  # files that were no longer read often enough
    streams: StreamStats
    buffers: BufferStats


class IOOptimizer:
    """A stream cache and a pool of buffers for readers, both measured where they are used.

    :meth:`optimize_io` reads the files that are read most once more, with and without the stream cache, and
    fills buffers of the sizes in use with and without the pool: what saves less than a tenth of the time is
    closed and trimmed, and what :meth:`read` and :meth:`get_optimal_buffer` do is then what Python does.
    Receivers that are watched try another size of their buffer between their calls, which stays only where it
    pays. ``timer`` and ``meter`` (the time, and the thread's time) replace the clocks of these measurements.

    >>> with IOOptimizer() as optimizer:
    ...     buffer = optimizer.get_optimal_buffer(5000)
    ...     len(buffer), buffer.capacity
    ...     optimizer.return_buffer(buffer)
    ...     [step.outcome for step in optimizer.optimize_disk()]
    (5000, 16384)
    ['nothing']
    """

    def __init__(
        self,
        streams: StreamCache | None = None,
        pool: BufferPool | None = None,
        timer: Callable[[Callable[[], object]], float] | None = None,
        meter: Callable[[], tuple[float, float]] = clocks,
    ) -> None:
        self._own = streams is None
        self.streams = StreamCache() if streams is None else streams
        self.pool = BufferPool() if pool is None else pool
        self._timer = timer or _timed
        self._sizes: dict[int, int] = {}
        self._receivers = Receivers(meter)
        self._keeps = True

    @safe_repr
    def __repr__(self) -> str:
        return f"<IOOptimizer: {self.streams!r}, {self.pool!r}>"

    def read(self, path: str | bytes, /) -> bytes:
        """Return the content of a file, through the stream cache as long as that pays."""
        return self.streams.read(path) if self._keeps else contents(path)

    def get_optimal_buffer(self, size: int, /) -> PooledBuffer:
        """Return a buffer of ``size`` bytes in the smallest class that fits; raises as the pool does."""
        buffer = self.pool.acquire(size)
        self._sizes[buffer.capacity] = self._sizes.get(buffer.capacity, 0) + 1
        return buffer

    def return_buffer(self, buffer: PooledBuffer, /) -> None:
        """Give a buffer back. Raises BufferError when it was, and while views of it are in use."""
        buffer.release()

    def optimize_io(self) -> IOReport:
        """Measure disk, buffers and network, give up what does not pay, and close what is no longer read."""
        closed = self.streams.trim()
        steps = [*self.optimize_disk(), *self.optimize_buffers(), *self.optimize_network()]
        return IOReport(steps, closed, self.streams.stats(), self.pool.stats())

    async def aoptimize_io(self) -> IOReport:
        """Do :meth:`optimize_io` in a thread."""
        return await asyncio.to_thread(self.optimize_io)

    def optimize_disk(self) -> list[IOStep]:
        """Measure the files that are read most, opened each time and kept open."""
        kept = self.streams.kept()
        often = sorted(kept, key=kept.__getitem__, reverse=True)[:_FILES]
        pairs = [pair for name in often if (pair := self._both(name)) is not None]
        if not pairs:
            return [IOStep("streams", "nothing", "no file is kept open")]
        before, after = (statistics.fmean(times) for times in zip(*pairs, strict=True))
        self._keeps = after <= before * (1 - GAIN)
        if self._keeps:
            return [IOStep("streams", "kept", f"{len(pairs)} files read most", before, after)]
        for name in kept:
            self.streams.forget(name)
        return [IOStep("streams", "undone", "to keep files open saves less than a tenth", before, after)]

    def _both(self, name: str | bytes) -> tuple[float, float] | None:
        """Return what a read takes without and with the cache; None for a file that has gone."""
        plain, cached = [], []
        try:
            for _ in range(_TIMES):
                plain.append(self._timer(lambda: contents(name)))
                cached.append(self._timer(lambda: self.streams.read(name)))
        except OSError:
            return None
        return statistics.median(plain), statistics.median(cached)

    def optimize_buffers(self) -> list[IOStep]:
        """Measure buffers of the sizes in use, several at once, made each time and from the pool."""
        return [self._decide(capacity) for capacity in sorted(self._sizes)]

    def _decide(self, capacity: int) -> IOStep:
        made = statistics.median(self._timer(lambda: _made(capacity)) for _ in range(_TIMES))
        lent = statistics.median(self._timer(lambda: _lent(self.pool, capacity)) for _ in range(_TIMES))
        name = f"buffers of {capacity} bytes"
        if lent <= made * (1 - GAIN):
            return IOStep(name, "kept", f"asked for {self._sizes[capacity]} times", made, lent)
        self.pool.trim()
        return IOStep(name, "undone", "idle memory given back: a new buffer costs no more", made, lent)

    def receiver(self, sock: socket.socket, size: int = 1 << 14) -> Receiver:
        """Return a receiver with buffers of this pool that is watched; raises as :class:`Receiver` does."""
        receiver = Receiver(sock, self.pool, size)
        self.watch(receiver)
        return receiver

    def watch(self, receiver: Receiver) -> None:
        """Measure a receiver in :meth:`optimize_network`; it is held weakly, and forgotten at its end."""
        self._receivers.watch(receiver)

    def optimize_network(self, seconds: float = 0.25) -> list[IOStep]:
        """Have each receiver in use try another size; what has not ended in time the next call reports."""
        return self._receivers.optimize(seconds)

    def close(self) -> None:
        """Close the files of the optimizer's own stream cache, and give idle buffers back."""
        if self._own:
            self.streams.close()
        self.pool.trim()

    def __enter__(self) -> IOOptimizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _made(size: int) -> None:
    for buffer in [bytearray(size) for _ in range(_AT_ONCE)]:
        buffer[-1] = 1


def _lent(pool: BufferPool, size: int) -> None:
    for buffer in [pool.acquire(size) for _ in range(_AT_ONCE)]:
        with buffer.view() as view:
            view[-1] = 1
        buffer.release()
