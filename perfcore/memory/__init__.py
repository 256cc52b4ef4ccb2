"""Memory: pools of buffers and objects, the collector's tuning, leaks, and what to do under pressure."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore._native.buffers import BufferPool, PooledBuffer
    from perfcore._native.objects import Lease
    from perfcore.memory.buffers import default_pool, get_optimal_buffer, return_buffer
    from perfcore.memory.gc import GcTuner
    from perfcore.memory.leaks import LeakDetector
    from perfcore.memory.objects import ObjectPool
    from perfcore.memory.optimizer import MemoryOptimizer
    from perfcore.memory.pressure import MemoryWatch, Pressure, memory_limit, memory_pressure

__all__ = [
    "BufferPool",
    "GcTuner",
    "LeakDetector",
    "Lease",
    "MemoryOptimizer",
    "MemoryWatch",
    "ObjectPool",
    "PooledBuffer",
    "Pressure",
    "default_pool",
    "get_optimal_buffer",
    "memory_limit",
    "memory_pressure",
    "return_buffer",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore._native.buffers": ["BufferPool", "PooledBuffer"],
        "perfcore._native.objects": ["Lease"],
        "perfcore.memory.buffers": ["default_pool", "get_optimal_buffer", "return_buffer"],
        "perfcore.memory.gc": ["GcTuner"],
        "perfcore.memory.leaks": ["LeakDetector"],
        "perfcore.memory.objects": ["ObjectPool"],
        "perfcore.memory.optimizer": ["MemoryOptimizer"],
        "perfcore.memory.pressure": ["MemoryWatch", "Pressure", "memory_limit", "memory_pressure"],
    },
)
