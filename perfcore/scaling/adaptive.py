"""The auto-scaler on Dask's own mechanism: an ``Adaptive`` whose decisions are rules and whose way down
drains.

Dask's looks every second, scales up at once and down after three looks that agree, by what it expects its
queue to take; users report clusters that flap. What it does well is kept: it lives on the cluster's loop,
ends with the cluster, and never runs twice at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from distributed.deploy.adaptive import Adaptive

if TYPE_CHECKING:
    from perfcore.scaling.autoscale import AutoScaler
    from perfcore.scaling.decide import Decision

__all__ = ["RuleAdaptive", "attach"]


class RuleAdaptive(Adaptive):
    """Dask's ``Adaptive`` that asks an :class:`.AutoScaler`; made by ``cluster.adapt`` in :func:`attach`."""

    def __init__(self, cluster: Any = None, *, rules: AutoScaler, **_: Any) -> None:
        policy = rules.policy
        # wait_count: how long fewer nodes have to be wanted is the policy's business
        super().__init__(
            cluster,
            interval=rules.interval,
            minimum=policy.min_nodes,
            maximum=policy.max_nodes,
            wait_count=1,
        )
        self._rules = rules
        self._decision: Decision | None = None

    async def target(self) -> int:
        """Return how many workers there should be; in a dry run, how many there are."""
        planned = len(self.plan)
        decision = await asyncio.to_thread(self._rules.propose, planned)
        if decision.action == "hold" or decision.dry_run:
            self._decision = None
            return planned
        self._decision = decision
        return decision.target

    async def workers_to_close(self, target: int) -> list[Any]:
        """Return the workers with least to do: which they are matters only to Dask's log."""
        scaler = self._rules.scaler
        nodes = await asyncio.to_thread(scaler.nodes)
        leaving = {node.name for node in scaler.leaving(nodes, target)}
        return [name for name in self.plan if str(name) in leaving]

    async def scale_up(self, n: Any) -> None:
        """Let the scaler bring nodes up; the loop goes on meanwhile."""
        await self._carry_out()

    async def scale_down(self, workers: Any) -> None:
        """Let the scaler drain nodes."""
        await self._carry_out()

    async def _carry_out(self) -> None:
        if self._decision is not None:
            await asyncio.to_thread(self._rules.carry_out, self._decision)


def attach(cluster: Any, rules: AutoScaler) -> Callable[[], None]:
    """Let ``rules`` decide about the workers of a cluster; return what ends that."""
    adaptive = cluster.adapt(Adaptive=RuleAdaptive, rules=rules)

    def end() -> None:
        cluster.loop.add_callback(adaptive.stop, reason="perfcore")

    return end
