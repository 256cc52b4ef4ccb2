"""A look at intervals, and the last of them kept: what requests are answered from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import getrandbits
from time import monotonic
from typing import Any, NamedTuple

from perfcore.monitor.history import clock_ns, wall_offset
from perfcore.monitor.pace import Pace
from perfcore.monitor.serve.looks import Decision, Look, PolicyLook
from perfcore.monitor.serve.observer import Observer
from perfcore.monitor.serve.sources import Sources

__all__ = ["Seen", "Watch"]

_DECISIONS = 50
#: Looks at most, however long the history and short the interval.
_LOOKS = 3600
#: Intervals after which the last look is no longer the present.
_STALE = 3.0
_Numbers = dict[str, float | str | None]


class Seen(NamedTuple):
    """One look: its number in this run, when (by a clock that nobody sets), and its numbers by series."""

    number: int
    at_ns: int
    numbers: _Numbers


class Watch:
    """Looks at ``sources`` every ``interval`` seconds in a thread of its own, and remembers ``span`` seconds.

    Raises ValueError for times that are not positive.
    """

    def __init__(self, sources: Sources, interval: float, span: float) -> None:
        if not (0.01 <= interval <= 3600 and interval <= span):
            raise ValueError(f"0.01 <= interval <= history, got {interval} and {span} seconds")
        self.interval = interval
        self.run = f"{getrandbits(64):016x}"
        self.begun_ns = clock_ns()
        self._observer = Observer(sources, interval)
        self._latest: Look | None = None
        self._policies: dict[str, PolicyLook] = {}
        self._decisions: deque[tuple[int, Decision]] = deque(maxlen=_DECISIONS)
        self._seen: deque[Seen] = deque(maxlen=max(2, min(_LOOKS, int(span / interval))))
        self._pace = Pace("serve-look")
        self._pace.every(interval, self.look)

    def start(self) -> None:
        """Begin."""
        self._pace.start()

    def stop(self) -> None:
        """End, within a second or so."""
        self._pace.stop(1.0)

    def forked(self) -> None:
        """Be stopped in a forked child."""
        self._pace.forked()

    def look(self, now: float | None = None) -> None:
        """Look now; raises nothing."""
        look = self._observer.look(monotonic() if now is None else now)
        at = clock_ns()
        for policy in look.policies:
            self._compare(self._policies.get(policy.cache), policy, at)
        self._policies = {policy.cache: policy for policy in look.policies}
        number = self._seen[-1].number + 1 if self._seen else 1
        self._latest = look
        self._seen.append(Seen(number, at, dict(_numbers(look))))

    def _compare(self, before: PolicyLook | None, policy: PolicyLook, at: int) -> None:
        if before is None or (before.policy, before.arm, before.switches) == (
            policy.policy,
            policy.arm,
            policy.switches,
        ):
            return
        what = f"{before.policy} → {policy.policy}"
        if before.policy == policy.policy:
            switches = policy.switches - before.switches
            what = f"{before.arm} → {policy.arm}" + (f" ({switches} switches)" if switches > 1 else "")
        why = ", ".join(f"{arm} {hits:.0f}" for arm, hits in policy.hits.items())
        self._decisions.append((at, Decision(time=0.0, cache=policy.cache, what=what, why=why)))

    # -- what was seen --

    @property
    def age(self) -> float:
        """Seconds since the last look, or since the beginning."""
        return (clock_ns() - (self._seen[-1].at_ns if self._seen else self.begun_ns)) / 1e9

    @property
    def stale(self) -> bool:
        """Whether the last look is too long ago to tell of the present: something holds it up."""
        return self.age > _STALE * self.interval + 1.0

    @property
    def latest(self) -> Look | None:
        """The last look."""
        return self._latest

    def problems(self) -> list[str]:
        """Return what is wrong."""
        found = [] if self._latest is None else [*self._latest.health.problems]
        return [*found, f"nothing was seen for {self.age:.0f} s: something hangs"] if self.stale else found

    def decisions(self) -> list[Decision]:
        """Return what policies and the memory optimizer have decided, the latest first."""
        offset = wall_offset()
        policies = [
            Decision(time=(at + offset) / 1e9, cache=one.cache, what=one.what, why=one.why)
            for at, one in list(self._decisions)
        ]
        others = [] if self._latest is None else self._latest.changes
        return sorted([*policies, *others], key=lambda one: -one.time)[:_DECISIONS]

    def history(self, after: int = 0) -> dict[str, Any]:
        """Return the looks after the one of that number, as columns: None where nothing could be seen."""
        offset = wall_offset()
        seen = [one for one in list(self._seen) if one.number > after]
        names = dict.fromkeys(name for one in seen for name in one.numbers)
        return {
            "numbers": [one.number for one in seen],
            "times": [round((one.at_ns + offset) / 1e9, 3) for one in seen],
            "series": {name: [one.numbers.get(name) for one in seen] for name in names},
        }


def _numbers(look: Look) -> Iterator[tuple[str, float | str | None]]:
    for calls in look.latency:
        yield f"latency.{calls.name}.p50", _rounded(calls.p50)
        yield f"latency.{calls.name}.p95", _rounded(calls.p95)
        yield f"latency.{calls.name}.p99", _rounded(calls.p99)
    for cache in look.caches:
        yield f"hit_ratio.{cache.name}", _rounded(cache.hit_ratio)
    yield "memory.process", look.memory.process
    yield "memory.caches", look.memory.caches
    if look.workers is not None:
        yield "workers.active", look.workers.active
        yield "workers.queued", look.workers.queued
    for pool in look.pools:
        yield f"pool.{pool.name}.in_use", pool.in_use
        yield f"pool.{pool.name}.idle", pool.idle
    yield "alerts.firing", len(look.firing)
    for policy in look.policies:
        yield f"policy.{policy.cache}", policy.arm


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
