"""An alert's life, against the plainest telling of its rules: look back over everything that was seen."""

from itertools import pairwise

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore.monitor.phases import Phase, advance
from perfcore.monitor.rules import AbsenceRule

RULES = st.builds(
    AbsenceRule,
    name=st.just("rule"),
    metric=st.just("metric"),
    for_=st.sampled_from([0.0, 3.0, 10.0]),
    keep_firing_for=st.sampled_from([0.0, 4.0]),
    min_samples=st.integers(1, 4),
    cooldown=st.sampled_from([0.0, 8.0]),
    repeat_interval=st.sampled_from([None, 5.0]),
    no_data=st.sampled_from(["ok", "keep", "alert"]),
)
STORIES = st.lists(st.tuples(st.integers(1, 5).map(float), st.sampled_from([True, False, None])), max_size=40)


def told(rule, story):
    """Return (time, transition) of a story of (seconds later, condition)."""
    phase, now, transitions = Phase(), 0.0, []
    for later, holds in story:
        now += later
        phase, transition = advance(phase, rule, holds, now)
        if transition:
            transitions.append((now, transition))
    return transitions


def model(rule, story):
    """The same, from lists of all that was seen."""
    now, seen, transitions, firing = 0.0, [], [], False
    for later, holds in story:
        now += later
        if holds is None and rule.no_data == "keep":
            continue
        seen.append((now, rule.no_data == "alert" if holds is None else holds))
        if firing:
            last_held = max(time for time, held in seen if held)
            if not seen[-1][1] and now - last_held >= rule.keep_firing_for:
                firing = False
                transitions.append((now, "resolved"))
            elif rule.repeat_interval is not None:
                last_told = max(time for time, kind in transitions if kind != "resolved")
                if now - last_told >= rule.repeat_interval:
                    transitions.append((now, "repeated"))
            if not firing:
                seen = []
        else:
            run = []
            for time, held in reversed(seen):
                if not held:
                    break
                run.append(time)
            fired = [time for time, kind in transitions if kind == "firing"]
            if (
                run
                and now - run[-1] >= rule.for_
                and len(run) >= rule.min_samples
                and (not fired or now - fired[-1] >= rule.cooldown)
            ):
                firing = True
                transitions.append((now, "firing"))
    return transitions


@settings(max_examples=effort(300))
@given(RULES, STORIES)
def test_it_tells_what_looking_back_over_everything_tells(rule, story):
    assert told(rule, story) == model(rule, story)


@given(RULES, STORIES)
def test_firing_and_resolved_alternate(rule, story):
    kinds = [kind for _, kind in told(rule, story) if kind != "repeated"]
    assert kinds == ["firing", "resolved"] * (len(kinds) // 2) + ["firing"] * (len(kinds) % 2)


@given(RULES, STORIES)
def test_two_firings_are_a_cooldown_apart(rule, story):
    times = [time for time, kind in told(rule, story) if kind == "firing"]
    assert all(b - a >= rule.cooldown for a, b in pairwise(times))


def test_a_load_that_flaps_faster_than_the_rule_is_patient_never_fires():
    rule = AbsenceRule(name="rule", metric="m", for_=10.0)
    assert told(rule, [(1.0, i % 8 != 0) for i in range(200)]) == []


@pytest.mark.parametrize("keep", [0.0, 30.0])
def test_a_short_dip_is_bridged_by_keep_firing_for(keep):
    rule = AbsenceRule(name="rule", metric="m", keep_firing_for=keep)
    kinds = [kind for _, kind in told(rule, [(1.0, True), (1.0, False), (1.0, True), (60.0, False)])]
    assert kinds == (["firing", "resolved"] if keep else ["firing", "resolved", "firing", "resolved"])
