"""The object that a service creates at start-up: builds, owns and stops all of perfcore from one config."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from perfcore._log import logger
from perfcore._version import __version__
from perfcore.config.loading import Setting, load
from perfcore.config.schema import PerformanceConfig
from perfcore.errors import ConfigError, PerfcoreError
from perfcore.parts import LATER, PARTS, Later, Part, introduce, nothing
from perfcore.status import ManagerStatus, PartStatus, State, versions
from perfcore.types import Closable

if TYPE_CHECKING:
    from perfcore.cache import Cache, CacheManager, DiskCache
    from perfcore.monitor import (
        MetricsCollector,
        PerformanceAlerting,
        PerformanceMetrics,
        PerformanceProfiler,
    )
    from perfcore.parsing import OptimizedParser
    from perfcore.workers import WorkerPool

__all__ = ["ManagerStatus", "PartStatus", "PerformanceManager"]

log = logger("manager")


class PerformanceManager:
    """Builds, owns and stops the parts of perfcore that one configuration asks for.

    ``config`` is a mapping, the path of a ``.toml`` or ``.json`` file or a
    :class:`~perfcore.config.PerformanceConfig`; keyword arguments are settings too and win over it. It is
    validated at once: :exc:`~perfcore.errors.ConfigError` names the path and what was expected there.

    Each part is imported and built on its first use (by :meth:`start` where ``enable_code_splitting`` is
    off). A cache tier that is off, or that this machine cannot give, is a cache that stores nothing: code
    need not ask, and ``PERFCORE_DISABLE=cache`` needs no change in it. What the configuration asks for and
    this version does not have yet is said by :meth:`status` and logged once.

    May be used from any thread, and in a forked child.

    >>> with PerformanceManager(caching={"max_memory": "8MB"}) as manager:
    ...     manager.memory["user:1"] = "free"
    ...     manager.memory["user:1"], manager.status().parts["memory"].state
    ('free', 'running')
    """

    def __init__(
        self,
        config: PerformanceConfig | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        /,
        **options: Any,
    ) -> None:
        self._config, self._settings = load(config, **options)
        self._state: State = "new"
        self._built: dict[str, Any] = {}
        self._failures: dict[str, str] = {}
        self._lock = RLock()
        _managers.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._state}, built: {', '.join(self._built) or 'nothing'}>"

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start, or start again after :meth:`close`; does nothing when started. Returns the manager."""
        with self._lock:
            if self._state != "started":
                self._state = "started"
                for later in LATER:
                    if later.wanted(self._config):
                        _say_once(later)
                if not self._config.optimization.enable_code_splitting:
                    self._build_all()
                    return self
                for part in PARTS:
                    if part.at_start and part.wanted(self._config):
                        self._build(part.name)
                if self._config.caching.enabled and self._config.caching.policies.warmup == "eager":
                    self._build("cache")  # which brings back what memory held at the last stop
        return self

    async def initialize(self) -> Self:
        """:meth:`start`, without holding up the event loop."""
        from asyncio import to_thread

        return await to_thread(self.start)

    def close(self) -> None:
        """Finish what the workers were given, then close every part, the last built first.

        Does nothing when closed. All parts are closed also when some fail to; their errors are raised
        together, as an exception group.
        """
        ended = None
        while True:
            with self._lock:
                pool: WorkerPool | None = self._built.get("workers")
                if pool is ended:
                    self._close_all()
                    return
            ended = pool
            if pool is not None:
                pool.shutdown()  # without the lock: its tasks may use the manager to their end

    def _close_all(self) -> None:
        self._state = "closed"
        self._failures.clear()
        errors = [error for name in reversed([*self._built]) if (error := _close(self._built.pop(name)))]
        if errors:
            raise BaseExceptionGroup("parts of the manager failed to close", errors)

    async def aclose(self) -> None:
        """:meth:`close`, without holding up the event loop."""
        from asyncio import to_thread

        await to_thread(self.close)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await self.initialize()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # --- parts ----------------------------------------------------------------------------------------------

    @property
    def config(self) -> PerformanceConfig:
        """The validated configuration, each setting in its canonical place."""
        return self._config

    @property
    def memory(self) -> Cache[Any, Any]:
        """The memory tier."""
        tier: Cache[Any, Any] = self._part("memory")
        return tier

    @property
    def disk(self) -> DiskCache | Cache[Any, Any]:
        """The disk tier."""
        tier: DiskCache | Cache[Any, Any] = self._part("disk")
        return tier

    @property
    def cache(self) -> CacheManager:
        """The cache over both tiers: one set of verbs, tags, dependencies, sync and async."""
        cache: CacheManager = self._part("cache")
        return cache

    @property
    def parser(self) -> OptimizedParser:
        """The parser of source files; :exc:`.MissingExtraError` without ``perfcore[parse]``."""
        parser: OptimizedParser = self._part("parser")
        return parser

    @property
    def monitor(self) -> MetricsCollector:
        """The collector of metrics, which runs from :meth:`start` on where the configuration wants it."""
        monitor: MetricsCollector = self._part("monitor")
        return monitor

    @property
    def alerts(self) -> PerformanceAlerting:
        """The alerts; add rules, handlers and actions to it."""
        alerts: PerformanceAlerting = self._part("alerts")
        return alerts

    @property
    def profiler(self) -> PerformanceProfiler:
        """The profiler; where profiling is off it calls what it is given and samples nothing."""
        profiler: PerformanceProfiler = self._part("profiler")
        return profiler

    @property
    def workers(self) -> WorkerPool:
        """The pool of workers; where workers are off, one whose calls are made by who submits them."""
        pool: WorkerPool = self._part("workers")
        return pool

    def get_metrics(self) -> PerformanceMetrics:
        """Return what the machine, the process and the parts do now; what is not measured is None."""
        return self.monitor.get_metrics()

    def _part(self, name: str) -> Any:
        part = self._built.get(name)  # without the lock: what is built stays until close()
        return self._build(name) if part is None else part

    def _build(self, name: str) -> Any:
        with self._lock:
            if self._state == "closed":
                raise PerfcoreError("the manager is closed; start() makes it usable again")
            self.start()
            if name not in self._built:
                part = next(part for part in PARTS if part.name == name)
                self._built[name] = self._make(part)
                introduce(self._built, name)
            return self._built[name]

    def _build_all(self) -> None:
        try:
            for part in PARTS:
                if part.wanted(self._config):
                    self._build(part.name)
        except BaseException:
            self.close()
            raise

    def _make(self, part: Part) -> Any:
        if not part.wanted(self._config):
            return part.absent()
        try:
            made = part.build(self._config, *(self._build(name) for name in part.needs))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the {part.name} part cannot be built: {error}") from error
        except Exception as error:
            self._failures[part.name] = f"{type(error).__name__}: {error}"
            if not part.tier or isinstance(
                error, ImportError
            ):  # a broken installation is better seen at once
                raise
            log.warning("going on without the %s tier: %s", part.name, self._failures[part.name])
            return nothing()
        self._failures.pop(part.name, None)
        return made

    # --- looking around -------------------------------------------------------------------------------------

    def explain(self) -> dict[str, Setting]:
        """Return each setting by its dotted path: its value, what decided it, and what that overrode.

        >>> PerformanceManager(caching={"max_memory": "8MB"}).explain()["caching.layers.memory.max_size"]
        Setting(value=8388608, origin='caching.max_memory', overridden=())
        """
        return dict(self._settings)

    def status(self) -> ManagerStatus:
        """Return what runs, what does not and why; builds nothing."""
        from perfcore._native.build import build_info

        parts = {part.name: self._status_of(part) for part in PARTS}
        tiers = [part.name for part in PARTS if part.tier and parts[part.name].state in ("running", "idle")]
        parts |= {
            part.name: PartStatus("unavailable", _not_yet(part))
            for part in LATER
            if part.wanted(self._config)
        }
        return ManagerStatus(self._state, parts, tuple(tiers), versions(), build_info())

    def _status_of(self, part: Part) -> PartStatus:
        if not part.wanted(self._config):
            return PartStatus("off")
        if part.name in self._failures:
            return PartStatus("failed", self._failures[part.name])
        built = self._built.get(part.name)
        if built is None:
            return PartStatus("idle", "built on first use")
        stats = getattr(built, "stats", None)
        return PartStatus("running", stats=stats() if callable(stats) else None)


def _close(part: object) -> BaseException | None:
    try:
        if isinstance(part, Closable):
            part.close()
    except BaseException as error:  # also KeyboardInterrupt: the parts after this one are still to be closed
        return error
    return None


def _not_yet(part: Later) -> str:
    return f"not available in perfcore {__version__}; {part.instead}"


@cache
def _say_once(part: Later) -> None:
    log.warning("%s is configured and %s", part.name, _not_yet(part))


# A thread that is not there in a forked child may have held a lock at the fork.
_managers: WeakSet[PerformanceManager] = WeakSet()


def _renew_locks() -> None:
    for manager in _managers:
        manager._lock = RLock()


os.register_at_fork(after_in_child=_renew_locks)
