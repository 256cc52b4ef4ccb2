"""Workers: a pool of threads or processes with priorities, bounds, ageing and a size that follows work."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.workers.errors import (
        DeadlineError,
        QueueFullError,
        ResultTooLargeError,
        UnpicklableError,
        WorkerDiedError,
    )
    from perfcore.workers.inline import InlinePool
    from perfcore.workers.optimizer import CPUOptimizer, CPUReport, CPUStep
    from perfcore.workers.pool import WorkerPool
    from perfcore.workers.stats import PoolStats
    from perfcore.workers.task import Task

__all__ = [
    "CPUOptimizer",
    "CPUReport",
    "CPUStep",
    "DeadlineError",
    "InlinePool",
    "PoolStats",
    "QueueFullError",
    "ResultTooLargeError",
    "Task",
    "UnpicklableError",
    "WorkerDiedError",
    "WorkerPool",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.workers.errors": [
            "DeadlineError",
            "QueueFullError",
            "ResultTooLargeError",
            "UnpicklableError",
            "WorkerDiedError",
        ],
        "perfcore.workers.inline": ["InlinePool"],
        "perfcore.workers.optimizer": ["CPUOptimizer", "CPUReport", "CPUStep"],
        "perfcore.workers.pool": ["WorkerPool"],
        "perfcore.workers.stats": ["PoolStats"],
        "perfcore.workers.task": ["Task"],
    },
)
