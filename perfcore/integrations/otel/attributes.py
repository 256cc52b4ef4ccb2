"""The labels of a sample as OpenTelemetry's attributes."""

from __future__ import annotations

from perfcore.metrics.family import Key
from perfcore.metrics.snapshot import FamilySnapshot

__all__ = ["attributes_of"]


def attributes_of(family: FamilySnapshot, key: Key) -> dict[str, str | bool]:
    """Return the labels of a sample; the mark of what came beyond the bound is a bool, as specified."""
    labels = family.label_set(key)
    return dict.fromkeys(labels, True) if key is None else dict(labels)
