"""What a worker pool raises on its own behalf; each is also the error that Python has a word for."""

from concurrent.futures import BrokenExecutor
from queue import Full

from perfcore.errors import PerfcoreError

__all__ = [
    "DeadlineError",
    "QueueFullError",
    "ResultTooLargeError",
    "UnpicklableError",
    "WorkerDiedError",
]


class QueueFullError(PerfcoreError, Full):
    """The queue of a priority has no room, and the pool was told to raise, or waited as long as it may."""


class DeadlineError(PerfcoreError, TimeoutError):
    """A task had not been started when its deadline came, and was not run."""


class WorkerDiedError(PerfcoreError, BrokenExecutor):
    """The process that ran a task died: killed, out of memory, or crashed. Other tasks are not touched."""


class UnpicklableError(PerfcoreError, TypeError):
    """A task cannot be sent to a process; the message names the part that is at fault."""


class ResultTooLargeError(PerfcoreError, ValueError):
    """What a task returned in another process is larger than the pool's ``max_result``."""
