"""What a manager is built of: each tier from options of its class or of the configuration, an instance, or
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfcore._native.cache import Cache
from perfcore.cache.disk.cache import DiskCache
from perfcore.cache.tiers import DiskTier, Tier
from perfcore.errors import ConfigError
from perfcore.units import parse_duration

__all__ = ["open_below", "open_memory"]

#: The configuration's names of options, and the classes' own.
_MEMORY = {"max_size": "maxbytes", "size": "maxbytes", "strategy": "policy"}
_DISK = {"directory": "path", "max_size": "maxbytes", "size": "maxbytes"}
_DEFAULT_BYTES = "256MB"
#: How often a manager looks whether it has missed news of other processes, in seconds.
_INTERVAL = 1.0


def open_memory(memory: Any) -> tuple[Cache[Any, Any], float | None]:
    """Return the memory tier and its ttl, where that is known; None and False are one that stores nothing."""
    if isinstance(memory, Cache):
        return memory, None
    if memory is None or memory is False:
        return Cache(0), None
    options = _options("memory", memory, _MEMORY)
    if not {"maxsize", "maxweight", "maxbytes"} & options.keys():
        options["maxbytes"] = _DEFAULT_BYTES
    if options.pop("enabled", True) is False:
        return Cache(0), None
    try:
        ttl = options.get("ttl")
        return Cache(**options), None if ttl is None else parse_duration(ttl)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"memory: {error}") from error


def open_below(disk: Any, remote: Any) -> list[Tier]:
    """Return the tiers below memory, nearest first."""
    tiers: list[Tier] = []
    if disk is not None and disk is not False:
        tiers.append(_open_disk(disk))
    if remote is not None and remote is not False:
        tiers.append(remote if hasattr(remote, "find_many") else _open_remote(remote))
    return tiers


def _open_disk(disk: Any) -> DiskTier:
    if isinstance(disk, DiskCache):
        return DiskTier(disk, owned=False)
    options = _options("disk", disk, _DISK)
    try:
        return DiskTier(DiskCache(**options), owned=True)
    except TypeError as error:
        raise ConfigError(f"disk: {error}") from error


def _open_remote(remote: Any) -> Tier:
    from perfcore.cache.remote import RemoteCache  # loads the client library
    from perfcore.cache.remote.tier import RemoteTier

    if isinstance(remote, RemoteCache):
        return RemoteTier(remote, owned=False, interval=_INTERVAL)
    options = _options("remote", remote, {})
    if options.pop("enabled", True) is False:
        raise ConfigError("remote: leave it out to have none")
    interval = options.pop("backplane", _INTERVAL)
    interval = _INTERVAL if interval is True else parse_duration(interval or 0)
    lease = parse_duration(options.pop("lease", None) or 0)
    behind = options.pop("behind", True)
    if type(behind) is not bool:
        raise ConfigError(f"remote: behind: expected a bool, got {behind!r}")
    try:
        return RemoteTier(RemoteCache(**options), owned=True, interval=interval, lease=lease, behind=behind)
    except TypeError as error:
        raise ConfigError(f"remote: {error}") from error


def _options(tier: str, given: Any, names: dict[str, str]) -> dict[str, Any]:
    if given is True:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{tier}: expected options or an instance, got {type(given).__name__}")
    options: dict[str, Any] = {}
    for name, value in given.items():
        own = names.get(str(name), str(name))
        if own in options:
            raise ConfigError(f"{tier}: {name} and another option say the same")
        options[own] = value
    return options
