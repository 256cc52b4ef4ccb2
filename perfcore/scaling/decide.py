"""How many nodes there should be: a pure function of the policy, what was seen before, the metrics, the time.

The guide's rules choose a direction. What makes that bearable to run is Kubernetes' horizontal autoscaler's:
a tolerance, windows over which a recommendation has to stand (a plain cooldown flaps: one bad sample at its
end decides), limits of the rate, and no action on what was not measured. There is a cooldown as well, the
guide's; it begins when a change is complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final, Literal, NamedTuple

from perfcore.scaling import checks
from perfcore.scaling.rules import DEFAULT_RULES, ScalingRule

__all__ = ["Decision", "Memory", "Policy", "Rate", "decide"]

_EPSILON: Final = 1e-9  # times that were added up are not exact


class Rate(NamedTuple):
    """At most so many ``nodes`` in any period of so many ``seconds``."""

    nodes: int
    seconds: float


_FOUR_A_MINUTE: Final = Rate(4, 60.0)
_ONE_A_MINUTE: Final = Rate(1, 60.0)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a decision goes by. Times are seconds; raises ValueError for what makes no sense.

    * ``cooldown``: after a change, until the next.
    * ``tolerance``: by what share of its threshold a metric has to be beyond it.
    * ``window_out``, ``window_in``: for how long more, or fewer, nodes have to be recommended without a break
      and since the last change; of the recommendations in the window the most cautious counts.
    * ``rate_out``, ``rate_in``: how many nodes may come or go in a period.
    * ``stale``: metrics older than this are missing, and after a longer silence windows begin anew.
    """

    rules: tuple[ScalingRule, ...] = DEFAULT_RULES
    min_nodes: int = 1
    max_nodes: int = 8
    cooldown: float = 300.0
    tolerance: float = 0.0
    window_out: float = 0.0
    window_in: float = 300.0
    rate_out: Rate = _FOUR_A_MINUTE
    rate_in: Rate = _ONE_A_MINUTE
    stale: float = 60.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        checks.nodes("min_nodes", self.min_nodes)
        checks.nodes("max_nodes", self.max_nodes)
        if self.min_nodes > self.max_nodes:
            raise ValueError(
                f"Expected `min_nodes` <= `max_nodes`, got {self.min_nodes} and {self.max_nodes}"
            )
        for name in ("cooldown", "window_out", "window_in"):
            checks.seconds(name, getattr(self, name))
        checks.positive("stale", self.stale)
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"Expected a share from 0 to 1, got {self.tolerance} - at `tolerance`")
        for name in ("rate_out", "rate_in"):
            nodes, seconds = getattr(self, name)
            object.__setattr__(self, name, Rate(checks.nodes(name, nodes), checks.positive(name, seconds)))
        names = [rule.name for rule in self.rules]
        if len(set(names)) < len(names):
            raise ValueError(f"Expected a name of its own for each rule, got {', '.join(names)} - at `rules`")

    def clamp(self, nodes: int) -> int:
        """Return the number within the bounds that is nearest to ``nodes``."""
        return max(self.min_nodes, min(self.max_nodes, nodes))


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided at a moment, and why; ``inputs`` are the metrics that the rules looked at."""

    time: float
    action: Literal["scale-out", "scale-in", "hold"]
    nodes: int
    target: int
    reason: str
    rule: str | None = None
    inputs: tuple[tuple[str, float | None], ...] = ()
    dry_run: bool = False

    def __str__(self) -> str:
        what = f"{self.action} from {self.nodes} to {self.target}" if self.action != "hold" else "hold"
        values = ", ".join(f"{name} {'?' if value is None else f'{value:g}'}" for name, value in self.inputs)
        return f"{'(dry run) ' * self.dry_run}{what}: {self.reason}" + f" [{values}]" * bool(values)


@dataclass(frozen=True, slots=True)
class Memory:
    """What was seen and done before: recommendations and changes, each with its time."""

    wishes: tuple[tuple[float, int], ...] = ()
    changes: tuple[tuple[float, int], ...] = ()
    since: float | None = None  # when the windows began to be watched
    last: float | None = None

    def completed(self, now: float) -> Memory:
        """Return the memory after the latest change was carried out: cooldown and windows begin here."""
        if not self.changes:
            return self
        (_, delta), earlier = self.changes[-1], self.changes[:-1]
        return replace(self, changes=(*earlier, (now, delta)), wishes=(), since=now)


def decide(policy: Policy, memory: Memory, nodes: int, metrics: Any, now: float) -> tuple[Decision, Memory]:
    """Return what to do about ``nodes`` nodes, and the memory for the next decision.

    ``metrics`` are a :class:`.PerformanceMetrics` or nested mappings, None when there are none; ``now`` is on
    the clock of their ``timestamp``. Reads no clock, and the same arguments give the same answer.

    >>> busy = {"system": {"cpu": {"usage": 93}}}
    >>> decision, memory = decide(Policy(), Memory(), 2, busy, 0.0)
    >>> str(decision)
    'scale-out from 2 to 3: cpu-scale-out holds [cpu 93, memory ?, queue ?]'
    >>> decide(Policy(), memory, 3, busy, 5.0)[0].reason
    'cpu-scale-out holds, the last change was 5 s ago and the cooldown is 300 s'
    """
    if memory.last is not None and now < memory.last:
        changes = tuple((min(time, now), delta) for time, delta in memory.changes)
        memory = Memory(changes=changes, last=now)
        return Decision(now, "hold", nodes, nodes, "the clock was set back"), memory
    wish, rule, reason, inputs = _recommend(policy, nodes, metrics, now)
    memory = _remember(policy, memory, wish, now)
    target, veto = _settle(policy, memory, nodes, wish, now)
    if target == nodes:
        reason = f"{reason}, {veto}" if veto else reason
        return Decision(now, "hold", nodes, nodes, reason, rule, inputs), memory
    action: Literal["scale-out", "scale-in"] = "scale-out" if target > nodes else "scale-in"
    decision = Decision(now, action, nodes, target, reason, rule, inputs)
    memory = replace(memory, changes=(*memory.changes, (now, target - nodes)), wishes=(), since=now)
    return decision, memory


def _recommend(
    policy: Policy, nodes: int, metrics: Any, now: float
) -> tuple[int, str | None, str, tuple[tuple[str, float | None], ...]]:
    """Return how many nodes the rules want, which one decided, and by what."""
    if policy.clamp(nodes) != nodes:
        return policy.clamp(nodes), None, f"{nodes} nodes are beyond the bounds", ()
    metrics, age = _fresh(policy, metrics, now)
    judged = [(rule, *rule.holds(metrics, policy.tolerance)) for rule in policy.rules]
    inputs = {name: value for _, _, values in judged for name, value in values.items()}
    unknown = [name for name, value in inputs.items() if value is None]
    unknown += [rule.name for rule, verdict, _ in judged if verdict is None and not rule.tests]
    holding = sorted((rule for rule, verdict, _ in judged if verdict), key=_rank)
    told = tuple(inputs.items())
    if holding and (holding[0].action == "scale-out" or not unknown):
        rule = holding[0]
        step = rule.magnitude if rule.action == "scale-out" else -rule.magnitude
        return policy.clamp(nodes + step), rule.name, f"{rule.name} holds", told
    if unknown:
        return nodes, None, f"{', '.join(unknown)} not measured{age}", told
    return nodes, None, "no rule holds", told


def _rank(rule: ScalingRule) -> tuple[Any, ...]:
    """Of equal priority the careful one is first: more nodes before fewer."""
    return -rule.priority, rule.action != "scale-out", -rule.magnitude, rule.name


def _fresh(policy: Policy, metrics: Any, now: float) -> tuple[Any, str]:
    at = metrics.get("timestamp") if isinstance(metrics, dict) else getattr(metrics, "timestamp", None)
    if isinstance(at, int | float) and isfinite(at) and now - at > policy.stale:
        return None, f" for {now - at:.0f} s"
    return metrics, ""


def _remember(policy: Policy, memory: Memory, wish: int, now: float) -> Memory:
    gap = memory.last is not None and now - memory.last > policy.stale
    since = now if memory.since is None or gap else memory.since
    horizon = now - max(policy.window_out, policy.window_in) - _EPSILON
    wishes = [] if gap else [item for item in memory.wishes if item[0] >= horizon]
    oldest = now - max(policy.cooldown, policy.rate_out.seconds, policy.rate_in.seconds)
    changes = tuple(change for change in memory.changes if change[0] >= oldest)
    return Memory((*wishes, (now, wish)), changes or memory.changes[-1:], since, now)


def _settle(policy: Policy, memory: Memory, nodes: int, wish: int, now: float) -> tuple[int, str]:
    """Return what becomes of a recommendation, and what stands against it."""
    out = wish > nodes
    if policy.clamp(nodes) == nodes:  # bounds are kept at once
        if wish == nodes:
            at_bound = nodes in (policy.min_nodes, policy.max_nodes)
            return nodes, f"{nodes} is a bound ({policy.min_nodes} to {policy.max_nodes})" if at_bound else ""
        last = memory.changes[-1][0] if memory.changes else None
        if last is not None and now - last < policy.cooldown - _EPSILON:
            since, limit = now - last, policy.cooldown
            return nodes, f"the last change was {since:.0f} s ago and the cooldown is {limit:g} s"
        window = policy.window_out if out else policy.window_in
        assert memory.since is not None
        recent = [item for time, item in memory.wishes if time >= now - window - _EPSILON]
        wish = min(recent) if out else max(recent)
        if now - memory.since < window - _EPSILON or (wish <= nodes if out else wish >= nodes):
            return nodes, f"not yet for {window:g} s without a break"
    rate = policy.rate_out if out else policy.rate_in
    room = rate.nodes - _changed(memory.changes, out, now - rate.seconds)
    if room <= 0:
        return nodes, f"{rate.nodes} in {rate.seconds:g} s is as fast as may be"
    return (min(wish, nodes + room) if out else max(wish, nodes - room)), ""


def _changed(changes: Iterable[tuple[float, int]], out: bool, after: float) -> int:
    """Return how many nodes came, or went, since ``after``."""
    return sum(abs(delta) for time, delta in changes if time > after + _EPSILON and (delta > 0) == out)
