"""A registry as JSON, in a form with a version: what a page or a script reads.

``{"schema": "perfcore.metrics/1", "time": Unix seconds, "families": [...]}``, each family with its name,
kind, unit, description and samples; a sample has ``labels`` and either ``value`` or, of a histogram,
``count``, ``sum``, ``quantiles`` and the filled ``buckets`` as pairs of upper bound and count. Numbers that
JSON has not (NaN, infinities) are null.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec

from perfcore._native.histogram import HistogramSnapshot
from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot, Value

__all__ = ["SCHEMA", "json_snapshot"]

#: A reader refuses what begins otherwise; fields may be added under one number.
SCHEMA = "perfcore.metrics/1"
_QUANTILES = (0.5, 0.95, 0.99)


def json_snapshot(snapshot: RegistrySnapshot) -> bytes:
    """Return the snapshot as JSON.

    >>> from perfcore.metrics import Counter, Registry
    >>> registry = Registry()
    >>> Counter("requests", registry=registry).inc(3)
    >>> msgspec.json.decode(json_snapshot(registry.snapshot()))["families"][0]["samples"]
    [{'labels': {}, 'value': 3}]
    """
    families = [_family(family) for family in snapshot.families.values()]
    return msgspec.json.encode({"schema": SCHEMA, "time": snapshot.time_ns / 1e9, "families": families})


def _family(family: FamilySnapshot) -> dict[str, Any]:
    return {
        "name": family.name,
        "kind": family.kind,
        "unit": family.unit,
        "description": family.description,
        "samples": [
            {"labels": family.label_set(key), **_sample(value)} for key, value in family.samples.items()
        ],
    }


def _sample(value: Value) -> dict[str, Any]:
    if not isinstance(value, HistogramSnapshot):
        return {"value": _finite(value)}
    return {
        "count": value.count,
        "sum": _finite(value.sum),
        "quantiles": {str(q): _finite(value.quantile(q)) if value.count else None for q in _QUANTILES},
        "buckets": [[_finite(bound), count] for bound, count in value.buckets()],
    }


def _finite(value: float) -> float | None:
    return value if isinstance(value, int) or isfinite(value) else None
