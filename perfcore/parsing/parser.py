"""The parser that people use: options in, one pipeline, threads and worker processes on demand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from perfcore._repr import safe_repr
from perfcore.parsing.options import ParserOptions
from perfcore.parsing.pipeline import Listener, ParserStats, Tally
from perfcore.parsing.resources import Resources
from perfcore.parsing.result import ParseResult

if TYPE_CHECKING:
    from perfcore.types import RunsTasks

__all__ = ["OptimizedParser", "optimize_for_performance"]

StrPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def optimize_for_performance(target: Mapping[str, Any] | None = None, /, **options: Any) -> OptimizedParser:
    """Return a parser with the given options, which may also come as one mapping; see :class:`ParserOptions`.

    Raises :exc:`TypeError` for an unknown option or a value of the wrong type, :exc:`ValueError` for a value
    out of range; both name the option. Nothing is opened or started before the first file.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = pathlib.Path(directory, "shop.py")
    ...     _ = path.write_text("class Cart:\\n    def add(self): ...\\n")
    ...     with optimize_for_performance(cache_size="64MB", cache_directory=False) as parser:
    ...         first, second = parser.parse_file(path), parser.parse_file(path)
    >>> [(symbol.kind, symbol.qualified_name) for symbol in first.symbols], second.source
    ([('class', 'Cart'), ('method', 'Cart.add')], 'memory')
    """
    if target is not None and not isinstance(target, Mapping):
        raise TypeError(f"expected a mapping of options, got {type(target).__name__}")
    options = {**(target or {}), **options}
    unknown = options.keys() - {*ParserOptions.__struct_fields__}
    if unknown:
        raise TypeError(f"unknown option {', '.join(sorted(map(repr, unknown)))}")
    return OptimizedParser(ParserOptions(**options))


class OptimizedParser:
    """Parses source files and remembers what was in them; made by :func:`optimize_for_performance`.

    A file that cannot be parsed is no exception but a result that says why in ``skipped``. May be used from
    any thread, and in a forked child. Close it, or use it as a context manager, plain or ``async``; it may be
    used again after.
    """

    def __init__(self, options: ParserOptions | None = None) -> None:
        self.options = options or ParserOptions()
        self._tally = Tally()
        self._lock = Lock()
        self._opened: Resources | None = None
        _parsers.add(self)

    @safe_repr
    def __repr__(self) -> str:
        return f"<OptimizedParser: {'at work' if self._opened else 'idle'}>"

    def parse_file(self, path: StrPath) -> ParseResult:
        """Return what is in the file at ``path``, a path in any form ``open`` takes; never raises for what it
        is.

        Memory and disk are asked first. Raises :exc:`~perfcore.errors.MissingExtraError` without the
        ``parse`` extra and :exc:`TypeError` when ``path`` is no path.
        """
        return self._resources().pipeline.run(os.fsdecode(path))

    async def aparse_file(self, path: StrPath) -> ParseResult:
        """:meth:`parse_file` without holding up the event loop, at most ``max_concurrency`` at a time."""
        import asyncio

        threads = self._resources().threads
        return await asyncio.get_running_loop().run_in_executor(threads, self.parse_file, path)

    def parse_many(
        self, paths: Iterable[StrPath], *, jobs: int | None = None, backend: RunsTasks | None = None
    ) -> Iterator[ParseResult]:
        """Yield the result of each of ``paths``, in their order, as :meth:`parse_file` would give it.

        ``jobs`` is the number of worker processes, by default ``max_concurrency`` but at most one per CPU; 1
        parses in this process and takes a path only when its result is asked for. More look ahead in
        ``paths``, and start when there is enough to parse; they live until the parser is closed.

        With a ``backend`` (such as :class:`.DaskBackend`) its nodes parse, in batches of ``batch_size`` files
        and at least 0.1 s of work; the results are the same. Nodes that see other files at these paths are
        sent the contents. Raises :exc:`ValueError` unless ``jobs`` >= 1, and what the backend raises when it
        is lost.
        """
        if backend is not None:
            return self._on(backend, paths, jobs)
        jobs = self._resources().default_jobs if jobs is None else jobs
        if jobs < 1:
            raise ValueError(f"jobs: expected at least 1, got {jobs}")
        names = map(os.fsdecode, paths)
        if jobs == 1:
            return map(self.parse_file, names)
        from perfcore.parsing.parallel import ParallelRun

        resources = self._resources()
        batch_size = self.options.batch_size if self.options.enable_batching else 1
        return ParallelRun(resources.pipeline, resources, jobs, batch_size).results(names)

    def _on(self, backend: RunsTasks, paths: Iterable[StrPath], jobs: int | None) -> Iterator[ParseResult]:
        from perfcore.parsing.cluster import ClusterRun

        if jobs is not None:
            raise ValueError("jobs: a backend has its own number of nodes")
        if not (hasattr(backend, "submit") and hasattr(backend, "slots")):
            raise TypeError(f"backend: expected submit() and slots, got {type(backend).__name__}")
        resources = self._resources()
        run = ClusterRun(resources.pipeline, resources, backend, self.options)
        return run.results(map(os.fsdecode, paths))

    def stats(self) -> ParserStats:
        """Return the counts of answers since the parser was made."""
        return self._tally.stats()

    def listen(self, listener: Listener) -> None:
        """Call ``listener(seconds, failed)`` with each answer from now on, in whatever thread gives it."""
        self._tally.listeners = (*self._tally.listeners, listener)

    def clear_cache(self) -> None:
        """Forget all results, in memory, on disk, and those that are shared for everybody."""
        self._resources().store.clear()

    def close(self) -> None:
        """Write what is pending to disk and end threads and worker processes."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    async def aclose(self) -> None:
        """:meth:`close` without holding up the event loop."""
        import asyncio

        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _resources(self) -> Resources:
        opened = self._opened
        if opened is None:
            with self._lock:
                opened = self._opened = self._opened or Resources(self.options, self._tally)
        return opened


_parsers: WeakSet[OptimizedParser] = WeakSet()


def _after_fork_in_child() -> None:
    """Go on with the caches, but leave locks, threads and worker processes to the parent."""
    for parser in _parsers:
        parser._lock = Lock()
        parser._tally.renew_lock()
        if parser._opened is not None:
            parser._opened.forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
