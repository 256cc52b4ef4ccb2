"""One value that nobody has: from its factory to the tiers, alone or in turn with other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from perfcore._native.tier import Guarded
from perfcore.cache.disk.flight import MISSING
from perfcore.cache.guards import Conditions
from perfcore.cache.ladder import judged
from perfcore.cache.loading import Plan
from perfcore.cache.moves import Moves, adrive, drive
from perfcore.cache.storing import Storing, Way
from perfcore.cache.tiers import Attentive

__all__ = ["Work", "due", "unless_due"]


class Work:
    """What ``get_or_set`` has to do for one key; each verb also for tasks, with ``a`` before its name."""

    def __init__(
        self,
        manager: Storing,
        key: Any,
        factory: Callable[[], Any],
        plan: Plan,
        tags: Iterable[Any],
        depends_on: Any,
        into: list[Way],
    ) -> None:
        self._manager, self._key, self._factory, self._plan = manager, key, factory, plan
        self._tags = tags if isinstance(tags, str | bytes) else tuple(tags)  # one string is refused later
        self._depends_on, self._into = depends_on, into

    def look(self) -> Any:
        """Return the value if there is one by now that need not be computed, or ``MISSING``."""
        return drive(self._looking())

    async def alook(self) -> Any:
        """:meth:`look` on an event loop."""
        return await adrive(self._looking())

    def compute(self, lease: Any = None) -> Any:
        """Compute and store the value; with a ``lease`` that has passed on it is only returned."""
        return drive(self._computing(lease))

    async def acompute(self, lease: Any = None) -> Any:
        """:meth:`compute` on an event loop, with a factory that is awaited."""
        return await adrive(self._computing(lease))

    def compute_in_turn(self) -> Any:
        """:meth:`compute`, or wait for another process that does, where a tier has leases."""
        return drive(self._taking_turns())

    async def acompute_in_turn(self) -> Any:
        """:meth:`compute_in_turn` on an event loop."""
        return await adrive(self._taking_turns())

    def call(self) -> Any:
        """Call the factory."""
        return self._factory()

    async def acall(self) -> Any:
        """Await the factory."""
        return await self._factory()

    def _looking(self) -> Moves[Any]:
        return unless_due(self._plan, (yield from self._manager._finding(self._key)))

    def _taking_turns(self) -> Moves[Any]:
        below = self._manager._below
        leases = next((found for tier in below if (found := getattr(tier, "leases", None))), None)
        if leases is None:
            return (yield (self, "compute", ()))
        name = self._manager._names.encode(self._key)
        return (yield from leases.taking(name, self._looking, self, MISSING))

    def _computing(self, lease: Any) -> Moves[Any]:
        manager = self._manager
        name = manager._names.encode(self._key)
        conditions = yield from manager._guards.beginning(name, self._tags, self._depends_on)
        value = yield (self, "call", ())
        yield from self._keeping(value, conditions, lease)
        return value

    def _keeping(self, value: Any, conditions: Conditions, lease: Any) -> Moves[bool]:
        plan, manager = self._plan, self._manager
        life = plan.life(value)
        stale = plan.stale_ttl if life is not None else 0
        item = manager._item(
            self._key, value, life, conditions, None, stale, keep_fresh=plan.refresh_ahead > 0
        )
        # processes on one directory wait for each other: they must find it when this is over
        into: list[Way] = [
            "sync" if way == "in" and not isinstance(tier, Attentive) else way
            for tier, way in zip(manager._below, self._into, strict=True)
        ]
        return (yield from manager._storing([item], hot=True, into=into, lease=lease))


def due(plan: Plan, held: Any) -> bool:
    """Say whether what a tier holds is to be computed anew although it is fresh."""
    return type(held) is Guarded and plan.due(held.value, held.fresh)


def unless_due(plan: Plan, held: Any) -> Any:
    """Return the value in what a tier holds, ``MISSING`` if somebody has to compute it anew."""
    value, fresh = judged(held)
    return value if fresh and not due(plan, held) else MISSING
