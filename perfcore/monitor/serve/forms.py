"""What was seen, in the forms that are read: for scrapers as families, for pages and scripts as JSON.

``/live.json`` is ``{"schema": "perfcore.live/1", ...}``: the last look (:mod:`.looks`), and the looks before
it as columns. ``/snapshot.json`` is ``perfcore.metrics/1`` (:mod:`perfcore.metrics.jsonform`), with that as
its field ``live``. Fields may be added under one number. Times are Unix seconds, ratios 0-1, sizes bytes.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

import msgspec

from perfcore._version import __version__
from perfcore.metrics.jsonform import json_snapshot
from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot, Value
from perfcore.monitor.exported import alerts_snapshot, performance_snapshot
from perfcore.monitor.history import wall_offset
from perfcore.monitor.serve.looks import CacheLook, Look, PoolLook
from perfcore.monitor.serve.sources import Sources
from perfcore.monitor.serve.watch import Watch

__all__ = ["LIVE_SCHEMA", "live_form", "snapshot_form", "snapshot_of"]

LIVE_SCHEMA = "perfcore.live/1"


def live_form(watch: Watch, since: int = 0) -> dict[str, Any]:
    """Return what the page shows, with the looks after the one of number ``since``."""
    look = watch.latest
    fields = {} if look is None else msgspec.structs.asdict(look)
    fields.pop("changes", None)  # which are among the decisions
    problems = watch.problems()
    return {
        "schema": LIVE_SCHEMA,
        "run": watch.run,
        "begun": round((watch.begun_ns + wall_offset()) / 1e9, 3),
        "age": round(watch.age, 3),
        "stale": watch.stale,
        "interval": watch.interval,
        "process": {"pid": os.getpid(), "python": platform.python_version(), "perfcore": __version__},
        **fields,
        "health": {"ok": not problems, "problems": problems},
        "decisions": watch.decisions(),
        "history": watch.history(since),
    }


def snapshot_form(sources: Sources, watch: Watch) -> bytes:
    """Return all families as JSON, with the live form beside them."""
    families = json_snapshot(snapshot_of(sources, watch))
    live = msgspec.json.encode(live_form(watch))
    return families[:-1] + b',"live":' + live + b"}"


def snapshot_of(sources: Sources, watch: Watch) -> RegistrySnapshot:
    """Return the registry's families, those of what is measured, and those of caches, pools and alerts.

    A registry that processes share says what all of them have counted; the rest is of this process.
    Where two have one name the registry's stands: a scraper refuses a family that comes twice.
    """
    registry = sources.registry().total()
    families: dict[str, FamilySnapshot] = {}
    if watch.latest is not None and not watch.stale:
        families |= {family.name: family for family in _families(watch.latest)}
    monitor = sources.monitor()
    if monitor is not None:
        families |= performance_snapshot(monitor.get_metrics()).families
    alerting = sources.alerts()
    if alerting is not None:
        families |= alerts_snapshot(alerting).families
    return RegistrySnapshot({**families, **registry.families}, registry.time_ns)


def _families(look: Look) -> list[FamilySnapshot]:
    caches = look.caches
    requests: dict[tuple[str, ...] | None, Value] = {}
    for cache in caches:
        if cache.hits is not None and cache.misses is not None:
            requests |= {(cache.name, "hit"): cache.hits, (cache.name, "miss"): cache.misses}
    switches = {(policy.cache,): policy.switches for policy in look.policies}
    arms = {(policy.cache, policy.policy, policy.arm): 1 for policy in look.policies}
    made = [
        _family(
            "counter", "perfcore.cache.requests", "Lookups by their result.", ("cache", "result"), requests
        ),
        _family(
            "counter",
            "perfcore.cache.evictions",
            "Made room for others.",
            ("cache",),
            _of(caches, "evictions"),
        ),
        _family("gauge", "perfcore.cache.entries", "Entries held.", ("cache",), _of(caches, "entries")),
        _family("gauge", "perfcore.cache.size", "Bytes held.", ("cache",), _of(caches, "bytes"), "By"),
        _family("gauge", "perfcore.cache.serving", "Whether a tier serves.", ("cache",), _serving(caches)),
        _family("gauge", "perfcore.cache.policy", "The arm that rules.", ("cache", "policy", "arm"), arms),
        _family("counter", "perfcore.cache.policy.switches", "Changes of arm.", ("cache",), switches),
        _family("gauge", "perfcore.health", "1: all that should run does.", (), {(): int(look.health.ok)}),
    ]
    return [family for family in [*made, *_pool_families(look.pools)] if family.samples]


def _pool_families(pools: list[PoolLook]) -> list[FamilySnapshot]:
    """Buffers in bytes, objects by number: what has two units has two families."""
    made: list[FamilySnapshot] = []
    for unit, name, symbol in (("bytes", "buffers", "By"), ("objects", "objects", "{object}")):
        of_unit = [pool for pool in pools if pool.unit == unit]
        made += [
            _family(
                "gauge", f"perfcore.{name}.in_use", f"Lent {name}.", ("pool",), _of(of_unit, "in_use"), symbol
            ),
            _family(
                "gauge", f"perfcore.{name}.idle", f"Idle {name}.", ("pool",), _of(of_unit, "idle"), symbol
            ),
        ]
    acquired: dict[tuple[str, ...] | None, Value] = {}
    for pool in pools:
        if pool.acquired is not None and pool.reused is not None:
            reused, made_anew = (pool.name, "reused"), (pool.name, "made")
            acquired |= {reused: pool.reused, made_anew: pool.acquired - pool.reused}
    text = "Acquisitions by where they came from."
    leaked = _family(
        "counter",
        "perfcore.pool.leaked",
        "Died with their holders, unreleased.",
        ("pool",),
        _of(pools, "leaked"),
    )
    return [*made, _family("counter", "perfcore.pool.acquired", text, ("pool", "source"), acquired), leaked]


def _family(
    kind: str, name: str, description: str, labels: tuple[str, ...], samples: Any, unit: str = ""
) -> FamilySnapshot:
    return FamilySnapshot(kind, name, description, unit, labels, samples)


def _of(caches: Sequence[CacheLook | PoolLook], field: str) -> dict[tuple[str], Any]:
    found = {(cache.name,): getattr(cache, field) for cache in caches}
    return {key: value for key, value in found.items() if value is not None}


def _serving(caches: list[CacheLook]) -> dict[tuple[str], int]:
    return {(cache.name,): int(cache.ok) for cache in caches if cache.ok is not None}
