"""What an open parser holds: cache tiers, threads for ``async`` callers, idle worker processes."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from perfcore.memory.pressure import MemoryWatch
from perfcore.parsing.options import ParserOptions
from perfcore.parsing.pipeline import Pipeline, Tally
from perfcore.parsing.store import ResultStore, weigh

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from perfcore.cache import DiskCache
    from perfcore.parsing.crew import Crew
    from perfcore.parsing.shared import SharedResults
    from perfcore.types import Store

__all__ = ["Resources"]


class Resources:
    """Opens the tiers that ``options`` ask for; everything else on first use."""

    def __init__(self, options: ParserOptions, tally: Tally) -> None:
        self._options = options
        self._idle: list[Crew] = []
        self._parents: tuple[list[Crew], ThreadPoolExecutor | None] = ([], None)
        self._disk = _open_disk(options) if options.enable_parse_cache else None
        self._shared = _open_shared(options) if options.enable_parse_cache else None
        memory = _open_memory(options) if options.enable_parse_cache else None
        self.store = ResultStore(memory, self._disk, self._shared)
        watch = MemoryWatch(options.gc_threshold, self.store.forget_memory)
        after_parse = watch.look if options.enable_memory_optimization else _nothing
        self.pipeline = Pipeline(self.store, options.limits, tally, after_parse)

    @property
    def default_jobs(self) -> int:
        """``max_concurrency``, but no more than this process has CPUs."""
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(self._options.max_concurrency or cpus, cpus)

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """Threads for ``aparse_file``."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(self._options.max_concurrency or self.default_jobs, "perfcore-parse")

    def idle_crew(self, jobs: int) -> Crew | None:
        """Return a crew of ``jobs`` running workers that nobody else uses, if there is one."""
        try:
            crew = self._idle.pop()
        except IndexError:
            return None
        if crew.size == jobs:
            return crew
        crew.close()
        return None

    def new_crew(self, jobs: int) -> Crew:
        """Return a new crew of ``jobs`` workers."""
        from perfcore.parsing.crew import Crew

        batch_size = self._options.batch_size if self._options.enable_batching else 1
        return Crew(jobs, self._options.limits, batch_size)

    def return_crew(self, crew: Crew) -> None:
        """Keep ``crew`` for the next run unless it has work left or another is kept already."""
        if crew.outstanding or self._idle:
            crew.close()
        else:
            self._idle.append(crew)

    def forked(self) -> None:
        """In a forked child: leave threads and workers to the parent, without ending them."""
        self._parents = (self._idle, vars(self).pop("threads", None))
        self._idle = []
        self.store.renew_locks()

    def close(self) -> None:
        """End threads and workers, then write what is pending to disk."""
        if "threads" in vars(self):
            self.threads.shutdown()
        while self._idle:
            self._idle.pop().close()
        self.store.forget_memory()
        if self._disk is not None:
            self._disk.close()
        if self._shared is not None:
            self._shared.close()


def _nothing() -> None:
    pass


def _open_memory(options: ParserOptions) -> Store:
    from perfcore.cache import Cache

    assert isinstance(options.cache_size, int)
    memory: Store = Cache(maxweight=options.cache_size, weigher=weigh, ttl=options.cache_ttl)
    return memory


def _open_shared(options: ParserOptions) -> SharedResults | None:
    from perfcore.parsing.shared import SharedResults

    return None if options.remote is None else SharedResults(options.remote, options.cache_ttl)


def _open_disk(options: ParserOptions) -> DiskCache | None:
    if options.cache_directory is False:
        return None
    from perfcore.cache import DiskCache

    # Not compressed: results are 2 KB, and compressing them took 2.5 % of the time of parsing their files.
    if options.cache_directory is None:
        return DiskCache(name="parse", ttl=options.cache_ttl, compression="off")
    return DiskCache(options.cache_directory, ttl=options.cache_ttl, compression="off")
