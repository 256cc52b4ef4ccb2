"""``perfcore alerts test``: rules are unit-tested like code."""

import json
import sys

import pytest

from perfcore.cli import main

RULES = """
[[rules]]
name = "busy"
type = "threshold"
metric = "cpu"
threshold = 90
for = 20

[[rules]]
name = "silent"
type = "absence"
metric = "requests"
"""
SERIES = "time,cpu,requests\n1000,95,1\n1010,96,\n1020,97,2\n1030,50,3\n"
EXPECT = """
[[expect]]
at = 10
rule = "silent"
[[expect]]
at = 20
rule = "silent"
state = "resolved"
[[expect]]
at = 22
within = 2
rule = "busy"
[[expect]]
at = 30
rule = "busy"
state = "resolved"
"""


@pytest.fixture
def rehearsal(tmp_path, monkeypatch, capsys):
    def run(rules, series, *options):
        (tmp_path / "rules.toml").write_text(rules)
        (tmp_path / "series.csv").write_text(series)
        files = [str(tmp_path / "rules.toml"), str(tmp_path / "series.csv")]
        monkeypatch.setattr(sys, "argv", ["perfcore", "alerts", "test", *files, *options])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


def test_what_is_told_is_printed(rehearsal):
    code, out, _ = rehearsal(RULES, SERIES)
    assert code == 0
    assert [line.split(":")[0].split() for line in out.splitlines()] == [
        ["10", "s", "silent", "firing"],
        ["20", "s", "busy", "firing"],
        ["20", "s", "silent", "resolved"],
        ["30", "s", "busy", "resolved"],
    ]


def test_what_is_expected_passes(rehearsal):
    code, out, _ = rehearsal(RULES + EXPECT, SERIES)
    assert code == 0
    assert out.endswith("4 expected, 4 told, 0 disagreements\n")


def test_what_is_not_expected_and_what_is_missing_fail(rehearsal):
    wrong = RULES + EXPECT.replace("at = 10", "at = 11")
    code, out, _ = rehearsal(wrong, SERIES, "--json")
    assert code == 1
    assert json.loads(out)["disagreements"] == [
        "expected at 11 s, not told: silent firing",
        "told at 10 s, not expected: silent firing",
    ]
    code, out, _ = rehearsal(wrong, SERIES)
    assert code == 1 and "\ntold at 10 s, not expected: silent firing\n" in out


def test_rules_may_be_json(tmp_path, monkeypatch, capsys):
    rules = {"rules": [{"name": "busy", "type": "threshold", "metric": "cpu", "threshold": 90}]}
    for expected, code in (("busy", 0), ("other", 1)):
        (tmp_path / "rules.json").write_text(json.dumps(rules | {"expect": [{"at": 0, "rule": expected}]}))
        (tmp_path / "series.csv").write_text("time,cpu\n1000,95\n")
        files = [str(tmp_path / "rules.json"), str(tmp_path / "series.csv")]
        monkeypatch.setattr(sys, "argv", ["perfcore", "alerts", "test", *files])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code, capsys.readouterr()


def test_dates_are_times_too(rehearsal):
    series = "time,cpu,requests\n2026-01-01T00:00:00,95,1\n2026-01-01T00:00:20,95,1\n"
    assert rehearsal(RULES, series)[1].split()[:3] == ["20", "s", "busy"]


@pytest.mark.parametrize(
    ("rules", "series", "message"),
    [
        ("[[rules]]\nname = 1", SERIES, "rules.toml"),
        ("x = ", SERIES, "rules.toml"),
        (RULES, "", "first line"),
        (RULES, "time\n1\n", "first line"),
        (RULES, "time,cpu\n1,x\n", "line 2"),
        (RULES, "time,cpu\n1,2,3\n", "line 2"),
        (RULES, "time,cpu\n5,2\n4,2\n", "line 3"),
        (RULES + '[[expect]]\nrule = "busy"', SERIES, "at"),
    ],
)
def test_bad_input_is_named(rules, series, message, rehearsal):
    code, _, err = rehearsal(rules, series)
    assert code == 1
    assert message in err
