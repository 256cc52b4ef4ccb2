"""What alerts do: named actions, run off the caller's thread, limited in rate, measured, and undone when they
end.

An action takes the alert and may return a function that undoes it, which is called when the alert is
resolved. After ``settle`` seconds the rule's metric is looked at again; an action that has not helped
``patience`` times in a row is stopped and says so, because doing more of what does not help is how outages
grow."""

from __future__ import annotations

import gc
import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Literal, NamedTuple

from perfcore._repr import safe_repr
from perfcore.monitor.handlers import Alert
from perfcore.monitor.lanes import Lane, LaneStats

__all__ = ["Action", "ActionRecord", "Actions"]

_log = logging.getLogger("perfcore.monitor")

#: Does what its name says; may return what undoes it.
Action = Callable[[Alert], Callable[[], Any] | None]
_Outcome = Literal["done", "failed", "dry-run", "limited", "stopped", "unknown", "undone"]
_KEPT = 1000


class ActionRecord(NamedTuple):
    """One thing that was done, or was not, and why."""

    action: str
    rule: str
    outcome: _Outcome
    #: The rule's metric before, and when it was looked at again; None where it was not.
    before: float | None
    after: float | None
    at: float


def _trigger_gc(alert: Alert) -> None:
    gc.collect()


class _Named:
    """An action, and what is known of how it does."""

    def __init__(self, name: str, run: Action, interval: float, patience: int) -> None:
        self.run, self.interval, self.patience = run, interval, patience
        self.last = float("-inf")
        self.futile = 0
        self.lane = Lane(f"action-{name}", lambda job: job(), room=16)


class Actions:
    """A set of named actions. ``trigger_gc`` is there from the start; managers add ``scale_workers`` and
    others.

    ``dry_run`` only records what would have been done.
    """

    def __init__(
        self,
        *,
        dry_run: bool = False,
        settle: float = 30.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._dry_run, self._settle, self._clock = dry_run, settle, clock
        self._named: dict[str, _Named] = {}
        self._undo: dict[tuple[str, str], Callable[[], Any]] = {}
        self._begun: set[tuple[str, str]] = set()
        self._watched: dict[tuple[str, str], tuple[float, Alert, float | None]] = {}
        self._records: deque[ActionRecord] = deque(maxlen=_KEPT)
        self.add("trigger_gc", _trigger_gc)

    @safe_repr
    def __repr__(self) -> str:
        return f"<Actions: {', '.join(self._named)}{', dry run' if self._dry_run else ''}>"

    def add(self, name: str, action: Action, *, interval: float = 60.0, patience: int = 3) -> None:
        """Add or replace an action, to run once in ``interval`` seconds; ``patience`` vain runs end it."""
        self._named[name] = _Named(name, action, interval, patience)

    def names(self) -> list[str]:
        """Return the names of all actions."""
        return sorted(self._named)

    def on_alert(self, alert: Alert) -> None:
        """Do what a firing alert asks for, or undo what it did when it is resolved."""
        for name in alert.suggested_actions:
            if alert.state == "resolved":
                self._finish(name, alert)
            else:
                self._start(name, alert)

    def _start(self, name: str, alert: Alert) -> None:
        named, now = self._named.get(name), self._clock()
        before = next(iter(alert.metrics.values()), None)
        if named is None:
            self._record(name, alert, "unknown", before)
        elif named.futile >= named.patience:
            self._record(name, alert, "stopped", before)
        elif now - named.last < named.interval:
            self._record(name, alert, "limited", before)
        elif self._dry_run:
            named.last = now
            self._record(name, alert, "dry-run", before)
        else:
            named.last = now
            self._begun.add((name, alert.rule))
            self._watched.setdefault((name, alert.rule), (now + self._settle, alert, before))
            named.lane.put(lambda: self._run(name, named, alert, before))

    def _run(self, name: str, named: _Named, alert: Alert, before: float | None) -> None:
        try:
            undo = named.run(alert)
        except BaseException:
            self._record(name, alert, "failed", before)
            raise
        if undo is not None:
            self._undo[name, alert.rule] = undo
        self._record(name, alert, "done", before)

    def _finish(self, name: str, alert: Alert) -> None:
        named = self._named.get(name)
        if named is not None and (name, alert.rule) in self._begun:
            self._begun.discard((name, alert.rule))
            named.lane.put(lambda: self._undone(name, alert))

    def _undone(self, name: str, alert: Alert) -> None:
        undo = self._undo.pop((name, alert.rule), None)
        if undo is not None:
            undo()
            self._record(name, alert, "undone", None)

    def look_again(
        self,
        value_of: Callable[[str], float | None],
        firing: Callable[[str], bool],
        falls: Callable[[str], bool],
    ) -> None:
        """Judge actions that have had time to help: their rule is resolved, or its metric has moved back.

        ``falls`` says of a rule whether it is about a metric that is too low.
        """
        now = self._clock()
        due = [pair for pair, watched in self._watched.items() if watched[0] <= now]
        for pair in due:
            name, (_, alert, before) = pair[0], self._watched.pop(pair)
            metric = next(iter(alert.metrics), None)
            after = None if metric is None else value_of(metric)
            helped = not firing(alert.rule) or (
                before is not None
                and after is not None
                and (after > before if falls(alert.rule) else after < before)
            )
            self._judge(name, alert, helped, before, after)

    def _judge(
        self, name: str, alert: Alert, helped: bool, before: float | None, after: float | None
    ) -> None:
        named = self._named[name]
        named.futile = 0 if helped else named.futile + 1
        self._records.append(ActionRecord(name, alert.rule, "done", before, after, self._clock()))
        if named.futile == named.patience:
            _log.warning("%s has not helped %s %d times, and is stopped", name, alert.rule, named.patience)

    def _record(self, name: str, alert: Alert, outcome: _Outcome, before: float | None) -> None:
        self._records.append(ActionRecord(name, alert.rule, outcome, before, None, self._clock()))

    def records(self) -> list[ActionRecord]:
        """Return the last 1 000 records, oldest first."""
        return list(self._records)

    def drain(self, timeout: float) -> bool:
        """Wait until nothing is under way; False if ``timeout`` seconds were not enough."""
        end = monotonic() + timeout
        return all(named.lane.drain(max(0.0, end - monotonic())) for named in self._named.values())

    def close(self, timeout: float = 5.0) -> None:
        """End the lanes, waiting for at most ``timeout`` seconds in all."""
        end = monotonic() + timeout
        for named in self._named.values():
            named.lane.close(max(0.0, end - monotonic()))

    def stats(self) -> dict[str, LaneStats]:
        """Return what became of each action's jobs."""
        return {name: named.lane.stats() for name, named in self._named.items()}
