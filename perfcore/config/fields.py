"""The settings of the schema, one by one: where each stands, what it accepts, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import msgspec

from perfcore.config.schema import PerformanceConfig, Section
from perfcore.errors import ConfigError

__all__ = ["SETTINGS", "Field", "from_msgspec", "refusal"]


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: its dotted path, its type, its default, and the reader that the type carries, if any."""

    path: str
    type: Any
    default: object
    reader: Callable[[Any], object] | None
    accepts: str
    choices: tuple[str, ...]

    def read(self, value: object, spelling: str) -> object:
        """Return ``value`` in canonical form; a :exc:`ConfigError` names ``spelling``, where it stood."""
        if self.reader is not None and value is not None:
            try:
                value = self.reader(value)
            except TypeError:
                expectation = f"Expected `{self.accepts}`, got `{type(value).__name__}`"
                raise refusal(expectation, spelling) from None
            except ValueError as error:
                raise refusal(str(error), spelling) from None
        if self.choices and isinstance(value, str) and value not in self.choices:
            raise refusal(f"Expected `{' | '.join(self.choices)}`, got {value!r:.40}", spelling)
        try:
            return msgspec.convert(value, self.type)
        except msgspec.ValidationError as error:
            raise from_msgspec(error, spelling) from None


def refusal(message: str, path: str) -> ConfigError:
    """Return the error that ``message`` is true of the setting at ``path``, in msgspec's style.

    >>> refusal("Expected `dict`, got `int`", "caching.layers")
    ConfigError('Expected `dict`, got `int` - at `$.caching.layers`')
    """
    return ConfigError(f"{message} - at `${'.' if path else ''}{path}`")


def from_msgspec(error: msgspec.ValidationError, path: str) -> ConfigError:
    """Return msgspec's error about what stands at ``path``, in Python's names where it uses JSON's."""
    message, _, inner = str(error).partition(" - at `$")
    message = re.sub(r"`[a-z |]+`", lambda quoted: re.sub(r"\w+", _python_name, quoted[0]), message)
    return refusal(message, f"{path}{inner.rstrip('`')}".removeprefix("."))


def _python_name(word: re.Match[str]) -> str:
    return {"array": "list", "object": "dict", "null": "None"}.get(word[0], word[0])


def _fields(section: Section, prefix: str = "") -> Iterator[Field]:
    hints = get_type_hints(type(section), include_extras=True)
    for name in section.__struct_fields__:
        default = getattr(section, name)
        if isinstance(default, Section):
            yield from _fields(default, f"{prefix}{name}.")
        else:
            yield _field(f"{prefix}{name}", hints[name], default)


def _field(path: str, hint: Any, default: object) -> Field:
    extra = next((part.extra for part in _parts(hint) if isinstance(part, msgspec.Meta) and part.extra), {})
    accepts = extra.get("accepts", "") + (" | None" if default is None else "")
    choices = tuple(part for part in _parts(hint) if isinstance(part, str))
    return Field(path, hint, default, extra.get("read"), accepts, choices)


def _parts(hint: Any) -> Iterator[Any]:
    """Yield what a type is made of, at any depth: the members of unions, the values of literals, metadata."""
    yield hint
    for part in get_args(hint):
        yield from _parts(part)


#: every setting by its dotted path
SETTINGS = {item.path: item for item in _fields(PerformanceConfig())}
