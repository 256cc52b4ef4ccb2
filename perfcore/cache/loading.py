"""What a caller of ``get_or_set`` wants: how long values are fresh, stale, and waited for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

from perfcore.cache.flight import FAILED, PENDING, Flight
from perfcore.units import parse_duration

__all__ = ["Plan", "seconds"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a caller of ``get_or_set`` wants, checked; durations are seconds."""

    ttl: float | None = None
    stale_ttl: float = 0
    stale_on_error: bool = False
    refresh_ahead: float = 0
    soft_timeout: float | None = None
    hard_timeout: float | None = None
    negative_ttl: float | None = None

    @classmethod
    def of(cls, ttl: Any, options: dict[str, Any]) -> Plan:
        """Return the plan; raises :exc:`TypeError` and :exc:`ValueError`, naming the options, for
        contradictions.
        """
        unknown = options.keys() - cls.__slots__
        if unknown:
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        times = {name: seconds(name, value) for name, value in options.items() if name != "stale_on_error"}
        given: dict[str, Any] = {name: value for name, value in times.items() if value is not None}
        plan = cls(seconds("ttl", ttl), stale_on_error=bool(options.get("stale_on_error")), **given)
        for name in ("stale_ttl", "refresh_ahead"):
            if getattr(plan, name) and plan.ttl is None:
                raise ValueError(f"{name} needs ttl: without one, nothing is ever stale")
        if plan.ttl is not None and plan.refresh_ahead >= plan.ttl:
            raise ValueError(
                f"refresh_ahead ({plan.refresh_ahead:g} s) must be less than ttl ({plan.ttl:g} s)"
            )
        if plan.stale_on_error and not plan.stale_ttl:
            raise ValueError("stale_on_error needs stale_ttl: how long a value is kept for that")
        if plan.soft_timeout is not None and not plan.stale_ttl:
            raise ValueError("soft_timeout needs stale_ttl: there would be nothing to serve after it")
        if plan.soft_timeout and plan.hard_timeout and plan.hard_timeout < plan.soft_timeout:
            raise ValueError("hard_timeout is below soft_timeout")
        return plan

    @property
    def waits(self) -> bool:
        """Whether a stale value is for when computing fails or takes long, and not to be served at once."""
        return self.stale_on_error or self.soft_timeout is not None

    def life(self, value: Any) -> float | None:
        """Return how long ``value`` is fresh."""
        return self.negative_ttl if value is None and self.negative_ttl is not None else self.ttl

    def due(self, value: Any, fresh: float) -> bool:
        """Say whether ``value``, fresh until ``fresh``, is to be computed anew already.

        None, where it has a ttl of its own, is due in the same share of it.
        """
        if not self.refresh_ahead or self.ttl is None:
            return False
        share = min(1.0, (self.life(value) or self.ttl) / self.ttl)
        return fresh - monotonic() < self.refresh_ahead * share

    def patience(self, *, stale: bool) -> float | None:
        """Return how long a caller waits, with a stale value at hand or not; None is for ever."""
        limits = [self.soft_timeout if stale else None, self.hard_timeout]
        return min((limit for limit in limits if limit is not None), default=None)

    def outcome(self, flight: Flight, stale: Any, absent: Any) -> Any:
        """Return what a caller gets that has waited for ``flight``: its result, or the stale value."""
        excusable = stale is not absent
        if flight.state == PENDING:
            if excusable and self.waits:
                return stale
            raise TimeoutError(f"not computed within {self.hard_timeout:g} s; it goes on")
        if flight.state == FAILED and excusable and self.stale_on_error:
            return stale
        return flight.result()


def seconds(name: str, value: float | timedelta | None) -> float | None:
    """Return a duration in seconds, None for None; raises, naming it, for what is none or not positive."""
    try:
        found = None if value is None else parse_duration(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
    if found is not None and found <= 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return found
