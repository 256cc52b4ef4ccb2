"""``parse_many`` on a backend: hits are answered here, misses go to nodes in batches, order is kept."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import TYPE_CHECKING

from msgspec import msgpack

from perfcore._log import logger
from perfcore.parsing.node import Item, Job, parse_batch, unpack_answers
from perfcore.parsing.options import ParserOptions
from perfcore.parsing.parallel import CrewSource
from perfcore.parsing.pipeline import Miss, Pipeline
from perfcore.parsing.result import ParseResult
from perfcore.parsing.wire import Answer

if TYPE_CHECKING:
    from perfcore.types import RunsTasks

__all__ = ["ClusterRun"]

log = logger("parsing")

#: seconds of work that a task has at least (a cluster takes some 10 ms for it) and about at most
_LEAST_WORK, _MOST_WORK = 0.1, 1.0
#: seconds that a byte takes until the first answers tell: 4 MB/s
_PER_BYTE = 1 / 4_000_000
#: batches on their way, for each task that can run at once
_AHEAD = 3
#: seconds for which the number of tasks that can run at once is believed
_RECOUNT = 2.0


class _Pending:
    """A file that waits for its answer; ``number`` is the place of its result."""

    __slots__ = ("miss", "number", "path")

    def __init__(self, number: int, path: str, miss: Miss) -> None:
        self.number, self.path, self.miss = number, path, miss


class ClusterRun:
    """One call of ``parse_many`` with a backend."""

    def __init__(
        self, pipeline: Pipeline, crews: CrewSource, backend: RunsTasks, options: ParserOptions
    ) -> None:
        self._pipeline, self._crews, self._backend, self._options = pipeline, crews, backend, options
        self._size = options.batch_size if options.enable_batching else 1
        self._batch: list[_Pending] = []
        self._flying: dict[Future[bytes], list[_Pending]] = {}
        self._again: deque[_Pending] = deque()  # those of which a node said that it has others
        self._ships = False  # whether contents are sent, because nodes see other files
        self._done: dict[int, ParseResult] = {}
        self._next = 0
        self._per_byte = _PER_BYTE
        self._slots, self._counted = 1, float("-inf")

    def results(self, names: Iterable[str]) -> Iterator[ParseResult]:
        """Yield the results of ``names`` in their order."""
        try:
            for number, name in enumerate(names):
                self._take(number, name)
                yield from self._due()
            while self._batch or self._flying or self._again:
                self._flush()
                self._land(wait_for_one=True)
                yield from self._due()
        finally:
            for future in self._flying:
                future.cancel()

    def _due(self) -> Iterator[ParseResult]:
        while self._next in self._done:
            result = self._done.pop(self._next)
            self._next += 1
            yield result

    def _take(self, number: int, name: str) -> None:
        found = self._pipeline.recall(name)
        if isinstance(found, Miss):
            self._batch.append(_Pending(number, name, found))
            if self._is_full():
                self._flush()
        else:
            self._done[number] = found
        if self._flying:
            self._land(wait_for_one=len(self._flying) >= _AHEAD * self._count())

    def _is_full(self) -> bool:
        """Say whether the batch has its number of files and work enough, or work enough for ten."""
        work = sum(pending.miss.size for pending in self._batch) * self._per_byte
        return work >= _MOST_WORK or (len(self._batch) >= self._size and work >= _LEAST_WORK)

    def _count(self) -> int:
        now = time.monotonic()
        if now - self._counted > _RECOUNT:  # an auto-scaler may be at work
            self._slots, self._counted = max(1, self._backend.slots), now
        return self._slots

    # --- to the nodes ---------------------------------------------------------------------------------------

    def _flush(self) -> None:
        while self._again:
            self._batch.append(self._again.popleft())
        if self._batch:
            batch, self._batch = self._batch, []
            items = [item for pending in batch if (item := self._item(pending)) is not None]
            batch = [pending for pending in batch if pending.number not in self._done]
            if items:
                self._send(batch, items)

    def _send(self, batch: list[_Pending], items: list[Item]) -> None:
        import zstandard

        packed = zstandard.ZstdCompressor(level=1).compress(msgpack.encode(items))
        job = Job(packed, self._options.limits, self._options.remote)
        self._flying[self._backend.submit(parse_batch, job)] = batch

    def _item(self, pending: _Pending) -> Item | None:
        """Return what is sent of a file; None when looking at it again has answered it."""
        path, miss = os.path.abspath(pending.path), pending.miss  # noqa: PTH100
        content = miss.content
        if self._ships and content is None:
            found = self._pipeline.fetch(pending.path)
            if isinstance(found, ParseResult):
                self._done[pending.number] = found
                return None
            pending.miss = miss = miss._replace(content=found)
            content = found
        known = (content.content_hash, content.language) if content is not None else ("", "")
        raw = content.raw if self._ships and content is not None else None
        return Item(os.fsencode(path), miss.size, miss.seen.mtime_ns, *known, raw)

    # --- and back -------------------------------------------------------------------------------------------

    def _land(self, wait_for_one: bool) -> None:
        if not self._flying:
            return
        ended, _ = wait(self._flying, None if wait_for_one else 0, FIRST_COMPLETED)
        for future in ended:
            batch = self._flying.pop(future)
            try:
                answers = unpack_answers(future.result())
            except BrokenExecutor as error:
                self._isolate(batch, error)
            else:
                self._accept(batch, answers)

    def _accept(self, batch: list[_Pending], answers: list[Answer | None]) -> None:
        seconds = size = 0.0
        for pending, answer in zip(batch, answers, strict=True):
            if answer is None:
                self._again.append(pending)
                continue
            result = self._pipeline.admit(pending.path, answer, pending.miss)
            self._done[pending.number] = result
            if result.source == "parsed":
                seconds, size = seconds + result.parse_time, size + result.size
        if size:
            self._per_byte += (seconds / size - self._per_byte) / 4
        if self._again and not self._ships:
            self._ships = True
            log.info("nodes see other files than this process: contents are sent")

    def _isolate(self, batch: list[_Pending], error: BaseException) -> None:
        """Parse files in processes of their own, of which one at least kills nodes."""
        from perfcore.parsing.crew import Task

        log.warning("nodes died of a batch of %d files, which are parsed here: %s", len(batch), error)
        crew = self._crews.new_crew(1)
        try:
            for pending in batch:
                crew.submit(Task(pending.number, pending.path))
            while crew.outstanding:
                for task, answer in crew.collect(wait=True):
                    self._done[task.number] = self._pipeline.accept(task.path, answer)
        finally:
            crew.close()
