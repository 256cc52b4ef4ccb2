"""The process's own buffer pool, for those who need no pool of their own."""

from __future__ import annotations

from functools import cache

from perfcore._native.buffers import BufferPool, PooledBuffer

__all__ = ["BufferPool", "PooledBuffer", "default_pool", "get_optimal_buffer", "return_buffer"]


@cache
def default_pool() -> BufferPool:
    """Return the pool of the process, made on first use with the defaults of :class:`BufferPool`.

    >>> default_pool() is default_pool()
    True
    """
    return BufferPool()


def get_optimal_buffer(size: int | str, /) -> PooledBuffer:
    """Return a buffer of ``size`` bytes from the pool of the process, in the smallest size class that fits.

    Raises as :meth:`BufferPool.acquire`.

    >>> buffer = get_optimal_buffer("5KB")
    >>> len(buffer), buffer.capacity
    (5120, 16384)
    >>> return_buffer(buffer)
    """
    return default_pool().acquire(size)


def return_buffer(buffer: PooledBuffer, /) -> None:
    """Release a buffer, of whichever pool.

    Raises BufferError when it was released before, and while views of it are in use.
    """
    buffer.release()
