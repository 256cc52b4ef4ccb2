"""What the auto-scaler decides: the guide's rules one by one, then what holds whatever the load does."""

from dataclasses import replace
from math import inf, nan

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore.monitor import PerformanceMetrics
from perfcore.monitor.records import (
    ApplicationMetrics,
    CPUMetrics,
    MemoryMetrics,
    SystemMetrics,
    WorkerMetrics,
)
from perfcore.scaling import DEFAULT_RULES, Policy, Rate, ScalingRule
from perfcore.scaling.decide import Memory, decide

EAGER = Policy(cooldown=0, window_in=0, max_nodes=20, rate_out=Rate(99, 1), rate_in=Rate(99, 1))


def metrics(cpu=50.0, memory=50.0, queue=50.0, at=0.0):
    used, total = (None, None) if memory is None else (memory, 100.0)
    return PerformanceMetrics(
        timestamp=at,
        system=SystemMetrics(cpu=CPUMetrics(usage=cpu), memory=MemoryMetrics(used=used, total=total)),
        application=ApplicationMetrics(workers=WorkerMetrics(queued=queue)),
    )


BUSY, IDLE, PLAIN = {"cpu": 95.0}, {"cpu": 5.0, "queue": 0.0}, {}


def once(policy=EAGER, nodes=5, **values):
    return decide(policy, Memory(), nodes, metrics(**values), 0.0)[0]


class Run:
    """A cluster that does what is decided, and when it did it."""

    def __init__(self, policy, nodes=5):
        self.policy, self.memory, self.nodes, self.changes = policy, Memory(), nodes, []

    def at(self, now, takes=0.0, **values):
        seen = metrics(at=now, **values) if values is not None else None
        decision, self.memory = decide(self.policy, self.memory, self.nodes, seen, now)
        if decision.action != "hold":
            self.memory = self.memory.completed(now + takes)
            self.changes.append((now + takes, decision))
            self.nodes = decision.target
        return decision


# --- the guide's rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "rule", "target"),
    [
        ({"cpu": 80.1}, "cpu-scale-out", 6),
        ({"cpu": 80.0}, None, 5),
        ({"memory": 85.1}, "memory-scale-out", 6),
        ({"memory": 85.0}, None, 5),
        ({"queue": 101.0}, "queue-scale-out", 7),
        ({"queue": 100.0}, None, 5),
        ({"cpu": 29.9, "queue": 9.0}, "low-utilization-scale-in", 4),
        ({"cpu": 30.0, "queue": 9.0}, None, 5),
        ({"cpu": 29.9, "queue": 10.0}, None, 5),
        ({"cpu": 95.0, "memory": 95.0, "queue": 500.0}, "cpu-scale-out", 6),
        ({"memory": 95.0, "queue": 500.0}, "memory-scale-out", 6),
        ({"cpu": 5.0, "queue": 0.0, "memory": 95.0}, "memory-scale-out", 6),
    ],
)
def test_a_rule_of_the_guide(values, rule, target):
    decision = once(**values)
    assert (decision.rule, decision.target) == (rule, target)
    assert decision.action == ("hold" if target == 5 else "scale-out" if target > 5 else "scale-in")


def test_the_share_of_memory_that_counts_is_the_containers_where_it_is_known():
    seen = PerformanceMetrics(
        timestamp=0.0, system=SystemMetrics(memory=MemoryMetrics(used=10, total=100, percent=90.0))
    )
    assert decide(EAGER, Memory(), 5, seen, 0.0)[0].rule == "memory-scale-out"


def test_a_decision_can_be_read_back_as_data():
    decision = once(cpu=93.0)
    assert decision.inputs == (("cpu", 93.0), ("memory", 50.0), ("queue", 50.0))
    assert str(decision) == "scale-out from 5 to 6: cpu-scale-out holds [cpu 93, memory 50, queue 50]"
    assert str(replace(decision, dry_run=True)).startswith("(dry run) scale-out")


def test_ties_are_decided_carefully_and_always_alike():
    rules = [
        ScalingRule("fewer", "cpu > 0", "scale-in", 1, 5),
        ScalingRule("more", "cpu > 0", "scale-out", 1, 5),
        ScalingRule("many", "cpu > 0", "scale-out", 3, 5),
    ]
    assert once(replace(EAGER, rules=tuple(rules))).rule == "many"
    assert once(replace(EAGER, rules=tuple(reversed(rules)))).rule == "many"


def test_a_rule_may_be_a_function_that_cannot_say():
    rule = ScalingRule("mine", lambda seen: seen.application.workers.queued > 7, "scale-out", 2)
    policy = replace(EAGER, rules=(rule,))
    assert once(policy, queue=8.0).target == 7
    decision = once(policy, queue=None)
    assert decision.action == "hold" and decision.reason == "mine not measured"


# --- patience -----------------------------------------------------------------------------------------------


def test_a_cooldown_begins_when_the_change_is_complete():
    run = Run(Policy(cooldown=300, max_nodes=20))
    assert run.at(0, takes=20, **BUSY).target == 6
    assert "the cooldown is 300 s" in run.at(310, **BUSY).reason
    assert run.at(320, **BUSY).target == 7


def test_fewer_nodes_have_to_be_wanted_for_the_whole_window():
    run = Run(Policy(cooldown=0, window_in=300))
    for now in range(0, 300, 50):
        assert "not yet for 300 s" in run.at(now, **IDLE).reason
    assert run.at(300, **IDLE).target == 4
    for now in range(350, 600, 50):
        assert run.at(now, **IDLE).action == "hold"
    assert run.at(600, **IDLE).target == 3


def test_one_look_to_the_contrary_begins_the_window_anew():
    run = Run(Policy(cooldown=0, window_in=300))
    for now in range(0, 250, 50):
        run.at(now, **IDLE)
    run.at(250, **PLAIN)
    for now in range(300, 550, 50):
        assert run.at(now, **IDLE).action == "hold"
    run.at(550, **IDLE)
    assert run.at(551, **IDLE).target == 4


def test_a_window_may_be_asked_for_more_nodes_too():
    run = Run(Policy(cooldown=0, window_out=60))
    assert run.at(0, **BUSY).action == run.at(30, **BUSY).action == "hold"
    assert run.at(60, **BUSY).target == 6


def test_what_nobody_looked_at_proves_nothing():
    run = Run(Policy(cooldown=0, window_in=300, stale=60))
    run.at(0, **IDLE)
    assert run.at(301, **IDLE).action == "hold"


def test_the_rate_is_limited():
    rules = (ScalingRule("many", "cpu > 80", "scale-out", 10),)
    run = Run(Policy(rules=rules, cooldown=0, rate_out=Rate(4, 60), max_nodes=50))
    assert run.at(0, **BUSY).target == 9
    assert "4 in 60 s is as fast as may be" in run.at(30, **BUSY).reason
    assert run.at(60, **BUSY).target == 13


def test_inside_the_tolerance_nothing_happens():
    policy = replace(EAGER, tolerance=0.1)
    assert once(policy, cpu=87.0).action == "hold" and once(policy, cpu=89.0).action == "scale-out"
    assert once(policy, cpu=28.0, queue=0.0).action == "hold"
    assert once(policy, cpu=26.0, queue=0.0).action == "scale-in"


def test_a_clock_that_is_set_back_changes_nothing_and_does_not_stop_it_for_ever():
    run = Run(Policy(cooldown=100))
    assert run.at(10_000, **BUSY).action == "scale-out"
    assert run.at(0, **BUSY).reason == "the clock was set back"
    assert run.at(50, **BUSY).action == "hold"
    assert run.at(101, **BUSY).action == "scale-out"


# --- bounds and gaps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("nodes", "values"), [(1, IDLE), (8, BUSY)])
def test_bounds_are_not_passed_and_named(nodes, values):
    decision = once(replace(EAGER, max_nodes=8), nodes, **values)
    assert decision.action == "hold" and f"{nodes} is a bound (1 to 8)" in decision.reason


def test_who_is_out_of_bounds_is_brought_back_at_once():
    assert once(Policy(min_nodes=3), 1).target == 3
    run = Run(Policy(max_nodes=3), nodes=5)
    assert run.at(0).target == 4 and run.at(30).action == "hold" and run.at(60).target == 3


@pytest.mark.parametrize("missing", [None, nan, inf])
def test_what_was_not_measured_holds_fewer_nodes_back_and_no_more_nodes(missing):
    assert once(cpu=5.0, queue=0.0, memory=None).reason == "memory not measured"
    assert once(cpu=missing, queue=0.0).action == "hold"
    assert once(cpu=missing, queue=500.0).target == 7


def test_no_metrics_at_all_and_old_ones_hold():
    assert decide(EAGER, Memory(), 5, None, 0.0)[0].action == "hold"
    decision = decide(EAGER, Memory(), 5, metrics(at=0.0, **IDLE), 61.0)[0]
    assert decision.action == "hold" and "not measured for 61 s" in decision.reason
    assert decide(EAGER, Memory(), 5, metrics(at=0.0, **BUSY), 61.0)[0].action == "hold"


# --- whatever the load does ---------------------------------------------------------------------------------

value = st.one_of(st.none(), st.just(nan), st.floats(0, 100))
looks = st.lists(
    st.tuples(
        st.floats(0.1, 90),  # seconds since the look before
        st.fixed_dictionaries({}, optional={"cpu": value, "memory": value, "queue": st.floats(0, 300)}),
    ),
    min_size=1,
    max_size=80,
)
#: the load flaps: all looks are wholly idle or wholly busy
flapping = st.lists(st.tuples(st.floats(0.5, 30), st.sampled_from([BUSY, IDLE])), min_size=10, max_size=120)
seconds = st.sampled_from([0.0, 15.0, 60.0, 300.0])
policies = st.builds(
    Policy,
    min_nodes=st.integers(1, 3),
    max_nodes=st.integers(3, 9),
    cooldown=seconds,
    window_out=seconds,
    window_in=seconds,
    tolerance=st.sampled_from([0.0, 0.1]),
    rate_out=st.builds(Rate, st.integers(1, 5), st.sampled_from([30.0, 60.0])),
    rate_in=st.builds(Rate, st.integers(1, 2), st.sampled_from([30.0, 60.0])),
)


def played(policy, looks, nodes=3):
    run, now = Run(policy, nodes), 0.0
    decisions = []
    for pause, values in looks:
        now += pause
        decisions.append(run.at(now, **values))
    return run, decisions


@settings(max_examples=effort(200))
@given(policies, st.one_of(looks, flapping))
def test_at_most_one_change_in_a_stabilisation_window(policy, looks):
    run, _ = played(policy, looks)
    for (before, _), (now, change) in zip(run.changes, run.changes[1:], strict=False):
        window = policy.window_out if change.action == "scale-out" else policy.window_in
        assert now - before >= max(window, policy.cooldown) - 1e-6


@settings(max_examples=effort(100))
@given(flapping)
def test_a_load_that_flaps_changes_the_guides_defaults_at_most_once_in_five_minutes(looks):
    run, _ = played(Policy(), looks)
    assert all(b[0] - a[0] >= 300 - 1e-6 for a, b in zip(run.changes, run.changes[1:], strict=False))
    # and never down: it was never idle for five minutes on end
    assert all(change.action == "scale-out" for _, change in run.changes) or idle_for(looks) >= 300 - 1e-6


def idle_for(looks):
    longest = run = 0.0
    for pause, values in looks:
        run = run + pause if values is IDLE else 0.0
        longest = max(longest, run)
    return longest


@settings(max_examples=effort(200))
@given(policies, looks, st.integers(1, 12))
def test_never_beyond_the_bounds(policy, looks, nodes):
    _, decisions = played(policy, looks, nodes)
    for decision in decisions:
        assert (
            min(decision.nodes, policy.min_nodes) <= decision.target <= max(decision.nodes, policy.max_nodes)
        )
        if policy.min_nodes <= decision.nodes <= policy.max_nodes:
            assert policy.min_nodes <= decision.target <= policy.max_nodes


@settings(max_examples=effort(200))
@given(policies, looks)
def test_fewer_nodes_only_where_everything_was_measured(policy, looks):
    _, decisions = played(policy, looks)
    for decision in decisions:
        if decision.action == "scale-in":
            assert all(value is not None for _, value in decision.inputs) and len(decision.inputs) == 3


@settings(max_examples=effort(200))
@given(policies, looks)
def test_the_rate_is_kept_whatever_happens(policy, looks):
    run, _ = played(policy, looks)
    for direction, rate in (("scale-out", policy.rate_out), ("scale-in", policy.rate_in)):
        moves = [(at, abs(d.target - d.nodes)) for at, d in run.changes if d.action == direction]
        for at, _ in moves:
            assert sum(count for time, count in moves if at - rate.seconds < time <= at) <= rate.nodes


@given(policies, looks)
def test_the_same_past_gives_the_same_decisions(policy, looks):
    assert played(policy, looks)[1] == played(policy, looks)[1]


@given(policies, looks)
def test_every_decision_has_a_reason_and_its_memory_stays_small(policy, looks):
    run, decisions = played(policy, looks)
    assert all(decision.reason and str(decision) for decision in decisions)
    assert len(run.memory.wishes) <= len(looks) and len(run.memory.changes) <= len(run.changes)


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_nodes": 3, "max_nodes": 2}, ValueError, "Expected `min_nodes` <= `max_nodes`, got 3 and 2"),
        ({"min_nodes": 0}, ValueError, "min_nodes"),
        ({"cooldown": -1}, ValueError, "cooldown"),
        ({"window_in": nan}, ValueError, "window_in"),
        ({"window_out": "60"}, TypeError, "window_out"),
        ({"tolerance": 1.0}, ValueError, "tolerance"),
        ({"rate_in": (0, 60.0)}, ValueError, "rate_in"),
        ({"stale": 0.0}, ValueError, "stale"),
        ({"rules": DEFAULT_RULES[:1] * 2}, ValueError, "a name of its own"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        Policy(**options)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("", "cpu > 1", "scale-out"), ValueError, "name"),
        (("a", "cpu >> 1", "scale-out"), ValueError, "comparisons like `cpu > 80`"),
        (("a", "", "scale-out"), ValueError, "comparisons"),
        (("a", "cpu > 1 or cpu < 2", "scale-out"), ValueError, "joined by `and`"),
        (("a", 5, "scale-out"), TypeError, "`str` or a function"),
        (("a", "cpu > 1", "explode"), ValueError, "Expected one of scale-out, scale-in"),
        (("a", "cpu > 1", "scale-in", 0), ValueError, "magnitude"),
        (("a", "cpu > 1", "scale-in", 1.5), TypeError, "magnitude"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        ScalingRule(*arguments)
