"""The settings as documents: a JSON Schema of all that a configuration may say, and a table for people."""

from __future__ import annotations

from typing import Any

import msgspec

from perfcore.config.fields import SETTINGS, Field
from perfcore.config.levels import LEVELS as OPTIMIZATION_LEVELS
from perfcore.config.spellings import KNOWN, LEVELS, MENTIONS, TIERS

__all__ = ["json_schema", "markdown_levels", "markdown_settings"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a configuration, in every spelling that is accepted.

    It knows names, types and ranges; which values contradict each other, only loading says.

    >>> json_schema()["properties"]["optimization_level"]["enum"]
    ['aggressive', 'balanced', 'conservative']
    """
    root = _section()
    for spelling, (setting, _) in sorted(KNOWN.items()):
        _put(root, spelling, _value_schema(SETTINGS[setting], setting if spelling != setting else ""))
    layers = root["properties"]["caching"]["properties"]["layers"]["properties"]
    for level in LEVELS:
        layers[level] = _section(type={"enum": list(TIERS)})
        for tier in TIERS:
            layers[level]["properties"] |= layers[tier]["properties"]
    return {"$schema": _DIALECT, "title": "perfcore configuration", **root}


def _section(**properties: Any) -> dict[str, Any]:
    return {"type": ["object", "null"], "additionalProperties": False, "properties": properties}


def _put(root: dict[str, Any], path: str, schema: dict[str, Any]) -> None:
    *sections, name = path.split(".")
    for section in sections:
        root = root["properties"].setdefault(section, _section())
    root["properties"][name] = schema


def _value_schema(setting: Field, meant: str) -> dict[str, Any]:
    schema = msgspec.json.schema(setting.type)
    accepts = setting.accepts.split(" | ")
    if "str" in accepts and "int" in accepts:  # a size: bytes, or a string with a unit
        schema = {"anyOf": [{"type": "string"}, schema]}
    elif setting.reader is not None and setting.choices:  # what else the reader makes one of the choices
        others = {"caching.layers.disk.compression": [True, False]}
        more = others.get(setting.path, ["dependency-based"])
        schema = {"enum": [*setting.choices, *more]}
    return schema | ({"description": f"Another spelling of {meant}."} if meant else {})


def markdown_settings() -> str:
    """Return a table of all settings: name, what it takes, default, other spellings, environment variable."""
    rows = ["| setting | takes | default | also spelled |", "| --- | --- | --- | --- |"]
    for path, setting in SETTINGS.items():
        others = [spelling for spelling, (meant, _) in KNOWN.items() if meant == path and spelling != path]
        switched = [section for section, switch in MENTIONS.items() if switch == path]
        default = "on when mentioned" if switched and setting.default is False else _shown(setting.default)
        spelled = ", ".join(f"`{other}`" for other in sorted(others))
        rows.append(f"| `{path}` | {_takes(setting)} | {default} | {spelled} |")
    return "\n".join(rows)


def markdown_levels() -> str:
    """Return a table of what each optimization level sets where nothing more specific is said."""
    paths = sorted({path for settings in OPTIMIZATION_LEVELS.values() for path in settings})
    rows = [
        f"| setting | {' | '.join(OPTIMIZATION_LEVELS)} |",
        "| --- |" + " --- |" * len(OPTIMIZATION_LEVELS),
    ]
    for path in paths:
        cells = [
            _shown(settings.get(path, SETTINGS[path].default)) for settings in OPTIMIZATION_LEVELS.values()
        ]
        rows.append(f"| `{path}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def _takes(setting: Field) -> str:
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in sorted(setting.choices))
    schema = msgspec.json.schema(setting.type)
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    kind = str(options[0].get("type", "value"))
    if "int | str" in setting.accepts:
        return "bytes, or a size such as `64MB`"
    bounds = {"minimum": " from {}", "exclusiveMinimum": " above {}", "maximum": " to {}"}
    within = [text.format(f"{options[0][bound]:g}") for bound, text in bounds.items() if bound in options[0]]
    return {"boolean": "true, false", "array": "list"}.get(kind, kind) + "".join(within)


def _shown(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    for unit, size in {"GB": 1 << 30, "MB": 1 << 20, "KB": 1 << 10}.items():
        if isinstance(value, int) and value >= size and value % size == 0:
            return f"`{value // size}{unit}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
