"""A registry as JSON, in a form with a version: what a page or a script reads.

``{"schema": "perfcore.metrics/1", "time": Unix seconds, "families": [...]}``, each family with its name,
kind, unit, description and samples; a sample has ``labels`` and either ``value`` or, of a histogram,
``count``, ``sum``, ``quantiles``, the filled ``buckets`` as pairs of upper bound and count, and how many were
``zeros``, ``under`` and ``over`` the range of the buckets. Numbers that JSON has not (NaN, infinities) are
null. :func:`json_schema` says the same to machines.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from perfcore._native.histogram import HistogramSnapshot
from perfcore.errors import ConfigError
from perfcore.metrics.family import OVERFLOW_LABEL, Key
from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot, Value

__all__ = ["SCHEMA", "json_schema", "json_snapshot", "read_json"]

#: A reader refuses what begins otherwise; fields may be added under one number.
SCHEMA = "perfcore.metrics/1"
_QUANTILES = (0.5, 0.95, 0.99)


class _Sample(msgspec.Struct, kw_only=True):
    labels: dict[str, str]
    value: int | float | UnsetType | None = UNSET
    count: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    sum: float | UnsetType | None = UNSET
    quantiles: dict[str, float | None] | UnsetType = UNSET
    zeros: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    under: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    over: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    buckets: list[tuple[float | None, int]] | UnsetType = UNSET


class _Family(msgspec.Struct, kw_only=True):
    name: str
    kind: Literal["counter", "gauge", "histogram", "timer"]
    unit: str
    description: str
    samples: list[_Sample]


class _Document(msgspec.Struct, kw_only=True):
    schema: Literal["perfcore.metrics/1"]
    time: float
    families: list[_Family]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of what :func:`json_snapshot` writes.

    >>> sorted(json_schema()["$defs"]["Document"]["required"])
    ['families', 'schema', 'time']
    """
    found = msgspec.json.schema(_Document)
    text = msgspec.json.encode(found).replace(b"/_", b"/").replace(b'"_', b'"')
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.decode(text),
    }
    histogram = [name for name in _Sample.__struct_fields__ if name not in ("labels", "value")]
    schema["$defs"]["Sample"]["oneOf"] = [{"required": ["value"]}, {"required": histogram}]
    return schema


def read_json(text: bytes) -> RegistrySnapshot:
    """Return the families of a document, with the samples that are numbers: histograms are not rebuilt.

    Raises :exc:`ConfigError` for anything else than a ``perfcore.metrics/1`` document.
    """
    try:
        document = msgspec.json.decode(text, type=_Document)
    except msgspec.DecodeError as error:
        raise ConfigError(f"not a document of {SCHEMA}: {error}") from error
    families = {}
    for family in document.families:
        names = next((tuple(s.labels) for s in family.samples if OVERFLOW_LABEL not in s.labels), ())
        samples: dict[Key, Value] = {
            _key(s.labels): s.value for s in family.samples if isinstance(s.value, int | float)
        }
        families[family.name] = FamilySnapshot(
            family.kind, family.name, family.description, family.unit, names, samples
        )
    return RegistrySnapshot(families, int(document.time * 1e9))


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
        "zeros": value.zeros,
        "under": value.under,
        "over": value.over,
        "buckets": [[_finite(bound), count] for bound, count in value.buckets()],
    }


def _key(labels: dict[str, str]) -> Key:
    return None if OVERFLOW_LABEL in labels else tuple(labels.values())


def _finite(value: float) -> float | None:
    return value if isinstance(value, int) or isfinite(value) else None
