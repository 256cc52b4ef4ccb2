"""The parts of a manager: built when they are needed, stopped in order, and what is known of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import RLock
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from perfcore._log import logger
from perfcore._repr import safe_repr
from perfcore._version import __version__
from perfcore.config.loading import load
from perfcore.config.schema import PerformanceConfig
from perfcore.errors import ConfigError, PerfcoreError
from perfcore.meetings import introduce
from perfcore.parts import LATER, PARTS, Later, Part, nothing
from perfcore.precompile import load_everything
from perfcore.status import ManagerStatus, PartStatus, State, versions
from perfcore.stopping import close_all, finish

if TYPE_CHECKING:
    from perfcore.workers import WorkerPool

__all__ = ["Assembly"]

log = logger("manager")


class Assembly:
    """The machinery of :class:`.PerformanceManager`: which parts there are, and their lives."""

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

    @safe_repr
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
                if not self._config.optimization.enable_tree_shaking:
                    load_everything()
                if not self._config.optimization.enable_code_splitting:
                    self._build_all()
                    return self
                for part in PARTS:
                    if part.wanted(self._config) and part.at_start(self._config):
                        self._begin(part)
                if self._config.caching.enabled and self._config.caching.policies.warmup == "eager":
                    self._build("cache")  # which brings back what memory held at the last stop
        return self

    def _begin(self, part: Part) -> None:
        """Build a part that nobody has asked for; when it fails the others do without it."""
        try:
            self._build(part.name)
        except (ConfigError, ImportError):  # neither gets better by going on
            raise
        except Exception:
            log.warning("going on without the %s: %s", part.name, self._failures.get(part.name))

    async def initialize(self) -> Self:
        """:meth:`start`, without holding up the event loop."""
        from asyncio import to_thread

        return await to_thread(self.start)

    def close(self, timeout: float | None = None) -> None:
        """Finish what the workers were given, then close every part, the last built first."""
        deadline = None if timeout is None else monotonic() + timeout
        errors: list[BaseException] = []
        ended = None
        while True:
            with self._held(deadline):
                pool: WorkerPool | None = self._built.get("workers")
                if pool is ended:
                    errors += self._close_parts(deadline, without="workers" if errors else "")
                    break
            ended = pool
            if pool is not None:  # without the lock: its tasks may use the manager to their end
                errors += finish(pool, deadline)
        if errors:
            raise BaseExceptionGroup("parts of the manager failed to close", errors)

    @contextmanager
    def _held(self, deadline: float | None) -> Iterator[None]:
        """Hold the lock; :exc:`TimeoutError` when another thread is still starting it at the ``deadline``."""
        if not self._lock.acquire(timeout=-1 if deadline is None else max(0.0, deadline - monotonic())):
            raise TimeoutError("the manager was still starting when the time to close it was up")
        try:
            yield
        finally:
            self._lock.release()

    def _close_parts(self, deadline: float | None, *, without: str) -> list[BaseException]:
        self._state = "closed"
        self._failures.clear()
        parts = [(name, self._built[name]) for name in reversed(self._built) if name != without]
        self._built.clear()
        return close_all(parts, deadline)

    async def aclose(self, timeout: float | None = None) -> None:
        """:meth:`close`, without holding up the event loop."""
        from asyncio import to_thread

        await to_thread(self.close, timeout)

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

    # --- building -----------------------------------------------------------------------------------------

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

    def _real(self) -> dict[str, bool]:
        """Say of each part that is built whether it is the real thing, and not what stands in for it."""
        wanted = {part.name: part.wanted(self._config) for part in PARTS}
        return {name: wanted[name] and name not in self._failures for name in self._built}

    # --- looking around -----------------------------------------------------------------------------------

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


def _not_yet(part: Later) -> str:
    return f"not available in perfcore {__version__}; {part.instead}"


@cache
def _say_once(part: Later) -> None:
    log.warning("%s is configured and %s", part.name, _not_yet(part))


# A thread that is not there in a forked child may have held a lock at the fork.
_managers: WeakSet[Assembly] = WeakSet()


def _renew_locks() -> None:
    for manager in _managers:
        manager._lock = RLock()


os.register_at_fork(after_in_child=_renew_locks)
