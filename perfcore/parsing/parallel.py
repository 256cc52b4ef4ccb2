"""``parse_many`` over worker processes: hits are answered here, misses go to the crew, order is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

from perfcore._log import logger
from perfcore.parsing.crew import Crew, CrewLost, Task
from perfcore.parsing.pipeline import Miss, Pipeline
from perfcore.parsing.result import ParseResult

__all__ = ["CrewSource", "ParallelRun"]

log = logger("parsing")

#: Less text than this is parsed sooner here than worker processes have started (0.1 s).
_CREW_PAYS_BYTES = 512 * 1024
#: How far, in batches per worker, results may run ahead of the one that is waited for.
_WINDOW_BATCHES = 4


class CrewSource(Protocol):
    """Who keeps worker processes from one run to the next."""

    def idle_crew(self, jobs: int) -> Crew | None:
        """Return a crew of ``jobs`` running workers that nobody else uses, if there is one."""

    def new_crew(self, jobs: int) -> Crew:
        """Return a new crew of ``jobs`` workers."""

    def return_crew(self, crew: Crew) -> None:
        """Take back a crew; one that still has work is closed."""


class ParallelRun:
    """One call of ``parse_many``."""

    def __init__(self, pipeline: Pipeline, crews: CrewSource, jobs: int, batch_size: int) -> None:
        self._pipeline = pipeline
        self._crews = crews
        self._jobs = jobs
        self._batch_size = batch_size
        self._crew = crews.idle_crew(jobs)
        self._can_start = True
        self._held: deque[Task] = deque()  #: misses while there is no crew
        self._held_bytes = 0
        self._done: dict[int, ParseResult] = {}
        self._next = 0  #: index of the result that is due

    def results(self, names: Iterable[str]) -> Iterator[ParseResult]:
        """Yield the results of ``names`` in their order."""
        window = _WINDOW_BATCHES * self._jobs * self._batch_size
        index = -1
        try:
            for index, name in enumerate(names):
                self._take(Task(index, name))
                yield from self._due()
                while index - self._next >= window:
                    self._work()
                    yield from self._due()
            while self._next <= index:
                self._work()
                yield from self._due()
        finally:
            if self._crew is not None:
                self._crews.return_crew(self._crew)

    def _due(self) -> Iterator[ParseResult]:
        while self._next in self._done:
            result = self._done.pop(self._next)
            self._next += 1
            yield result

    def _take(self, task: Task) -> None:
        found = self._pipeline.recall(task.path)
        if not isinstance(found, Miss):
            self._done[task.number] = found
        elif self._crew is not None:
            self._crew.submit(task)
        else:
            self._held.append(task)
            self._held_bytes += found.size
            self._start_crew_if_it_pays()
        if self._crew is not None and task.number % self._batch_size == 0:
            self._collect(wait=False)

    def _start_crew_if_it_pays(self) -> None:
        if self._can_start and self._held_bytes >= _CREW_PAYS_BYTES:
            self._crew = self._crews.new_crew(self._jobs)
            for task in self._held:
                self._crew.submit(task)
            self._held.clear()
            self._collect(wait=False)

    def _work(self) -> None:
        """Wait for the crew, or parse the next file here."""
        if self._crew is not None:
            self._collect(wait=True)
        else:
            task = self._held.popleft()
            self._done[task.number] = self._pipeline.run(task.path)

    def _collect(self, wait: bool) -> None:
        assert self._crew is not None
        try:
            for task, answer in self._crew.collect(wait):
                self._done[task.number] = self._pipeline.accept(task.path, answer)
        except CrewLost as error:
            log.warning("no worker processes, parsing goes on in this one: %s", error)
            self._held.extend(self._crew.abandon())
            self._crew, self._can_start = None, False
