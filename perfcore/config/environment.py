"""Settings from the environment: ``PERFCORE_CACHING__MAX_MEMORY=64MB`` is ``caching.max_memory``.

A double underscore stands for the dot, since names of settings have single ones. Variables of other purposes
begin with ``PERFCORE_``, too, so one without a double underscore is a setting only where it names one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_origin

import msgspec

from perfcore.config.fields import SETTINGS, Field
from perfcore.config.spellings import KNOWN, LAYERS, LEVELS, NAMES, Statements, read
from perfcore.errors import ConfigError

__all__ = ["read_environment"]

_PREFIX = "PERFCORE_"
_WORDS = {"on": True, "yes": True, "1": True, "off": False, "no": False, "0": False}


def read_environment(environment: Mapping[str, str]) -> Iterator[tuple[Statements, str]]:
    """Yield what each variable says, and the variable, in the order of their names.

    Raises :exc:`ConfigError`, which names the variable.

    >>> said, variable = next(read_environment({"PERFCORE_CACHING__MAX_MEMORY": "64MB"}))
    >>> said.settings["caching.layers.memory.max_size"][0].value
    67108864
    """
    for variable in sorted(environment):
        if not variable.startswith(_PREFIX):
            continue
        path = variable.removeprefix(_PREFIX).lower().replace("__", ".")
        if path in KNOWN or "." in path:
            try:
                yield read(_nested(path, _value(path, environment[variable]))), variable
            except ConfigError as error:
                raise ConfigError(f"{variable}: {error}") from None


def _nested(path: str, value: object) -> dict[str, object]:
    """Return the mapping that has ``value`` at the dotted ``path``, and nothing else."""
    first, _, rest = path.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _value(path: str, text: str) -> object:
    """Return what ``text`` means for the setting at ``path``: itself where that takes text, else as JSON."""
    if path in NAMES:
        raise ConfigError(f"`{path}` is a section and has no value of its own")
    for level, tier in LEVELS.items():
        path = path.replace(f"{LAYERS}.{level}.", f"{LAYERS}.{tier}.")
    if path not in KNOWN:
        return text  # unknown, as reading it will say
    setting = SETTINGS[KNOWN[path][0]]
    if text == "null":
        return None
    if get_origin(_bare(setting)) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if _bare(setting) is bool and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text if "str" in setting.accepts.split(" | ") or isinstance(value, list | dict) else value


def _bare(setting: Field) -> object:
    return getattr(setting.type, "__origin__", setting.type)
