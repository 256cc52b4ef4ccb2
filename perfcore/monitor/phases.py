"""The life of an alert: inactive, pending, firing, and back, as a pure function of what is seen and when.

::

              holds                   held for `for_` and `min_samples`, not in cooldown
    inactive --------> pending ------------------------------------------------------> firing
       ^                  | does not hold                                                 |
       +------------------+<--------------------------------------------------------------+
                                            held last `keep_firing_for` ago

That of Prometheus, with what it lacks: a cooldown, samples in a row, and what a missing sample means (its
issues #10536, #13957 and #15175). Times are seconds of a monotonic clock, whichever."""

from __future__ import annotations

from typing import Literal

import msgspec

from perfcore.monitor.rules import Rule

__all__ = ["Phase", "Transition", "advance"]

Transition = Literal["firing", "resolved", "repeated"]


class Phase(msgspec.Struct, frozen=True):
    """Where an alert is in its life. Times count from wherever the caller's clock does."""

    name: Literal["inactive", "pending", "firing"] = "inactive"
    #: When the condition began to hold.
    since: float = 0.0
    #: Samples in a row for which it has held.
    samples: int = 0
    #: When it was seen to hold last.
    held: float = 0.0
    #: When it fired last, and was told last.
    fired: float = float("-inf")
    told: float = float("-inf")


def advance(phase: Phase, rule: Rule, holds: bool | None, now: float) -> tuple[Phase, Transition | None]:
    """Return the next phase, and the transition to tell of, if any; ``holds`` is None for a missing sample.

    >>> from perfcore.monitor.rules import AbsenceRule
    >>> rule = AbsenceRule(name="silent", metric="requests", for_=10)
    >>> phase, told = advance(Phase(), rule, True, 100.0)
    >>> phase.name, told, advance(phase, rule, True, 110.0)[1]
    ('pending', None, 'firing')
    """
    if holds is None:
        if rule.no_data == "keep":
            return phase, None
        holds = rule.no_data == "alert"
    if phase.name == "firing":
        return _firing(phase, rule, holds, now)
    if not holds:
        return msgspec.structs.replace(phase, name="inactive", samples=0), None
    since = phase.since if phase.name == "pending" else now
    phase = msgspec.structs.replace(phase, name="pending", since=since, samples=phase.samples + 1, held=now)
    patient = now - since >= rule.for_ and phase.samples >= rule.min_samples
    if not patient or now - phase.fired < rule.cooldown:
        return phase, None
    return msgspec.structs.replace(phase, name="firing", fired=now, told=now), "firing"


def _firing(phase: Phase, rule: Rule, holds: bool, now: float) -> tuple[Phase, Transition | None]:
    if holds:
        phase = msgspec.structs.replace(phase, held=now, samples=phase.samples + 1)
    elif now - phase.held >= rule.keep_firing_for:
        return msgspec.structs.replace(phase, name="inactive", samples=0), "resolved"
    if rule.repeat_interval is not None and now - phase.told >= rule.repeat_interval:
        return msgspec.structs.replace(phase, told=now), "repeated"
    return phase, None
