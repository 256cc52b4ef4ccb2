"""The kinds of values that settings have: their bounds, and the function that reads what people write."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from msgspec import Meta

from perfcore.units import parse_duration, parse_size

__all__ = [
    "Action",
    "Compression",
    "Count",
    "Directory",
    "Invalidation",
    "Level",
    "Nodes",
    "Patience",
    "Percent",
    "Ratio",
    "Seconds",
    "Size",
    "Strategy",
]

# a password has no business in what status(), explain() and repr() show
_NODE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


def _read_directory(value: str | os.PathLike[str]) -> str | bytes:
    if "\0" in str(value):
        raise ValueError("Expected a path without NUL characters")
    return os.path.expanduser(value)  # noqa: PTH111 - pathlib's raises for a user without a home


def _read_compression(value: object) -> object:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _read_invalidation(value: object) -> object:
    return "dependency" if value == "dependency-based" else value


def _read_nodes(value: object) -> object:
    nodes = value if isinstance(value, list | tuple) else ()
    if not all(_NODE.fullmatch(node) for node in nodes if isinstance(node, str)):
        raise ValueError("Expected each node as `host` or `host:port`, without scheme or password")
    return value


# A type carries the function that reads what people write for it ("read") and what that accepts.
Size = Annotated[int, Meta(ge=1, extra={"read": parse_size, "accepts": "int | str"})]
Seconds = Annotated[float, Meta(gt=0, extra={"read": parse_duration, "accepts": "float"})]
Patience = Annotated[float, Meta(ge=0, extra={"read": parse_duration, "accepts": "float"})]
Directory = Annotated[str, Meta(min_length=1, extra={"read": _read_directory, "accepts": "str"})]
Compression = Annotated[Literal["off", "on", "adaptive"], Meta(extra={"read": _read_compression})]
Invalidation = Annotated[Literal["ttl", "dependency", "manual"], Meta(extra={"read": _read_invalidation})]
Percent = Annotated[float, Meta(ge=0, le=100)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Nodes = Annotated[tuple[str, ...], Meta(extra={"read": _read_nodes})]

Level = Literal["conservative", "balanced", "aggressive"]
Strategy = Literal["lru", "lfu", "random", "adaptive"]
Action = Literal["scale_workers", "trigger_gc", "enable_fast_path"]
