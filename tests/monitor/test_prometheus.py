"""What Prometheus and Grafana are given: metrics, rule files and dashboards, held against their own tools."""

import json
import re
import sys

import msgspec
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from promtool import Endpoint, need_prometheus, promtool, scraping

from perfcore.cli import main
from perfcore.errors import ConfigError
from perfcore.integrations import grafana_dashboard, prometheus_rules
from perfcore.metrics import Counter, Gauge, Histogram, Registry, json_snapshot, prometheus_text
from perfcore.metrics.exposition import family_name
from perfcore.metrics.protobuf import PROTOBUF_CONTENT_TYPE, prometheus_protobuf
from perfcore.monitor import (
    AbsenceRule,
    AnomalyRule,
    CompositeRule,
    MetricsCollector,
    PerformanceAlerting,
    ThresholdRule,
    TrendRule,
    alerts_snapshot,
    performance_snapshot,
)
from perfcore.monitor.gauges import GAUGES
from perfcore.monitor.records import PerformanceMetrics


@pytest.fixture(autouse=True)
def _prometheus():
    need_prometheus()


BUSY = ThresholdRule(
    name="busy",
    metric="system.cpu.usage",
    threshold=90,
    clear_threshold=75,
    for_=60,
    keep_firing_for=30,
    message="{name}: {metric} is {value:g} {{now}}",
    labels={"team": "shop"},
    cooldown=300,
    actions=("trigger_gc",),
)
RULES = [
    CompositeRule(name="both", of=("busy", "full"), severity="critical"),
    BUSY,
    ThresholdRule(name="full", metric="system.memory.percent", threshold=80, min_samples=3),
    ThresholdRule(
        name="starved", metric="application.caching.hit_rate", op="<", threshold=20, no_data="alert"
    ),
    ThresholdRule(name="orders", metric="custom.shop.open", threshold=100, inhibited_by=("busy",)),
    TrendRule(name="leak", metric="system.process.rss"),
    AnomalyRule(name='odd "one"', metric="system.network.inbound"),
    AbsenceRule(name="silent", metric="application.parsing.requests_per_second", for_=120),
    CompositeRule(name="any", of=("full", "leak"), need="any"),
]


def everything():
    """All gauges that a collector can have, and a custom one."""
    metrics = json.loads('{"timestamp": 1000.0, "custom": {"shop": {"open": 7}}}')
    for gauge in GAUGES:
        *path, field = gauge.path.split(".")
        place = metrics
        for name in path:
            place = place.setdefault(name, {})
        place[field] = 50.0
    return performance_snapshot(msgspec.convert(metrics, PerformanceMetrics))


def own():
    registry = Registry()
    Counter("http.requests", "Requests.", unit="{request}", labels=["path"], registry=registry).labels(
        "/"
    ).inc()
    Counter("sent", "Bytes sent.", unit="By", registry=registry).inc()
    Gauge("queue.length", "Waiting.", unit="{item}", registry=registry).set(2)
    Histogram("http.duration", "Times.", unit="s", registry=registry).observe(0.5)
    return registry


# --- metrics ------------------------------------------------------------------------------------------------


def test_all_that_is_exported_passes_promtools_linter():
    alerting = PerformanceAlerting(RULES, handlers=[print])
    for snapshot in (everything(), alerts_snapshot(alerting), own().snapshot()):
        assert promtool("check", "metrics", given=prometheus_text(snapshot)) == ""
    collector = MetricsCollector()
    collector.collect_now()
    assert (
        promtool("check", "metrics", given=prometheus_text(performance_snapshot(collector.get_metrics())))
        == ""
    )
    alerting.close()


def test_no_two_fields_are_exported_as_one_series():
    keys = [(gauge.name, gauge.labels) for gauge in GAUGES]
    assert len(set(keys)) == len(keys)
    assert len({family_name(gauge.name, gauge.unit) for gauge in GAUGES}) == len(
        {gauge.name for gauge in GAUGES}
    )


def test_every_field_of_the_metrics_is_exported():
    def paths(struct, prefix=""):
        for field in struct.__struct_fields__:
            value = getattr(struct, field)
            if hasattr(value, "__struct_fields__"):
                yield from paths(value, f"{prefix}{field}.")
            elif field not in ("timestamp", "custom"):
                yield prefix + field

    known = {gauge.path for gauge in GAUGES}
    derived = {"system.memory.available", "system.container.memory_percent"}  # of others that are there
    assert {*paths(PerformanceMetrics(timestamp=0.0))} - derived == known


def test_alerts_are_exported_as_they_fire():
    alerting = PerformanceAlerting([BUSY, *RULES[2:3]])
    for _ in range(3):
        alerting.check_alerts({"system.memory.percent": 95})
    assert dict(alerts_snapshot(alerting)["perfcore.alert.firing"].samples) == {
        ("busy", "warning"): 0,
        ("full", "warning"): 1,
    }


def test_a_prometheus_reads_native_histograms_bucket_by_bucket(tmp_path):
    registry = own()
    latency = Histogram("latency", "Latency.", unit="s", labels=["path"], registry=registry)
    for n in range(1, 1001):
        latency.labels("/").observe(n / 1000)
    latency.labels("/none")
    endpoint = Endpoint(lambda: prometheus_protobuf(registry.snapshot()), PROTOBUF_CONTENT_TYPE)
    try:
        with scraping(tmp_path, endpoint.port) as query:
            assert query("http_requests_total") == [1.0]
            assert query("queue_length") == [2.0]
            assert query('histogram_count(latency_seconds{path="/"})') == [1000.0]
            assert query('histogram_sum(latency_seconds{path="/"})') == pytest.approx([500.5])
            assert query('histogram_count(latency_seconds{path="/none"})') == [0.0]
            for q in (0.1, 0.5, 0.95, 0.99):
                (theirs,) = query(f'histogram_quantile({q}, latency_seconds{{path="/"}})')
                assert theirs == pytest.approx(q, rel=0.022), "not further away than the width of a bucket"
                assert theirs == pytest.approx(latency.labels("/").quantile(q), rel=0.022)
    finally:
        endpoint.close()
    assert "application/vnd.google.protobuf" in endpoint.accepted[0]


# --- rules --------------------------------------------------------------------------------------------------


def test_a_rule_of_every_kind_is_accepted(tmp_path):
    file = tmp_path / "rules.yml"
    for options in ({}, {"job": "shop"}, {"relay": True}, {"relay": True, "job": 'a"b'}):
        file.write_text(prometheus_rules(RULES, **options))
        assert f"{len(RULES)} rules found" in promtool("check", "rules", file)
    file.write_text(prometheus_rules([]))
    promtool("check", "rules", file)


def play(tmp_path, rules, series, expected, **options):
    """Let promtool play ``series`` (one value each 15 s) against the rules' file."""
    (tmp_path / "rules.yml").write_text(prometheus_rules(rules, **options))
    checks = [
        {
            "eval_time": f"{at}s",
            "alertname": name,
            "exp_alerts": [{"exp_labels": {"severity": "warning", "instance": "a", "job": "shop"} | labels,
                            "exp_annotations": notes} for labels, notes in alerts],
        }
        for at, name, *alerts in expected
    ]  # fmt: skip
    played = [
        {"series": f'{name}{{instance="a",job="shop"{more}}}', "values": values}
        for (name, more), values in series.items()
    ]
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": played, "alert_rule_test": checks}],
    }
    (tmp_path / "test.json").write_text(json.dumps(document))
    promtool("test", "rules", tmp_path / "test.json")


def test_a_threshold_waits_fires_holds_on_to_its_clear_threshold_and_lasts(tmp_path):
    def firing(percent):
        return (
            {"team": "shop"},
            {
                "summary": f"busy: system.cpu.usage is {percent}% {{now}}",
                "perfcore": "cooldown 300s; actions trigger_gc",
            },
        )

    # 0..60 s at 0.95, 75..120 s at 0.8, then 0.5
    series = {("system_cpu_utilization_ratio", ""): "0.95x4 0.8x3 0.5x20"}
    play(
        tmp_path,
        [BUSY],
        series,
        [
            (45, "busy"),
            (60, "busy", firing(95)),
            (120, "busy", firing(80)),  # below 0.9, and above 0.75: it goes on
            (150, "busy", firing(80)),  # keep_firing_for
            (180, "busy"),
        ],
    )
    # the same 0.8 without having fired is no alert
    play(tmp_path, [BUSY], {("system_cpu_utilization_ratio", ""): "0.8x40"}, [(300, "busy")])


def note(summary):
    return {}, {"summary": summary}


def test_samples_in_a_row_no_data_and_inhibition(tmp_path):
    rules = [rule for rule in RULES if rule.name in ("busy", "full", "starved", "orders")]
    series = {
        ("system_cpu_utilization_ratio", ""): "0.95x4 0.5x40",
        ("system_memory_utilization_ratio", ""): "0.9x40",
        ("custom_shop_open", ""): "150x40",
    }
    full = note("full: system.memory.percent is 90%")
    orders = note("orders: custom.shop.open is 150")
    play(
        tmp_path,
        rules,
        series,
        [(15, "full"), (30, "full", full), (30, "orders", orders), (75, "orders"), (300, "orders", orders)],
    )
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [],
                "alert_rule_test": [
                    {
                        "eval_time": "30s",
                        "alertname": "starved",
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": "warning"},
                                "exp_annotations": {
                                    "summary": "starved: application.caching.hit_rate is 100%"
                                },
                            }
                        ],
                    }
                ],
            }
        ],
    }
    (tmp_path / "absent.json").write_text(json.dumps(document))
    promtool("test", "rules", tmp_path / "absent.json")


def test_what_is_judged_in_the_process_is_passed_on_and_composed(tmp_path):
    rules = [rule for rule in RULES if rule.name in ("leak", "full", "any", 'odd "one"')]
    series = {
        ("perfcore_alert_firing", ',rule="leak"'): "0x4 1x8 0x30",
        ("perfcore_alert_firing", ',rule="odd \\"one\\""'): "0x4 1x8 0x30",
        ("system_memory_utilization_ratio", ""): "0.1x50",
    }
    leak = ({"rule": "leak"}, {"summary": "leak: system.process.rss is 1"})
    odd = ({"rule": 'odd "one"'}, {"summary": 'odd "one": system.network.inbound is 1'})
    play(
        tmp_path,
        rules,
        series,
        [
            (45, "leak"),
            (90, "leak", leak),
            (90, 'odd "one"', odd),
            (90, "any", note("any")),
            (300, "leak"),
            (300, "any"),
        ],
    )


def test_a_composition_of_all_needs_all(tmp_path):
    rules = [rule for rule in RULES if rule.name in ("both", "busy", "full")]
    series = {
        ("system_cpu_utilization_ratio", ""): "0.95x40",
        ("system_memory_utilization_ratio", ""): "0.1x10 0.9x30",
    }
    both = ({"severity": "critical"}, {"summary": "both"})
    play(tmp_path, rules, series, [(120, "both"), (300, "both", both)])


def test_absence_is_of_the_metric_or_with_a_job_of_an_instance(tmp_path):
    silent = [rule for rule in RULES if rule.name == "silent"]
    name = "perfcore_parse_requests_per_second"
    play(tmp_path, silent, {(name, ""): "1x40"}, [(300, "silent")])
    gone = {("up", ""): "1x80", (name, ""): "1x4 _x2 stale _x60"}
    said = note("silent: application.parsing.requests_per_second is 1")
    play(tmp_path, silent, gone, [(60, "silent"), (600, "silent", said)], job="shop")


def test_a_metric_that_nobody_exports_is_refused_by_name():
    rule = ThresholdRule(name="r", metric="no.such.metric", threshold=1)
    with pytest.raises(ConfigError, match=r"no\.such\.metric"):
        prometheus_rules([rule])
    rule = ThresholdRule(name="r", metric="queue.length", threshold=1)
    assert '"queue_length > 1"' in prometheus_rules([rule], snapshot=own().snapshot())
    rule = ThresholdRule(name="r", metric="http.duration", threshold=1)
    with pytest.raises(ConfigError, match=r"not exported as a number"):
        prometheus_rules([rule], snapshot=own().snapshot())


# --- the dashboard ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def board():
    return json.loads(json.dumps(grafana_dashboard(own().snapshot(), rules=RULES[1:4], title="Shop")))


def panels(board, *, rows=False):
    return [panel for panel in board["panels"] if (panel["type"] == "row") == rows]


def test_grafanas_own_models_know_every_field(board):
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))

    def same(ours, theirs, path="$"):
        if isinstance(ours, dict):
            for key, value in ours.items():
                assert key in theirs, f"Grafana does not know {path}.{key}"
                same(value, theirs[key], f"{path}.{key}")
        elif isinstance(ours, list):
            assert len(ours) == len(theirs), path
            for n, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                same(one, other, f"{path}[{n}]")
        else:
            assert ours == theirs, path

    same(board, again)


def test_panels_have_numbers_of_their_own_and_do_not_overlap(board):
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] >= 0 and at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        taken |= cells
    for panel in panels(board):
        refs = [target["refId"] for target in panel["targets"]]
        assert refs and len(set(refs)) == len(refs)


def queries(board):
    return [target["expr"] for panel in panels(board) for target in panel["targets"]]


def test_every_query_is_one_and_asks_for_something_that_is_exported(board, tmp_path):
    records = [
        {"record": f"r{n}", "expr": query.replace("$__rate_interval", "5m")}
        for n, query in enumerate(queries(board))
    ]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "q", "rules": records}]}))
    assert f"{len(records)} rules found" in promtool("check", "rules", tmp_path / "queries.yml")
    alerting = PerformanceAlerting(RULES)
    text = b"".join(
        map(prometheus_text, (everything(), own().snapshot(), alerts_snapshot(alerting)))
    ).decode()
    exported = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line[0] != "#"}
    asked = {name for query in queries(board) for name in re.findall(r"\b(\w+)\{", query)}
    assert asked <= exported
    left = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported - asked}
    assert left <= {"custom_shop_open", "perfcore_alert_jobs_total"} | {
        name.removesuffix("_bucket") for name in asked if name.endswith("_bucket")
    }
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert {name for query in queries(board) for name in re.findall(r"\$(?!__)(\w+)", query)} <= variables
    for variable in board["templating"]["list"][1:]:
        (name,) = re.findall(r"label_values\((\w+)", variable["query"])
        assert name in exported


def test_thresholds_of_rules_are_lines_and_units_are_grafanas(board):
    found = {panel["title"]: panel["fieldConfig"]["defaults"] for panel in panels(board)}
    cpu = found["system.cpu.utilization"]
    assert cpu["unit"] == "percentunit" and cpu["custom"]["thresholdsStyle"] == {"mode": "line"}
    assert [step["value"] for step in cpu["thresholds"]["steps"]] == [None, 0.9]
    assert found["system.memory.usage"]["unit"] == "bytes"
    assert found["sent"]["unit"] == "Bps" and found["http.requests"]["unit"] == "reqps"
    assert found["process.thread.count"]["custom"]["thresholdsStyle"] == {"mode": "off"}


def test_the_same_title_is_the_same_dashboard():
    assert grafana_dashboard(title="a")["uid"] == grafana_dashboard(title="a")["uid"]
    assert grafana_dashboard(title="a")["uid"] != grafana_dashboard(title="b")["uid"]


# --- the commands -------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["perfcore", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


def test_the_commands_print_both(run, tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rules]]\nname = "long"\ntype = "threshold"\nmetric = "queue.length"\nthreshold = 10\nfor = 1.5\n'
    )
    snapshot = tmp_path / "snapshot.json"
    snapshot.write_bytes(json_snapshot(own().snapshot()))
    code, out, _ = run("alerts", "rules", rules, "--snapshot", snapshot, "--job", "shop", "--interval", "5")
    assert code == 0 and 'queue_length{job=\\"shop\\"} > 10' in out and "for: 1500ms" in out
    (tmp_path / "rules.yml").write_text(out)
    promtool("check", "rules", tmp_path / "rules.yml")
    code, out, _ = run("dashboard", snapshot, "--rules", rules, "--title", "Shop")
    board = json.loads(out)
    assert code == 0 and board["title"] == "Shop"
    assert {"queue.length", "http.duration", "http.requests"} <= {panel["title"] for panel in board["panels"]}
    code, _, err = run("alerts", "rules", rules)
    assert code == 1 and "queue.length" in err
    snapshot.write_text("{}")
    code, _, err = run("dashboard", snapshot)
    assert code == 1 and "perfcore.metrics/1" in err
