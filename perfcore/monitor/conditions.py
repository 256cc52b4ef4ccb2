"""Whether a rule's condition holds: one object a rule, with what it has to remember of the metric's past."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from math import isfinite
from operator import ge, gt, le, lt
from typing import Any, Protocol

from perfcore.metrics.anomaly import AnomalyDetector
from perfcore.metrics.trends import trend
from perfcore.monitor.rules import AbsenceRule, AnomalyRule, CompositeRule, Rule, ThresholdRule, TrendRule

__all__ = ["Condition", "condition_of", "value_at"]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}
#: Samples that a trend is judged by; more are thinned out, and a window of them is at most 32 KB.
_TREND_SAMPLES = 1024
#: A trend is judged again after this share of its window: its test takes about as long as 20 other rules.
_TREND_SHARE = 1 / 30


class Condition(Protocol):
    """What :func:`condition_of` returns."""

    def holds(self, metrics: Any, firing: bool, now: float, wall: float) -> tuple[bool | None, float | None]:
        """Return whether the condition holds (None: no data), and the value it was judged by."""


def condition_of(rule: Rule, is_firing: Callable[[str], bool]) -> Condition:
    """Return the condition of a rule; ``is_firing`` tells of the other rules."""
    if isinstance(rule, CompositeRule):
        return _Composite(rule, is_firing)
    made: Condition = _KINDS[type(rule)](rule)
    return made


def value_at(metrics: Any, path: str) -> float | None:
    """Return the number at a dotted path of nested mappings or objects, or None when there is none.

    >>> value_at({"system": {"cpu": {"usage": 93}}}, "system.cpu.usage"), value_at({}, "system.cpu.usage")
    (93.0, None)
    """
    found = metrics
    if isinstance(metrics, Mapping) and path in metrics:
        found = metrics[path]
    else:
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)
    if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found):
        return None
    return float(found)


class _Threshold:
    def __init__(self, rule: ThresholdRule) -> None:
        self._metric, self._beyond = rule.metric, _OPERATORS[rule.op]
        self._limit = rule.threshold
        self._clear = rule.threshold if rule.clear_threshold is None else rule.clear_threshold

    def holds(self, metrics: Any, firing: bool, now: float, wall: float) -> tuple[bool | None, float | None]:
        value = value_at(metrics, self._metric)
        if value is None:
            return None, None
        return self._beyond(value, self._clear if firing else self._limit), value


class _Trend:
    def __init__(self, rule: TrendRule) -> None:
        self._rule = rule
        self._samples: deque[tuple[float, float]] = deque(maxlen=_TREND_SAMPLES)
        self._judged = float("-inf")
        self._verdict = False

    def holds(self, metrics: Any, firing: bool, now: float, wall: float) -> tuple[bool | None, float | None]:
        rule, value = self._rule, value_at(metrics, self._rule.metric)
        if value is None:
            return None, None
        samples = self._samples
        if not samples or now - samples[-1][0] >= rule.window / _TREND_SAMPLES:
            samples.append((now, value))
        while samples[0][0] < now - rule.window:
            samples.popleft()
        if now - self._judged >= rule.window * _TREND_SHARE:
            self._judged = now
            times, values = zip(*samples, strict=True)
            found = trend(values, times, significance=rule.significance, minimum_change=rule.minimum_change)
            self._verdict = found.direction == rule.direction
        return self._verdict, value


class _Anomaly:
    def __init__(self, rule: AnomalyRule) -> None:
        self._metric = rule.metric
        self._detector = AnomalyDetector(rule.mode, resolution=rule.resolution)

    def holds(self, metrics: Any, firing: bool, now: float, wall: float) -> tuple[bool | None, float | None]:
        value = value_at(metrics, self._metric)
        if value is None:
            return None, None
        return self._detector.update(value, wall).is_anomaly, value


class _Absence:
    def __init__(self, rule: AbsenceRule) -> None:
        self._metric = rule.metric

    def holds(self, metrics: Any, firing: bool, now: float, wall: float) -> tuple[bool | None, float | None]:
        value = value_at(metrics, self._metric)
        return value is None, value


class _Composite:
    def __init__(self, rule: CompositeRule, is_firing: Callable[[str], bool]) -> None:
        self._of, self._need, self._is_firing = rule.of, all if rule.need == "all" else any, is_firing

    def holds(self, metrics: Any, firing: bool, now: float, wall: float) -> tuple[bool | None, float | None]:
        return self._need(map(self._is_firing, self._of)), None


_KINDS: dict[type, Callable[[Any], Condition]] = {
    ThresholdRule: _Threshold,
    TrendRule: _Trend,
    AnomalyRule: _Anomaly,
    AbsenceRule: _Absence,
}
