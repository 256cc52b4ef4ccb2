"""``perfcore alerts``: rules against a recorded series, and as a rule file of Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from perfcore.cli._extra import typer
from perfcore.cli.completing import documents
from perfcore.monitor.rehearsal import disagreements, load_expected, read_series, rehearse
from perfcore.monitor.rules import load_rules

__all__ = ["COMMANDS", "rules", "test"]


def test(
    rules: Annotated[
        Path,
        typer.Argument(
            metavar="RULES",
            help="A TOML or JSON file of rules, and of what to expect.",
            autocompletion=documents(".toml", ".json"),
        ),
    ],
    series: Annotated[
        Path,
        typer.Argument(
            metavar="SERIES",
            help="A CSV file: a time, then a column for each metric.",
            autocompletion=documents(".csv"),
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print what RULES tell of SERIES; exits with 1 if that is not what RULES expect.

    What is expected stands in the same file, as entries under ``expect`` with ``at`` (seconds after the
    series begins), ``rule``, ``state`` and ``within``; without any, nothing is compared.
    """
    told = rehearse(load_rules(rules), read_series(series))
    expected = load_expected(rules)
    wrong = [] if expected is None else disagreements(told, expected)
    if as_json:
        found = {"version": 1, "told": [entry._asdict() for entry in told], "disagreements": wrong}
        print(msgspec.json.encode(found).decode())
    else:
        for entry in told:
            print(f"{entry.at:>10g} s  {entry.rule} {entry.state}: {entry.message}")
        for line in wrong:
            print(line)
        if expected is not None:
            print(f"{len(expected)} expected, {len(told)} told, {len(wrong)} disagreements")
    if wrong:
        raise typer.Exit(1)


def rules(
    rules: Annotated[
        Path,
        typer.Argument(
            metavar="RULES",
            help="A TOML or JSON file of rules.",
            autocompletion=documents(".toml", ".json"),
        ),
    ],
    job: Annotated[str | None, typer.Option(help="Confine them to this job of Prometheus.")] = None,
    interval: Annotated[float, typer.Option(help="Seconds between evaluations.")] = 15.0,
    relay: Annotated[
        bool, typer.Option("--relay", help="Pass on what the process says, for all rules.")
    ] = False,
    snapshot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A snapshot.json, for rules about an application's own metrics.",
            autocompletion=documents(".json"),
        ),
    ] = None,
) -> None:
    """Print RULES as a rule file of Prometheus."""
    from perfcore.integrations.rule_files import prometheus_rules
    from perfcore.metrics.jsonform import read_json

    known = None if snapshot is None else read_json(snapshot.read_bytes())
    found = prometheus_rules(load_rules(rules), snapshot=known, job=job, interval=interval, relay=relay)
    print(found, end="")


COMMANDS = (test, rules)
