"""When there should be more nodes, or fewer: rules as plain data, with the guide's four as defaults."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import ge, gt, le, lt
from typing import Any, Final, Literal

from perfcore.monitor.conditions import value_at
from perfcore.scaling import checks

__all__ = ["DEFAULT_RULES", "Comparison", "ScalingRule"]

Action = Literal["scale-out", "scale-in"]

#: short names of what the guide's rules look at; the first path with a value counts
SHORT: Final = {
    "cpu": ("system.cpu.usage",),
    "memory": ("system.memory.percent",),
    "queue": ("application.workers.queued",),
}
_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {">": gt, ">=": ge, "<": lt, "<=": le}
_TERM: Final = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*%?\s*")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a metric, named by its dotted path or a short name, with a number."""

    metric: str
    operator: str
    threshold: float

    def value(self, metrics: Any) -> float | None:
        """Return the metric's value, None where it was not measured."""
        for path in SHORT.get(self.metric, (self.metric,)):
            found = value_at(metrics, path)
            if found is not None:
                return found
        return _memory(metrics) if self.metric == "memory" else None

    def holds(self, value: float, tolerance: float) -> bool:
        """Say whether a value is beyond the threshold by more than this share of it."""
        margin = abs(self.threshold) * tolerance
        limit = self.threshold + (margin if self.operator[0] == ">" else -margin)
        return _OPERATORS[self.operator](value, limit)


def _memory(metrics: Any) -> float | None:
    used, total = (value_at(metrics, f"system.memory.{name}") for name in ("used", "total"))
    return None if used is None or not total else 100 * used / total


@dataclass(frozen=True, slots=True)
class ScalingRule:
    """While ``condition`` holds there should be ``magnitude`` nodes more, or fewer.

    ``condition`` is text such as ``"cpu > 80"`` or ``"cpu < 30 and system.cpu.load < 2"`` (short names: cpu
    and memory in per cent, queue in tasks), or a function of the metrics that returns whether it holds, None
    when it cannot say. Of the rules that hold the one with the highest ``priority`` decides. Raises
    ValueError and TypeError for what makes no sense.

    >>> ScalingRule("busy", "cpu > 80", "scale-out", magnitude=2, priority=10).tests[0]
    Comparison(metric='cpu', operator='>', threshold=80.0)
    >>> ScalingRule("busy", "cpu is high", "scale-out")
    Traceback (most recent call last):
    ValueError: Expected comparisons like `cpu > 80`, joined by `and`, got 'cpu is high' - at `condition`
    """

    name: str
    condition: str | Callable[[Any], bool | None]
    action: Action
    magnitude: int = 1
    priority: int = 1
    tests: tuple[Comparison, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        checks.one_of("action", self.action, ("scale-out", "scale-in"))
        checks.whole("magnitude", self.magnitude, 1)
        if not self.name:
            raise ValueError("Expected a name - at `name`")
        condition: object = self.condition  # what it is declared to be is not what callers give
        if not isinstance(condition, str) and not callable(condition):
            kind = type(condition).__name__
            raise TypeError(f"Expected `str` or a function, got `{kind}` - at `condition`")
        tests = _parse(condition) if isinstance(condition, str) else ()
        object.__setattr__(self, "tests", tests)

    def holds(self, metrics: Any, tolerance: float = 0.0) -> tuple[bool | None, dict[str, float | None]]:
        """Return whether the condition holds, None where that cannot be said, and what it was judged by.

        >>> DEFAULT_RULES[3].holds({"system": {"cpu": {"usage": 12}}})
        (None, {'cpu': 12.0, 'queue': None})
        """
        if not isinstance(self.condition, str):
            return _ask(self.condition, metrics), {}
        values = {test.metric: test.value(metrics) for test in self.tests}
        verdict: bool | None = True
        for test in self.tests:
            value = values[test.metric]
            if value is None:
                verdict = None
            elif not test.holds(value, tolerance):
                return False, values
        return verdict, values


def _ask(condition: Callable[[Any], bool | None], metrics: Any) -> bool | None:
    """Ask a function; one that trips over what was not measured cannot say."""
    try:
        verdict = condition(metrics)
    except (TypeError, AttributeError, LookupError, ZeroDivisionError):
        return None
    return None if verdict is None else bool(verdict)


def _parse(text: str) -> tuple[Comparison, ...]:
    found = [_TERM.fullmatch(term) for term in re.split(r"\band\b", text)]
    if not all(found):
        raise ValueError(
            f"Expected comparisons like `cpu > 80`, joined by `and`, got {text!r} - at `condition`"
        )
    return tuple(Comparison(term[1], term[2], float(term[3])) for term in found if term)


#: the guide's
DEFAULT_RULES: Final = (
    ScalingRule("cpu-scale-out", "cpu > 80", "scale-out", magnitude=1, priority=10),
    ScalingRule("memory-scale-out", "memory > 85", "scale-out", magnitude=1, priority=9),
    ScalingRule("queue-scale-out", "queue > 100", "scale-out", magnitude=2, priority=8),
    ScalingRule("low-utilization-scale-in", "cpu < 30 and queue < 10", "scale-in", magnitude=1, priority=5),
)
