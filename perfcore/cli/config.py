"""``perfcore config``: what a configuration comes to, and what one may say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from perfcore.cli._extra import typer
from perfcore.cli.completing import documents
from perfcore.cli.completing import settings as complete_settings
from perfcore.config.loading import load
from perfcore.config.reference import json_schema, markdown_levels, markdown_settings

__all__ = ["COMMANDS", "reference", "schema", "show"]


def show(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A TOML or JSON file; none: the defaults.",
            autocompletion=documents(".toml", ".json"),
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is as it is by default.")] = False,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            "-k",
            metavar="NAME",
            help="This setting or section alone, also if it is as by default; may be repeated.",
            autocompletion=complete_settings,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print the settings of FILE and of the environment, and what decided each; exits with 1 if invalid."""
    settings = load(file).settings
    chosen = _chosen(settings, keys)
    shown = {
        path: settings[path] for path in chosen if everything or keys or settings[path].origin != "default"
    }
    if as_json:
        print(msgspec.json.format(msgspec.json.encode({"version": 1, "settings": shown})).decode())
        return
    for path, setting in shown.items():
        over = f", over {', '.join(setting.overridden)}" if setting.overridden else ""
        print(f"{path} = {msgspec.json.encode(setting.value).decode()}  ({setting.origin}{over})")


def _chosen(settings: Iterable[str], keys: Sequence[str] | None) -> list[str]:
    """Return the names of the settings that are ``keys`` or below them; without keys all."""
    if not keys:
        return list(settings)
    for key in keys:
        if not any(_within(path, key) for path in settings):
            raise typer.BadParameter(f"there is no setting {key!r}", param_hint="--key")
    return [path for path in settings if any(_within(path, key) for key in keys)]


def _within(path: str, key: str) -> bool:
    return f"{path}.".startswith(f"{key.rstrip('.')}.")


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
