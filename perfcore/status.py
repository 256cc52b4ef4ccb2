"""What a manager says about itself: its state, its parts, and the versions of all that is underneath."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from perfcore._version import __version__

__all__ = ["ManagerStatus", "PartStatus", "State", "versions"]

State = Literal["new", "started", "closed"]


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part of a manager; ``idle`` is built on first use, ``unavailable`` not by this version."""

    state: Literal["running", "idle", "off", "failed", "unavailable"]
    detail: str = ""
    stats: object = None


@dataclass(frozen=True, slots=True)
class ManagerStatus:
    """What a manager runs: its own state, its parts, the tiers of its cache that serve, and all versions."""

    state: State
    parts: dict[str, PartStatus]
    tiers: tuple[str, ...]
    versions: dict[str, str]
    build: Mapping[str, object]


@cache
def versions() -> dict[str, str]:
    """Return the versions of perfcore, of Python and of what perfcore is built on."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {"perfcore": __version__, "python": platform.python_version()}
    for package in ("lmdb", "msgspec", "numpy", "psutil", "tree-sitter", "zstandard"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
