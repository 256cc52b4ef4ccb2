"""Workers whose tasks run in processes: each thread of the pool has one process of its own, through loky.

With one executor of many processes a process that dies breaks all that they were doing, and nobody knows
which task it was. With one process for each worker it is known, and only that task fails or is tried again.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, Any

from perfcore.errors import MissingExtraError
from perfcore.workers.affinity import bind
from perfcore.workers.errors import WorkerDiedError
from perfcore.workers.packing import call
from perfcore.workers.task import Task
from perfcore.workers.worker import Runner, Worker

if TYPE_CHECKING:
    from loky import ProcessPoolExecutor  # type: ignore[import-untyped]

__all__ = ["ProcessRunner", "executor_type"]


def executor_type() -> type[ProcessPoolExecutor]:
    """Return loky's executor. Raises MissingExtraError."""
    try:
        from loky import ProcessPoolExecutor
    except ImportError:
        raise MissingExtraError("loky", "processes") from None
    return ProcessPoolExecutor  # type: ignore[no-any-return]


class ProcessRunner(Runner):
    """Runs the tasks of one worker in one process, which is started with the first and again when it died."""

    def __init__(self, retries: int, max_result: int, processors: Sequence[int]) -> None:
        self._retries, self._limit, self._processors = retries, max_result, processors
        self._executor: ProcessPoolExecutor | None = None
        self._number = 0
        self._ended = False

    def begin(self, worker: Worker) -> None:
        """Remember which worker this is."""
        self._number = worker.number

    def run(self, task: Task[Any]) -> bool:
        """Run a packed call in the process."""
        packed: bytes = task._call[0]
        task.set_running_or_notify_cancel()
        try:
            answer = self._call(packed)
            result = pickle.loads(answer)
        except BaseException as error:
            task.set_exception(error)
            del task
            return False
        task.set_result(result)
        return True

    def _call(self, packed: bytes) -> bytes:
        for left in range(self._retries, -1, -1):
            executor = self._ready()
            try:
                return executor.submit(call, packed, self._limit).result()  # type: ignore[no-any-return]
            except (BrokenExecutor, RuntimeError) as error:
                if not (isinstance(error, BrokenExecutor) or self._ended):
                    raise  # the task's own
                self._kill()
                if not left or self._ended:
                    raise WorkerDiedError(f"the process of the task died: {error}".split("\n")[0]) from None
        raise AssertionError("unreachable")

    def _ready(self) -> ProcessPoolExecutor:
        executor = self._executor
        if executor is None:
            executor = self._executor = executor_type()(max_workers=1)
            if self._processors:
                bind(self._processors, self._number, executor.submit(os.getpid).result())
        return executor

    def targets(self, worker: Worker) -> list[int]:
        """Return the process, where there is one."""
        executor = self._executor
        return [] if executor is None else list(executor._processes or ())

    def end(self) -> None:
        """End the process, which does nothing now."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()

    def give_up(self) -> None:
        """Kill the process and start no other."""
        self._ended = True
        self._kill()

    def _kill(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, kill_workers=True)
