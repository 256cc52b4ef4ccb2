"""Rules against metrics, handlers that hang or raise, actions that help or do not, and restarts."""

import asyncio
import json
import logging
import os
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from perfcore.errors import ConfigError
from perfcore.monitor import (
    AbsenceRule,
    Actions,
    AnomalyRule,
    CompositeRule,
    PerformanceAlerting,
    ThresholdRule,
    TrendRule,
    file_handler,
    load_rules,
    log_handler,
    webhook_handler,
)


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


BUSY = ThresholdRule(name="busy", metric="cpu", threshold=90, clear_threshold=75)


@pytest.fixture
def clock():
    return Clock()


def states(alerts):
    return [(alert.rule, alert.state) for alert in alerts]


def play(alerting, clock, values, metric="cpu", step=1.0):
    """Check one value after another and return (place, rule, state) of what was told."""
    found = []
    for place, value in enumerate(values):
        clock.now += step
        found += [
            (place, a.rule, a.state) for a in alerting.check_alerts({} if value is None else {metric: value})
        ]
    return found


# --- conditions ---------------------------------------------------------------------------------------------


def test_between_threshold_and_clear_threshold_all_stays_as_it_is(clock):
    alerting = PerformanceAlerting([BUSY], clock=clock)
    assert play(alerting, clock, [80, 91, 80, 80, 74, 80, 92]) == [
        (1, "busy", "firing"),
        (4, "busy", "resolved"),
        (6, "busy", "firing"),
    ]


@pytest.mark.parametrize(
    ("op", "beyond", "within"), [(">", 91, 90), (">=", 90, 89), ("<", 89, 90), ("<=", 90, 91)]
)
def test_each_operator(op, beyond, within, clock):
    alerting = PerformanceAlerting([ThresholdRule(name="r", metric="cpu", op=op, threshold=90)], clock=clock)
    assert play(alerting, clock, [within, beyond]) == [(1, "r", "firing")]


def test_metrics_are_found_in_mappings_and_objects_alike(clock):
    rule = ThresholdRule(name="r", metric="system.cpu.usage", threshold=90)
    for metrics in (
        {"system": {"cpu": {"usage": 95}}},
        SimpleNamespace(system=SimpleNamespace(cpu=SimpleNamespace(usage=95))),
        {"system": SimpleNamespace(cpu={"usage": 95})},
        {"system.cpu.usage": 95},
    ):
        (alert,) = PerformanceAlerting([rule], clock=clock).check_alerts(metrics)
        assert alert.metrics == {"system.cpu.usage": 95.0}


@pytest.mark.parametrize("absent", [None, "95", True, float("nan"), float("inf")])
def test_what_is_no_number_is_no_data(absent, clock):
    alerting = PerformanceAlerting([BUSY, AbsenceRule(name="gone", metric="cpu")], clock=clock)
    assert states(alerting.check_alerts({"cpu": absent})) == [("gone", "firing")]


def test_a_missing_sample_counts_as_the_rule_says(clock):
    rules = [
        ThresholdRule(name=kind, metric="cpu", threshold=90, no_data=kind) for kind in ("ok", "keep", "alert")
    ]
    alerting = PerformanceAlerting(rules, clock=clock)
    assert play(alerting, clock, [None]) == [(0, "alert", "firing")]
    play(alerting, clock, [95])
    assert play(alerting, clock, [None]) == [(0, "ok", "resolved")]


def test_a_trend_rule_fires_on_a_leak_and_not_on_noise(clock):
    import random

    draw = random.Random(1)
    rule = TrendRule(name="leak", metric="cpu", window=1800)
    noise = PerformanceAlerting([rule], clock=clock)
    assert play(noise, clock, [1000 + draw.gauss(0, 30) for _ in range(1800)]) == []
    leak = PerformanceAlerting([rule], clock=clock)
    found = play(leak, clock, [1000 * (1 + 0.01 * i / 60) + draw.gauss(0, 30) for i in range(1800)])
    assert [event[1:] for event in found] == [("leak", "firing")]


@pytest.mark.parametrize(
    "rule", [TrendRule(name="leak", metric="cpu", window=60), AnomalyRule(name="odd", metric="cpu")]
)
def test_no_data_is_neither_a_trend_nor_an_anomaly(rule, clock):
    alerting = PerformanceAlerting([rule], clock=clock)
    assert play(alerting, clock, [None] * 100 + [1.0] * 100 + [None] * 100) == []


def test_a_trend_that_is_over_is_forgotten_after_its_window(clock):
    alerting = PerformanceAlerting([TrendRule(name="leak", metric="cpu", window=600)], clock=clock)
    values = [1000.0 + number for number in range(900)] + [1899.0] * 1200
    assert [event[1:] for event in play(alerting, clock, values)] == [
        ("leak", "firing"),
        ("leak", "resolved"),
    ]


def test_an_anomaly_rule_fires_on_a_shift(clock):
    alerting = PerformanceAlerting([AnomalyRule(name="odd", metric="cpu", mode="sensitive")], clock=clock)
    assert play(alerting, clock, [10 + i % 3 for i in range(500)]) == []
    assert ("odd", "firing") in [event[1:] for event in play(alerting, clock, [60] * 5)]


def test_a_composite_rule_sees_the_others_in_the_same_round(clock):
    rules = [
        CompositeRule(name="both", of=("busy", "full")),
        CompositeRule(name="any", of=("busy", "full"), need="any"),
        BUSY,
        ThresholdRule(name="full", metric="memory", threshold=90),
    ]
    alerting = PerformanceAlerting(rules, clock=clock)
    assert states(alerting.check_alerts({"cpu": 95, "memory": 10})) == [("busy", "firing"), ("any", "firing")]
    assert states(alerting.check_alerts({"cpu": 95, "memory": 95})) == [
        ("full", "firing"),
        ("both", "firing"),
    ]


def test_an_inhibited_rule_holds_its_tongue(clock):
    slow = ThresholdRule(name="slow", metric="latency", threshold=1, inhibited_by=("down",))
    alerting = PerformanceAlerting([AbsenceRule(name="down", metric="up"), slow], clock=clock)
    assert states(alerting.check_alerts({"latency": 5})) == [("down", "firing")]
    assert states(alerting.check_alerts({"latency": 5, "up": 1})) == [
        ("down", "resolved"),
        ("slow", "firing"),
    ]


def test_the_shorthand_thresholds(clock):
    alerting = PerformanceAlerting(thresholds={"cpu": 80, "response_time": 1000}, clock=clock)
    metrics = {"system": {"cpu": {"usage": 85}}, "application": {"parsing": {"average_response_time": 1.5}}}
    assert alerting.check_alerts(metrics) == []
    clock.now += 10
    assert {alert.rule for alert in alerting.check_alerts(metrics)} == {
        "threshold cpu",
        "threshold response_time",
    }


# --- bad rules ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([BUSY, BUSY], "two rules"),
        ([CompositeRule(name="c", of=("x",))], "'x'"),
        ([CompositeRule(name="c", of=("c",))], "'c'"),
        ([ThresholdRule(name="a", metric="m", threshold=1, inhibited_by=("b",))], "'b'"),
    ],
)
def test_rules_that_cannot_be_held_together_are_refused(rules, message):
    with pytest.raises(ConfigError, match=message):
        PerformanceAlerting(rules)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"type": "threshold", "name": "a", "metric": "m"}, "threshold"),
        ({"type": "threshold", "name": "a", "metric": "m", "threshold": 1, "fro": 5}, "fro"),
        (
            {"type": "threshold", "name": "a", "metric": "m", "threshold": 1, "for": -5},
            r"\$\.rules\[0\]\.for",
        ),
        (
            {"type": "threshold", "name": "a", "metric": "m", "threshold": 1, "clear_threshold": 2},
            "clear_threshold",
        ),
        ({"type": "loud", "name": "a"}, "loud"),
        ({"type": "absence", "name": "", "metric": "m"}, "length"),
    ],
)
def test_a_bad_rule_in_a_file_is_named(rule, message, tmp_path):
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"rules": [rule]}))
    with pytest.raises(ConfigError, match=message):
        load_rules(file)


def test_an_unknown_shorthand_is_named():
    with pytest.raises(ConfigError, match="'gpu'"):
        PerformanceAlerting(thresholds={"gpu": 1})


# --- handlers -----------------------------------------------------------------------------------------------


def test_handlers_sync_and_async_get_every_alert(clock):
    got, later = [], []

    async def handle(alert):
        await asyncio.sleep(0)
        later.append(alert)

    alerting = PerformanceAlerting([BUSY], handlers=[got.append, handle], clock=clock)
    play(alerting, clock, [95, 10])
    alerting.close()
    assert states(got) == states(later) == [("busy", "firing"), ("busy", "resolved")]
    assert got[0].id == got[1].id


def test_a_handler_that_hangs_or_raises_is_nobody_elses_trouble(clock, caplog):
    free, got = threading.Event(), []

    def hang(alert):
        free.wait(30)

    def fail(alert):
        raise OSError("no")

    alerting = PerformanceAlerting([BUSY], handlers=[hang, fail, got.append], clock=clock)
    began = time.monotonic()
    play(alerting, clock, [95, 10] * 3000)
    assert time.monotonic() - began < 20
    while len(got) < 1000 and time.monotonic() - began < 30:
        time.sleep(0.01)
    stats = alerting.stats()
    hung = next(s for name, s in stats.items() if "hang" in name)
    failed = next(s for name, s in stats.items() if "fail" in name)
    assert hung.dropped >= 6000 - 1001 and hung.waiting <= 1000 and hung.busy_for > 0
    assert failed.failed > 0 and failed.done == 0
    free.set()
    alerting.close()
    assert sum("said once" in record.message for record in caplog.records) == 1


def test_a_handler_may_check_alerts_itself(clock):
    def recurse(alert):
        alerting.check_alerts({"cpu": 10})

    alerting = PerformanceAlerting([BUSY], handlers=[recurse], clock=clock)
    alerting.check_alerts({"cpu": 95})
    alerting.close()
    assert alerting.firing() == []


def test_the_log_gets_the_severity(clock, caplog):
    rule = ThresholdRule(
        name="r", metric="cpu", threshold=1, severity="critical", message="cpu at {value:.0f}"
    )
    alerting = PerformanceAlerting([rule], handlers=[log_handler()], clock=clock)
    with caplog.at_level(logging.INFO, "perfcore.alerts"):
        play(alerting, clock, [5, 0])
        alerting.close()
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("CRITICAL", "r firing: cpu at 5"),
        ("INFO", "r resolved: cpu at 0"),
    ]


def test_the_file_gets_lines_of_json_that_only_its_owner_reads(clock, tmp_path):
    path = tmp_path / "alerts.jsonl"
    alerting = PerformanceAlerting([BUSY], handlers=[file_handler(path)], clock=clock)
    play(alerting, clock, [95, 10])
    alerting.close()
    assert [json.loads(line)["state"] for line in path.read_text().splitlines()] == ["firing", "resolved"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.answers.pop(0))
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(
    ("answers", "posts", "failed"), [([200], 1, 0), ([503, 429, 200], 3, 0), ([404], 1, 1), ([500] * 3, 3, 1)]
)
def test_a_webhook_is_tried_again_while_that_may_help(answers, posts, failed, clock):
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.bodies, server.answers = [], list(answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = webhook_handler(f"http://127.0.0.1:{server.server_port}/secret", retries=2, backoff=0.01)
    alerting = PerformanceAlerting([BUSY], handlers=[hook], clock=clock)
    alerting.check_alerts({"cpu": 95})
    alerting.close()
    server.shutdown()
    server.server_close()
    assert len(server.bodies) == posts
    assert server.bodies[0]["rule"] == "busy"
    assert next(iter(alerting.stats().values())).failed == failed


def test_a_webhooks_address_stays_out_of_the_log(clock, caplog):
    hook = webhook_handler("http://127.0.0.1:9/secret-token", retries=0, timeout=1)
    alerting = PerformanceAlerting([BUSY], handlers=[hook], clock=clock)
    alerting.check_alerts({"cpu": 95})
    alerting.close()
    assert "did not answer" in caplog.text
    assert "secret-token" not in caplog.text


def test_a_webhook_is_http():
    with pytest.raises(ValueError, match="http"):
        webhook_handler("file:///etc/passwd")


# --- actions ------------------------------------------------------------------------------------------------


def acting(clock, run, name="act", **options):
    actions = Actions(clock=clock, **options)
    actions.add(name, run, interval=10)
    rule = ThresholdRule(name="busy", metric="cpu", threshold=90, actions=(name,))
    return PerformanceAlerting([rule], actions=actions, clock=clock)


def outcomes(alerting):
    alerting.actions.drain(10)
    return [record.outcome for record in alerting.actions.records()]


def test_an_action_runs_when_its_rule_fires_and_is_undone_when_it_is_resolved(clock):
    did = []

    def act(alert):
        did.append(alert.rule)
        return lambda: did.append("undone")

    alerting = acting(clock, act)
    play(alerting, clock, [95, 10])
    assert outcomes(alerting) == ["done", "undone"]
    assert did == ["busy", "undone"]


def test_an_action_is_limited_in_rate(clock):
    did = []
    alerting = acting(clock, lambda alert: did.append(1))
    play(alerting, clock, [95, 10] * 6)
    assert outcomes(alerting).count("limited") == 4
    assert len(did) == 2


def test_a_dry_run_only_says_what_it_would_do(clock):
    did = []
    alerting = acting(clock, lambda alert: did.append(1), dry_run=True)
    play(alerting, clock, [95])
    assert outcomes(alerting) == ["dry-run"] and not did


def test_an_action_that_does_not_help_is_stopped(clock):
    did = []
    alerting = acting(clock, lambda alert: did.append(1), settle=5.0)
    for _ in range(6):
        play(alerting, clock, [95, *[99] * 10, 80])
    assert "stopped" in outcomes(alerting)
    assert len(did) == 3
    judged = [record for record in alerting.actions.records() if record.after is not None]
    assert judged[0].before == 95 and judged[0].after == 99


def test_what_raises_a_metric_that_is_too_low_has_helped(clock):
    did = []
    actions = Actions(clock=clock, settle=5.0)
    actions.add("act", lambda alert: did.append(1), interval=10)
    rule = ThresholdRule(
        name="cold", metric="ratio", op="<", threshold=50, clear_threshold=80, actions=("act",)
    )
    alerting = PerformanceAlerting([rule], actions=actions, clock=clock)
    for _ in range(6):
        play(alerting, clock, [40, *[60] * 10, 90], metric="ratio")
    assert "stopped" not in outcomes(alerting)
    assert len(did) == 6


def test_an_action_that_fails_is_recorded(clock):
    def act(alert):
        raise RuntimeError("no")

    alerting = acting(clock, act)
    play(alerting, clock, [95])
    assert outcomes(alerting) == ["failed"]


def test_an_action_that_nobody_knows_is_recorded(clock):
    rule = ThresholdRule(name="busy", metric="cpu", threshold=90, actions=("fly",))
    alerting = PerformanceAlerting([rule], clock=clock)
    (alert,) = alerting.check_alerts({"cpu": 95})
    assert alert.suggested_actions == ("fly",)
    assert outcomes(alerting) == ["unknown"]


def test_trigger_gc_is_there_from_the_start(clock):
    rule = ThresholdRule(name="busy", metric="cpu", threshold=90, actions=("trigger_gc",))
    alerting = PerformanceAlerting([rule], clock=clock)
    alerting.check_alerts({"cpu": 95})
    assert outcomes(alerting) == ["done"]


# --- changes and restarts -----------------------------------------------------------------------------------


def test_a_rule_that_stays_keeps_its_state_when_others_change(clock):
    alerting = PerformanceAlerting([BUSY], clock=clock)
    play(alerting, clock, [95])
    alerting.add_rule(AbsenceRule(name="gone", metric="x"))
    assert alerting.firing() == ["busy"]
    alerting.remove_rule("gone")
    assert alerting.firing() == ["busy"]
    with pytest.raises(KeyError):
        alerting.remove_rule("gone")


def test_after_a_restart_what_fired_still_fires_and_cools_down(tmp_path, clock):
    rule = ThresholdRule(name="busy", metric="cpu", threshold=90, cooldown=100.0)
    path = tmp_path / "state" / "alerts.json"
    first = PerformanceAlerting([rule], state_file=path, clock=clock)
    assert play(first, clock, [95]) == [(0, "busy", "firing")]
    first.close()
    clock.now = 5.0  # another process: another monotonic clock
    second = PerformanceAlerting([rule], state_file=path, clock=clock)
    assert second.firing() == ["busy"]
    assert play(second, clock, [95, 10, 95]) == [(1, "busy", "resolved")]
    assert play(second, clock, [95] * 101)[0][0] >= 95


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 9, "at": 0, "phases": {}}', b"\xff\0"])
def test_a_damaged_state_is_no_state(content, tmp_path, clock):
    path = tmp_path / "alerts.json"
    path.write_bytes(content)
    assert PerformanceAlerting([BUSY], state_file=path, clock=clock).firing() == []


def test_a_state_that_cannot_be_saved_is_logged_and_no_more(tmp_path, clock, caplog):
    (tmp_path / "file").write_text("in the way")
    alerting = PerformanceAlerting([BUSY], state_file=tmp_path / "file" / "alerts.json", clock=clock)
    assert play(alerting, clock, [95]) == [(0, "busy", "firing")]
    alerting.close()
    assert "could not be saved" in caplog.text


def test_a_forked_child_goes_on_by_itself(clock):
    got = []
    alerting = PerformanceAlerting([BUSY], handlers=[got.append], clock=clock)
    play(alerting, clock, [95])
    child = os.fork()
    if child == 0:
        ok = play(alerting, clock, [10]) == [(0, "busy", "resolved")]
        alerting.close()
        os._exit(0 if ok and states(got)[-1] == ("busy", "resolved") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    alerting.close()


def test_ten_thousand_rules_share_a_round_fairly(clock):
    rules = [ThresholdRule(name=f"r{i}", metric=f"m{i}", threshold=5) for i in range(10_000)]
    alerting = PerformanceAlerting(rules, clock=clock)
    metrics = {f"m{i}": float(i % 10) for i in range(10_000)}
    assert len(alerting.check_alerts(metrics)) == 4000
    assert len(alerting.history()) == 1000
