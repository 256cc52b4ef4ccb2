"""A manager's numbers for whoever asks over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from perfcore.assembly import Assembly
from perfcore.types import CountsLookups

if TYPE_CHECKING:
    from perfcore.cache import CacheManager
    from perfcore.memory import MemoryOptimizer
    from perfcore.memory.reports import Decision
    from perfcore.metrics import Registry
    from perfcore.monitor import MetricsCollector, MetricsServer, PerformanceAlerting, Sources
    from perfcore.monitor.serve import PartState
    from perfcore.status import ManagerStatus

__all__ = ["Serving", "sources"]

_TIERS = ("memory", "disk", "distributed")


class Serving(Assembly):
    """An assembly of parts that opens servers, and closes them before the parts."""

    _servers: tuple[MetricsServer, ...] = ()

    def close(self, timeout: float | None = None) -> None:
        """Close the servers, finish what the workers were given, then close every part, the last built first.

        Does nothing when closed. With a ``timeout`` in seconds, what is not done by then is cancelled where
        it can be and left behind where it cannot. All parts are closed also when some fail to; their errors,
        and a :exc:`TimeoutError` for each that was not done, are raised together, as an exception group.
        """
        servers, self._servers = self._servers, ()
        for server in servers:
            server.close(2.0 if timeout is None else min(2.0, timeout))
        super().close(timeout)

    def serve(
        self,
        port: int = 9465,
        host: str = "127.0.0.1",
        token: str | None = None,
        *,
        hosts: Iterable[str] = (),
        interval: float = 2.0,
        history: float = 900.0,
        registry: Registry | None = None,
    ) -> MetricsServer:
        """Serve what this manager does at ``http://host:port/``, in a thread, until either is closed.

        ``/metrics`` is for Prometheus, ``/snapshot.json`` for scripts, ``/healthz`` says 503 where a tier or
        a part fails, and ``/`` is a page with charts. ``port=0`` takes a free one. Whoever can reach another
        address than this machine's own needs the ``token``, as ``Authorization: Bearer``. ``hosts`` are
        names, besides this machine's own, under which it may be asked; ``interval`` is how many seconds
        pass between two looks, of which those of the last ``history`` seconds are kept. The instruments are
        those of ``registry``, by default those that were made without one.

        Raises ValueError without a token where others can ask, and OSError where the port is taken.

        >>> from urllib.request import urlopen
        >>> from perfcore import PerformanceManager
        >>> with PerformanceManager() as manager:
        ...     server = manager.serve(port=0)
        ...     urlopen(f"{server.url}healthz").read()
        b'{"status":"ok","problems":[]}'
        """
        from perfcore.monitor import MetricsServer

        self.start()
        server = MetricsServer(
            sources(self, registry),
            port=port,
            host=host,
            token=token,
            hosts=hosts,
            interval=interval,
            history=history,
        )
        self._servers = (*(one for one in self._servers if one.running), server)
        return server

    async def aserve(self, *args: Any, **options: Any) -> MetricsServer:
        """:meth:`serve`, without holding up the event loop while a host's name is looked up."""
        from asyncio import to_thread

        return await to_thread(self.serve, *args, **options)


def sources(manager: Serving, registry: Registry | None = None) -> Sources:
    """Return what a server looks at: what is built, when it looks; it builds nothing."""
    from perfcore.metrics import default_registry
    from perfcore.monitor import Sources

    def monitor() -> MetricsCollector | None:
        return manager._built.get("monitor")

    def alerts() -> PerformanceAlerting | None:
        return manager._built.get("alerts")

    def caches() -> dict[str, CountsLookups]:
        status = manager.status()
        own = {name: manager._built[name] for name in _TIERS if status.parts[name].state == "running"}
        watching = monitor()
        added = {} if watching is None else watching.caching.sources()
        return own | {name: cache for name, cache in added.items() if name not in own}

    def health() -> dict[str, tuple[bool, str]]:
        tiers: dict[str, Any] = {name: manager._built.get(name) for name in _TIERS}
        cache: CacheManager | None = manager._built.get("cache")
        together = {} if cache is None else cache.health()  # which knows more of a tier than it does itself
        own = {name: tier.problems() for name, tier in tiers.items() if hasattr(tier, "problems")}
        found = {name: (not problems, "; ".join(problems)) for name, problems in own.items()}
        return found | {
            ("distributed" if name == "remote" else name): state for name, state in together.items()
        }

    def workers() -> dict[str, Any]:
        watching = monitor()
        added = {} if watching is None else watching.workers.sources()
        running = manager.status().parts["workers"].state == "running"
        return added | ({"workers": manager._built["workers"]} if running else {})

    def pools() -> dict[str, Any]:
        optimizer: MemoryOptimizer | None = manager._built.get("memory_optimizer")
        own = {"buffers": manager._built["buffers"]} if "buffers" in manager._built else {}
        return own | ({} if optimizer is None else dict(optimizer.pools()))

    def changes() -> list[Decision]:
        optimizer: MemoryOptimizer | None = manager._built.get("memory_optimizer")
        return [] if optimizer is None else optimizer.decisions()

    return Sources(
        parts=lambda: _parts(manager.status()),
        caches=caches,
        health=health,
        workers=workers,
        pools=pools,
        changes=changes,
        monitor=monitor,
        alerts=alerts,
        registry=default_registry if registry is None else lambda: registry,
    )


def _parts(status: ManagerStatus) -> dict[str, PartState]:
    from perfcore.monitor.serve import PartState

    return {name: PartState(part.state, part.detail) for name, part in status.parts.items()}
