"""Memory: pools of buffers and objects, the collector's tuning, leaks, and what to do under pressure."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore._native.buffers import BufferPool, PooledBuffer
    from perfcore._native.objects import Lease
    from perfcore.memory.buffers import default_pool, get_optimal_buffer, return_buffer
    from perfcore.memory.objects import ObjectPool

__all__ = [
    "BufferPool",
    "Lease",
    "ObjectPool",
    "PooledBuffer",
    "default_pool",
    "get_optimal_buffer",
    "return_buffer",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore._native.buffers": ["BufferPool", "PooledBuffer"],
        "perfcore._native.objects": ["Lease"],
        "perfcore.memory.buffers": ["default_pool", "get_optimal_buffer", "return_buffer"],
        "perfcore.memory.objects": ["ObjectPool"],
    },
)
