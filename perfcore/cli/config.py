"""``perfcore config``: what a configuration comes to, and what one may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from perfcore.cli._extra import typer
from perfcore.config.loading import load
from perfcore.config.reference import json_schema, markdown_levels, markdown_settings

__all__ = ["COMMANDS", "reference", "schema", "show"]


def show(
    file: Annotated[Path | None, typer.Argument(help="A TOML or JSON file; none: the defaults.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is as it is by default.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print the settings of FILE and of the environment, and what decided each; exits with 1 if invalid."""
    settings = load(file).settings
    shown = {path: each for path, each in settings.items() if everything or each.origin != "default"}
    if as_json:
        print(msgspec.json.format(msgspec.json.encode({"version": 1, "settings": shown})).decode())
        return
    for path, setting in shown.items():
        over = f", over {', '.join(setting.overridden)}" if setting.overridden else ""
        print(f"{path} = {msgspec.json.encode(setting.value).decode()}  ({setting.origin}{over})")


def schema() -> None:
    """Print the JSON Schema of a configuration, for editors and deployment checks."""
    print(_schema_text(), end="")


def reference(
    write: Annotated[Path | None, typer.Option(help="The folder of documents to bring up to date.")] = None,
) -> None:
    """Print the tables of all settings and levels, or write them into the documents."""
    tables = {"settings": markdown_settings(), "levels": markdown_levels()}
    if write is None:
        print("\n\n".join(tables.values()))
        return
    page = write / "configuration.md"
    text = page.read_text()
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{table}\n{end}{rest.partition(end)[2]}"
    page.write_text(text)
    (write / "perfcore.schema.json").write_text(_schema_text())


def _schema_text() -> str:
    return msgspec.json.format(msgspec.json.encode(json_schema())).decode() + "\n"


COMMANDS = (show, schema, reference)
