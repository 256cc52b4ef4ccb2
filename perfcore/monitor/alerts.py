"""``PerformanceAlerting``: rules held against metrics, and whoever has to know told."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from threading import RLock
from time import monotonic, time
from typing import Any, NamedTuple
from uuid import uuid4
from weakref import WeakSet

from perfcore._repr import safe_repr
from perfcore.errors import ConfigError
from perfcore.monitor.actions import Actions
from perfcore.monitor.conditions import Condition, condition_of, value_at
from perfcore.monitor.handlers import Alert, Handler, now_utc
from perfcore.monitor.lanes import Lane, LaneStats
from perfcore.monitor.phases import Phase, Transition, advance
from perfcore.monitor.rules import CompositeRule, Rule, ThresholdRule
from perfcore.monitor.saved import load_phases, save_phases

__all__ = ["PerformanceAlerting", "threshold_rules"]

_HISTORY = 1000
#: The guide's shorthand names and the metrics they stand for; response times are milliseconds there.
_SHORTHANDS = {
    "cpu": ("system.cpu.usage", 1.0),
    "memory": ("system.memory.percent", 1.0),
    "response_time": ("application.parsing.average_response_time", 0.001),
    "error_rate": ("application.parsing.error_rate", 1.0),
}


def threshold_rules(thresholds: Mapping[str, float]) -> list[ThresholdRule]:
    """Return the rules that ``monitoring.thresholds`` is short for; a dotted name is the metric itself.

    ``response_time`` is milliseconds, as in the guide, the others are percentages. Raises :exc:`ConfigError`
    for another name without dots.

    >>> threshold_rules({"cpu": 80})[0].metric
    'system.cpu.usage'
    """
    rules = []
    for name, limit in thresholds.items():
        if name not in _SHORTHANDS and "." not in name:
            raise ConfigError(f"Expected one of {', '.join(_SHORTHANDS)} or a metric, got {name!r}")
        metric, unit = _SHORTHANDS.get(name, (name, 1.0))
        rules.append(
            ThresholdRule(
                name=f"threshold {name}",
                metric=metric,
                threshold=limit * unit,
                clear_threshold=limit * unit * 0.9,
                for_=10.0,
                cooldown=60.0,
                message="{metric} is {value:g}",
            )
        )
    return rules


class _Watch(NamedTuple):
    rule: Rule
    condition: Condition


class PerformanceAlerting:
    """Holds rules against metrics and tells handlers and actions what begins and ends to be wrong.

    :meth:`check_alerts` is to be called at a steady pace, with anything that has the rules' metrics: nested
    mappings, objects, or both. It takes microseconds and never waits: handlers and actions run in threads of
    their own, behind bounded queues. ``thresholds`` are shorthand rules (:func:`threshold_rules`). With a
    ``state_file`` alerts that fire go on firing after a restart, and cooldowns go on, the time in between
    included.

    Raises :exc:`ConfigError` when two rules have one name, or a rule refers to one that is not there.

    >>> alerting = PerformanceAlerting([ThresholdRule(name="busy", metric="cpu", threshold=90)])
    >>> [alert.rule for alert in alerting.check_alerts({"cpu": 95})], alerting.firing()
    (['busy'], ['busy'])
    >>> [alert.state for alert in alerting.check_alerts({"cpu": 10})]
    ['resolved']
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        handlers: Iterable[Handler] = (),
        actions: Actions | None = None,
        thresholds: Mapping[str, float] | None = None,
        state_file: str | Path | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._watches: dict[str, _Watch] = {}
        self._phases: dict[str, Phase] = {}
        self._ids: dict[str, str] = {}
        self._forked()
        self._history: deque[Alert] = deque(maxlen=_HISTORY)
        self._lanes: dict[str, Lane] = {}
        self._actions = Actions(clock=clock) if actions is None else actions
        self._state_file = None if state_file is None else Path(state_file)
        self._saver = Lane("alert-state", self._save, room=1)
        self._saved: dict[str, Phase] = {}
        if self._state_file is not None:
            self._saved = load_phases(self._state_file, clock(), time())
        self.replace_rules([*rules, *threshold_rules(thresholds or {})])
        for handler in handlers:
            self.add_handler(handler)
        _alertings.add(self)

    @safe_repr
    def __repr__(self) -> str:
        return f"<PerformanceAlerting: {len(self._watches)} rules, {len(self._history)} alerts told>"

    def _forked(self) -> None:
        """Take a lock that no thread of the parent holds, and give numbers that it does not give."""
        self._lock = RLock()
        self._origin, self._numbers = uuid4().hex[:24], count()

    # -- rules --

    def replace_rules(self, rules: Iterable[Rule]) -> None:
        """Take these rules in place of all there are; a rule that stays as it was keeps its state."""
        fresh: dict[str, Rule] = {}
        for rule in rules:
            if rule.name in fresh:
                raise ConfigError(f"two rules are called {rule.name!r}")
            fresh[rule.name] = rule
        for rule in fresh.values():
            others = (*rule.inhibited_by, *(rule.of if isinstance(rule, CompositeRule) else ()))
            for other in others:
                if other not in fresh or other == rule.name:
                    raise ConfigError(f"rule {rule.name!r} refers to {other!r}, which is no other rule")
        with self._lock:
            before = self._watches
            self._watches = {
                name: before[name]
                if name in before and before[name].rule == rule
                else _Watch(rule, condition_of(rule, self.is_firing))
                for name, rule in _plain_first(fresh)
            }
            self._ids = {name: held for name, held in self._ids.items() if name in fresh}
            known = self._phases | self._saved
            self._phases = {name: known.get(name, Phase()) for name in fresh}
            self._saved = {}

    def add_rule(self, rule: Rule) -> None:
        """Add a rule, or replace the one of its name."""
        with self._lock:
            self.replace_rules([*(held for held in self.rules() if held.name != rule.name), rule])

    def remove_rule(self, name: str) -> None:
        """Remove a rule; KeyError when there is none of that name."""
        with self._lock:
            if name not in self._watches:
                raise KeyError(name)
            self.replace_rules([held for held in self.rules() if held.name != name])

    def rules(self) -> list[Rule]:
        """Return the rules."""
        return [watch.rule for watch in self._watches.values()]

    def add_handler(self, handler: Handler) -> None:
        """Let ``handler`` be called with each :class:`Alert`, in a thread of its own; it may be async."""
        name = f"handler-{getattr(handler, '__name__', type(handler).__name__)}-{len(self._lanes)}"
        self._lanes[name] = Lane(name, handler)

    # -- checking --

    def check_alerts(self, metrics: Any) -> list[Alert]:
        """Hold all rules against ``metrics`` and return what is to be told: firings, ends and repetitions."""
        now, wall = self._clock(), time()
        told = self.evaluate(metrics, now, wall)
        with self._lock:
            self._actions.look_again(
                lambda metric: value_at(metrics, metric), self.is_firing, self._is_about_falling
            )
            if told:
                self._tell(told)
        if told and self._state_file is not None:
            self._saver.put((self.phases(), now, wall))
        return told

    async def acheck_alerts(self, metrics: Any) -> list[Alert]:
        """:meth:`check_alerts`, which never blocks, for callers that await everything."""
        return self.check_alerts(metrics)

    def evaluate(self, metrics: Any, now: float, wall: float) -> list[Alert]:
        """:meth:`check_alerts` at a given time, without telling anyone: for rehearsals."""
        with self._lock:
            checked = (self._check(watch, metrics, now, wall) for watch in self._watches.values())
            return [alert for alert in checked if alert is not None]

    def _check(self, watch: _Watch, metrics: Any, now: float, wall: float) -> Alert | None:
        rule = watch.rule
        phase = self._phases.get(rule.name, Phase())
        holds, value = watch.condition.holds(metrics, phase.name == "firing", now, wall)
        if holds and phase.name != "firing" and any(map(self.is_firing, rule.inhibited_by)):
            holds = False
        phase, transition = advance(phase, rule, holds, now)
        self._phases[rule.name] = phase
        return None if transition is None else self._alert(rule, transition, value)

    def _alert(self, rule: Rule, transition: Transition, value: float | None) -> Alert:
        if transition == "firing" or rule.name not in self._ids:
            self._ids[rule.name] = f"{self._origin}{next(self._numbers):08x}"
        metric = getattr(rule, "metric", "")
        alert = Alert(
            id=self._ids[rule.name],
            rule=rule.name,
            severity=rule.severity,
            message=_message(rule, metric, value),
            timestamp=now_utc(),
            state=transition,
            metrics={} if value is None else {metric: value},
            suggested_actions=rule.actions,
            labels=rule.labels,
        )
        self._history.append(alert)
        return alert

    def _tell(self, told: list[Alert]) -> None:
        for lane in self._lanes.values():
            lane.put(*told)  # at once: in a storm most are dropped, and each would wake the thread
        for alert in told:
            if alert.suggested_actions:
                self._actions.on_alert(alert)

    def _save(self, job: tuple[dict[str, Phase], float, float]) -> None:
        if self._state_file is not None:
            save_phases(self._state_file, *job)

    def _is_about_falling(self, name: str) -> bool:
        rule = self._watches[name].rule if name in self._watches else None
        return getattr(rule, "op", ">")[0] == "<" or getattr(rule, "direction", "up") == "down"

    # -- looking --

    def is_firing(self, name: str) -> bool:
        """Say whether a rule fires."""
        return name in self._phases and self._phases[name].name == "firing"

    def firing(self) -> list[str]:
        """Return the names of the rules that fire."""
        return [name for name in self._phases if self.is_firing(name)]

    def phases(self) -> dict[str, Phase]:
        """Return where each rule is in its life."""
        return dict(self._phases)

    def history(self) -> list[Alert]:
        """Return the last 1 000 alerts, oldest first."""
        return list(self._history)

    @property
    def actions(self) -> Actions:
        """The actions that rules may name."""
        return self._actions

    def stats(self) -> dict[str, LaneStats]:
        """Return what became of what handlers and actions were given."""
        return {name: lane.stats() for name, lane in self._lanes.items()} | self._actions.stats()

    def close(self, timeout: float = 5.0) -> None:
        """Save the state and wait up to ``timeout`` seconds for handlers and actions."""
        end = monotonic() + timeout
        if self._state_file is not None:
            self._saver.put((self.phases(), self._clock(), time()))
        for lane in (self._saver, *self._lanes.values()):
            lane.close(max(0.0, end - monotonic()))
        self._actions.close(max(0.0, end - monotonic()))


_alertings: WeakSet[PerformanceAlerting] = WeakSet()


def _forked() -> None:
    for alerting in _alertings:
        alerting._forked()


os.register_at_fork(after_in_child=_forked)


def _plain_first(rules: Mapping[str, Rule]) -> list[tuple[str, Rule]]:
    """Composite rules after those they are about, so that they see this round's state."""
    return sorted(rules.items(), key=lambda item: isinstance(item[1], CompositeRule))


def _message(rule: Rule, metric: str, value: float | None) -> str:
    template = rule.message or "{name}: {metric} is {value}"
    try:
        return template.format(name=rule.name, metric=metric, value="unknown" if value is None else value)
    except (LookupError, ValueError, AttributeError):  # a format for numbers, and no number
        return f"{rule.name}: {metric} is {value}"
