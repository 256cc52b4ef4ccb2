"""The auto-scaler: looks at metrics now and then, decides, and lets a scaler act."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from threading import Event, Lock, Thread
from typing import Any, Self

from perfcore._log import logger
from perfcore._repr import safe_repr
from perfcore.scaling import checks, decide
from perfcore.scaling.decide import Decision, Memory, Policy, Rate
from perfcore.scaling.errors import CapacityError, ScalingError
from perfcore.scaling.rules import DEFAULT_RULES, ScalingRule
from perfcore.scaling.scaler import HorizontalScaler

__all__ = ["AutoScaler"]

log = logger("scaling")


class AutoScaler:
    """Changes the number of a scaler's nodes as its rules say, and can say of each decision why.

    ``source`` returns the metrics (:meth:`.MetricsCollector.get_metrics`); what the scaler's backend knows
    better, such as the load of its nodes, takes their place. :meth:`start` looks every ``interval``
    seconds: in a thread, or on a Dask cluster's own loop, through its ``Adaptive``. With ``dry_run``
    decisions are made and logged, and nothing changes. The other options are those of :class:`.Policy`;
    bounds are the scaler's unless they are given.

    >>> from perfcore.scaling import HorizontalScaler, LocalBackend
    >>> with LocalBackend(2) as backend:
    ...     scaler = AutoScaler(HorizontalScaler(backend))
    ...     str(scaler.evaluate_scaling({"system": {"cpu": {"usage": 93}}}, now=0.0)), len(backend.nodes())
    ('scale-out from 2 to 3: cpu-scale-out holds [cpu 93, memory ?, queue 0]', 3)
    """

    def __init__(
        self,
        scaler: HorizontalScaler,
        source: Callable[[], Any] | None = None,
        *,
        rules: Iterable[ScalingRule] = DEFAULT_RULES,
        min_nodes: int | None = None,
        max_nodes: int | None = None,
        cooldown: float = 300.0,
        tolerance: float = 0.0,
        window_out: float = 0.0,
        window_in: float = 300.0,
        rate_out: tuple[int, float] = (4, 60.0),
        rate_in: tuple[int, float] = (1, 60.0),
        stale: float = 60.0,
        interval: float = 5.0,
        dry_run: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not isinstance(scaler, HorizontalScaler):
            raise TypeError(f"Expected a HorizontalScaler, got `{type(scaler).__name__}` - at `scaler`")
        self.scaler = scaler
        least = scaler.min_nodes if min_nodes is None else min_nodes
        most = max(scaler.max_nodes or 8, least) if max_nodes is None else max_nodes
        self.policy = Policy(
            *(tuple(rules), least, most, cooldown, tolerance, window_out, window_in),
            *(Rate(*rate_out), Rate(*rate_in), stale),
        )
        self.interval = checks.positive("interval", interval)
        self.dry_run = dry_run
        self._source = source
        self._clock = clock
        self._memory = Memory()
        self._decisions: deque[Decision] = deque(maxlen=256)
        self._lock = Lock()
        self._stop: Callable[[], None] | None = None

    @safe_repr
    def __repr__(self) -> str:
        return f"<AutoScaler of {self.scaler!r}{', dry run' if self.dry_run else ''}>"

    # --- deciding -------------------------------------------------------------------------------------------

    def decide(self, metrics: Any, now: float, nodes: int | None = None) -> Decision:
        """Return what to do, remember it, and do nothing; ``nodes`` is asked of the scaler if not given.

        What it goes by besides is only what earlier calls saw: :func:`.decide.decide` is the function.
        """
        with self._lock:
            return self._decide(metrics, now, nodes)

    def evaluate_scaling(self, metrics: Any = None, now: float | None = None) -> Decision:
        """Decide and act: returns when nodes have come, or have gone after ending what they ran.

        Metrics and time are asked for where they are not given. An action that fails is logged and takes
        its cooldown; while another thread is at it, the decision is to hold.
        """
        now = self._clock() if now is None else now
        if not self._lock.acquire(blocking=False):
            latest = self._decisions[-1].target if self._decisions else 0
            return Decision(now, "hold", latest, latest, "a change is under way")
        try:
            metrics = self._measured() if metrics is None else self._known_better(metrics)
            decision = self._decide(metrics, now, None)
            if decision.action != "hold":
                self._act(decision)
            return decision
        except ScalingError as error:
            return self._note(Decision(now, "hold", 0, 0, f"the backend cannot be asked: {error}"))
        finally:
            self._lock.release()

    async def aevaluate_scaling(self, metrics: Any = None, now: float | None = None) -> Decision:
        """:meth:`evaluate_scaling`, without holding up the event loop."""
        from asyncio import to_thread

        return await to_thread(self.evaluate_scaling, metrics, now)

    def decisions(self) -> list[Decision]:
        """Return the latest decisions, oldest first."""
        return list(self._decisions)

    # --- by itself ------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Look every ``interval`` seconds from now on; does nothing when started."""
        if self._stop is None:
            adapt = getattr(self.scaler.backend, "adapt", None)
            self._stop = (adapt(self) if adapt is not None else None) or self._start_thread()
        return self

    def stop(self) -> None:
        """Look no more; a change that is under way is carried through."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def close(self) -> None:
        """:meth:`stop`."""
        self.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_thread(self) -> Callable[[], None]:
        ended = Event()

        def look() -> None:
            while not ended.wait(self.interval):
                try:
                    self.evaluate_scaling()
                except Exception:
                    log.exception("metrics could not be had, or a rule raised")

        thread = Thread(target=look, name="perfcore-autoscaler", daemon=True)
        thread.start()

        def end() -> None:
            ended.set()
            thread.join()

        return end

    # --- for the adapter on Dask's loop ---------------------------------------------------------------------

    def propose(self, nodes: int) -> Decision:
        """Return what to do about ``nodes`` nodes with the metrics of now; :meth:`carry_out` does it."""
        with self._lock:
            return self._decide(self._measured(), self._clock(), nodes)

    def carry_out(self, decision: Decision) -> None:
        """Act on a decision of :meth:`propose`."""
        with self._lock:
            self._act(decision)

    # --- within the lock ------------------------------------------------------------------------------------

    def _measured(self) -> Any:
        if self._source is None:
            from perfcore.monitor import PerformanceMetrics

            return self._known_better(PerformanceMetrics(timestamp=self._clock()))
        return self._known_better(self._source())

    def _known_better(self, metrics: Any) -> Any:
        from perfcore.monitor import PerformanceMetrics

        if isinstance(metrics, PerformanceMetrics):
            return self.scaler.backend.measure(metrics)
        if isinstance(metrics, dict) and "application" not in metrics:
            queued = self.scaler.backend.stats().queued
            return {**metrics, "application": {"workers": {"queued": queued}}}
        return metrics

    def _decide(self, metrics: Any, now: float, nodes: int | None) -> Decision:
        if nodes is None:
            nodes = sum(node.state == "running" for node in self.scaler.nodes())
        decision, self._memory = decide.decide(self.policy, self._memory, nodes, metrics, now)
        return self._note(replace(decision, dry_run=self.dry_run))

    def _note(self, decision: Decision) -> Decision:
        before = self._decisions[-1] if self._decisions else None
        news = decision.action != "hold" or before is None or decision.reason != before.reason
        log.log(20 if news else 10, "%s", decision)  # INFO or DEBUG: what repeats is not news
        self._decisions.append(decision)
        return decision

    def _act(self, decision: Decision) -> None:
        if self.dry_run:
            return
        started = time.monotonic()
        try:
            if decision.action == "scale-out":
                self.scaler.scale_out(decision.target)
            else:
                self.scaler.scale_in(decision.target)
        except (ScalingError, ValueError) as error:
            level = log.info if isinstance(error, CapacityError) else log.warning
            level("%s was not carried out: %s", decision.action, error)
        finally:
            self._memory = self._memory.completed(decision.time + time.monotonic() - started)
