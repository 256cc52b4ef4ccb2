"""``perfcore dashboard``: what is exported, as a dashboard for Grafana."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from perfcore.cli._extra import typer
from perfcore.cli.completing import documents
from perfcore.monitor.rules import load_rules

__all__ = ["dashboard"]


def dashboard(
    snapshot: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SNAPSHOT...",
            help="A snapshot.json of each process whose own metrics to show.",
            autocompletion=documents(".json"),
        ),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A TOML or JSON file of rules; thresholds are drawn.",
            autocompletion=documents(".toml", ".json"),
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="What the dashboard is called.")] = "perfcore",
) -> None:
    """Print a Grafana dashboard, to be imported as JSON, of what perfcore measures and of SNAPSHOT."""
    from perfcore.integrations.grafana import grafana_dashboard
    from perfcore.metrics.jsonform import read_json

    shown = [read_json(path.read_bytes()) for path in snapshot or []]
    held = [] if rules is None else load_rules(rules)
    board = grafana_dashboard(*shown, rules=held, title=title)
    print(msgspec.json.format(msgspec.json.encode(board), indent=2).decode())
