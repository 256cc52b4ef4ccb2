"""The futures of tasks on a cluster, and the thread that fetches their results.

A future of Dask belongs to its connection: when that breaks it is cancelled. Callers so get a future of
their own, which ends in every case: with the result, with what the call raised, with the error that says that
the cluster is lost, or with what the local fallback makes of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from perfcore._log import logger
from perfcore._repr import safe_repr
from perfcore.scaling.errors import NodesLostError

__all__ = ["ClusterTask", "Tasks"]

T = TypeVar("T")

log = logger("scaling")

#: results that are fetched in one round trip
_BATCH = 256


class ClusterTask(Future[T]):
    """The future of a call on a cluster; ``call`` is kept where it may have to be made here."""

    __repr__ = safe_repr(Future.__repr__)

    def __init__(self, key: str, owner: Tasks, call: tuple[Any, ...] | None) -> None:
        super().__init__()
        self.key, self.call, self._owner = key, call, owner

    def cancel(self) -> bool:
        """Ask the cluster to forget the task; a call that a node has begun runs to its end there, unheard.

        Returns False when the result is there.
        """
        remote = self._owner.take(self)
        if remote is None:
            return self.cancelled()
        self._owner.cancelled += 1
        remote.client.loop.add_callback(remote.cancel)
        cancelled = super().cancel()
        self.set_running_or_notify_cancel()
        return cancelled


class Tasks:
    """The tasks that have not ended, by key, and their counts. Who takes a task out of it ends it."""

    def __init__(self, lost: Callable[[str], None]) -> None:
        self.submitted = self.completed = self.failed = self.cancelled = 0
        self._lost = lost
        self._pending: dict[str, tuple[ClusterTask[Any], Any]] = {}
        self._lock = Lock()
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._thread: Thread | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, key: object) -> bool:
        return key in self._pending

    def add(self, task: ClusterTask[Any], remote: Any) -> None:
        """Follow a task; ``remote`` is Dask's future of it."""
        with self._lock:
            self._pending[task.key] = (task, remote)
            self.submitted += 1
            if self._thread is None:
                self._thread = Thread(target=self._collect, name="perfcore-scaling-results", daemon=True)
                self._thread.start()
        remote.add_done_callback(self._ended.put)

    def take(self, task: ClusterTask[Any]) -> Any:
        """Take a task out; None when somebody else did, else Dask's future of it."""
        with self._lock:
            found = self._pending.pop(task.key, None)
        return None if found is None else found[1]

    def take_all(self) -> list[ClusterTask[Any]]:
        """Take all tasks out: the connection is lost."""
        with self._lock:
            found, self._pending = self._pending, {}
        return [task for task, _ in found.values()]

    def wait(self) -> None:
        """Wait until all tasks have ended, in whatever way."""
        with self._lock:
            pending = [task for task, _ in self._pending.values()]
        wait(pending)

    def stop(self) -> None:
        """End the thread."""
        self._ended.put(None)

    # --- the thread -----------------------------------------------------------------------------------------

    def _collect(self) -> None:
        while (first := self._ended.get()) is not None:
            batch = [first]
            try:
                while len(batch) < _BATCH:
                    batch.append(self._ended.get_nowait())
            except Empty:
                pass
            if None in batch:
                self.stop()
                batch = [remote for remote in batch if remote is not None]
            try:
                self._deliver(batch)
            except Exception as error:  # a result that cannot be fetched: the connection is going
                log.debug("results could not be fetched: %s", error)
                self._lost(f"results could not be fetched from it ({error})")
            del batch, first  # what they hold is let go before the next wait

    def _deliver(self, batch: list[Any]) -> None:
        finished = []
        for remote in batch:
            if remote.key not in self._pending:
                continue
            if remote.status == "finished":
                finished.append(remote)
            elif remote.status == "error":
                self._fail(remote.key, remote.exception())
            elif remote.status == "cancelled":
                self._lost("its connection was lost")
            else:  # lost, and being computed again
                remote.add_done_callback(self._ended.put)
        if finished:
            answers = finished[0].client.gather(finished)
            for remote, answer in zip(finished, answers, strict=True):
                self._succeed(remote.key, answer)

    def _succeed(self, key: str, answer: bytes) -> None:
        try:
            result = pickle.loads(answer)
        except Exception as error:
            self._fail(key, error)
            return
        with self._lock:
            found = self._pending.pop(key, None)
            self.completed += found is not None
        if found is not None:
            found[0].set_result(result)

    def _fail(self, key: str, error: BaseException) -> None:
        with self._lock:
            found = self._pending.pop(key, None)
            self.failed += found is not None
        if found is not None:
            if type(error).__name__ == "KilledWorker":
                lost = NodesLostError(f"the task was given up: {error}")
                lost.__cause__ = error
                error = lost
            found[0].set_exception(error)
