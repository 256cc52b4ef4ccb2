"""From the settings of a Django cache to a manager that all its threads and aliases share."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

from perfcore.cache.codec import Codec
from perfcore.cache.exclusive import Exclusive
from perfcore.cache.manager import CacheManager
from perfcore.errors import ConfigError
from perfcore.integrations.django.values import Values

__all__ = ["Opened", "opened"]

_SERVERS = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")
#: Of OPTIONS: those that are ours, and those of Django's own that BaseCache reads.
_OURS = {"MEMORY", "DISK", "REMOTE", "NAMESPACE", "PICKLE", "SECRET"}
_DJANGOS = {"MAX_ENTRIES", "CULL_FREQUENCY"}


class Opened(NamedTuple):
    """A manager, the form of its values, turns over its keys, and whether it is memory and nothing else."""

    manager: CacheManager
    values: Values
    turns: Exclusive
    local: bool


_opened: dict[tuple[str, str], Opened] = {}
_opening = RLock()


def opened(location: Any, options: Mapping[str, Any]) -> Opened:
    """Return the cache of these settings: caches of the same LOCATION and OPTIONS are one.

    Raises :exc:`ConfigError` for options that make no sense.
    """
    if unknown := options.keys() - _OURS - _DJANGOS:
        raise ConfigError(f"OPTIONS: unknown: {', '.join(sorted(map(str, unknown)))}")
    name = repr(location), repr(sorted(options.items()))
    with _opening:
        if name not in _opened:
            _opened[name] = _open(location, options)
        return _opened[name]


def _open(location: Any, options: Mapping[str, Any]) -> Opened:
    disk, remote = _places(location, options)
    local = disk is None and remote is None
    # without a tier that others write to, a pickle is never one of theirs
    pickle, secret = bool(options.get("PICKLE", local)), options.get("SECRET")
    outer = {"codec": Codec(secret=secret.encode() if isinstance(secret, str) else secret)}
    manager = CacheManager(
        _memory(options),
        None if disk is None else {**disk, **outer},
        None if remote is None else {**remote, **outer},
        namespace=options.get("NAMESPACE", ""),
    )
    return Opened(manager, Values(Codec(pickle=pickle)), Exclusive(manager), local)


def _places(location: Any, options: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The options of the disk tier and of the remote one, of which LOCATION may name the place."""
    disk, remote = _tier("DISK", options), _tier("REMOTE", options)
    if isinstance(location, Path) or (isinstance(location, str) and Path(location).is_absolute()):
        disk = {**(disk or {}), "directory": location}
    elif isinstance(location, str) and location.startswith(_SERVERS):
        remote = {**(remote or {}), "url": location}
    elif isinstance(location, Sequence) and not isinstance(location, str):
        remote = {**(remote or {}), "nodes": list(location)}
    elif not isinstance(location, str):
        raise ConfigError(f"LOCATION: expected a name, a path or servers, got {type(location).__name__}")
    return disk, remote


def _tier(name: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
    given = options.get(name)
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"OPTIONS: {name}: expected a dict, got {type(given).__name__}")
    return None if given is None else dict(given)


def _memory(options: Mapping[str, Any]) -> Any:
    memory = _tier("MEMORY", options) or {}
    if "MAX_ENTRIES" in options:
        memory.setdefault("maxsize", int(options["MAX_ENTRIES"]))
    return memory


def _close() -> None:
    while _opened:
        _opened.popitem()[1].manager.close()


atexit.register(_close)  # what memory held is there again when the server is
