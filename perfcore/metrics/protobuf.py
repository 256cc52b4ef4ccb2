"""A registry as Prometheus scrapes native histograms: its protobuf format, delimited.

The text formats have no native histograms (OpenMetrics 2.0 is a draft), so a Prometheus that is to have them
(``--enable-feature=native-histograms``) asks for this one. The messages are few and flat: they are written
here, without a library. Field numbers are those of ``io.prometheus.client.MetricFamily``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import pack

from perfcore._native.histogram import HistogramSnapshot
from perfcore.metrics.exposition import bounds_of, family_name, label_name
from perfcore.metrics.layouts import classic, native
from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot

__all__ = ["PROTOBUF_CONTENT_TYPE", "prometheus_protobuf"]

PROTOBUF_CONTENT_TYPE = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

_VARINT, _FIXED, _BYTES = 0, 1, 2
_TYPES = {"counter": 0, "gauge": 1, "histogram": 4, "timer": 4}
_GAUGE, _COUNTER, _HISTOGRAM = 2, 3, 7


def prometheus_protobuf(snapshot: RegistrySnapshot) -> bytes:
    """Return the snapshot as a scrape in :data:`PROTOBUF_CONTENT_TYPE`; histograms are native and classic.

    >>> from perfcore.metrics import Counter, Registry
    >>> registry = Registry()
    >>> Counter("requests", registry=registry).inc(3)
    >>> prometheus_protobuf(registry.snapshot())[:17]
    b'!\\n\\x0erequests_total'
    """
    return b"".join(_delimited(_family(family)) for family in snapshot.families.values())


def _family(family: FamilySnapshot) -> bytes:
    base = family_name(family.name, family.unit)
    title = f"{base}_total" if family.kind == "counter" else base
    metrics = (
        _text(1, title),
        _text(2, family.description),
        _number(3, _TYPES[family.kind]),
        *(_message(4, _metric(family, key, value)) for key, value in family.samples.items()),
    )
    return b"".join(metrics)


def _metric(
    family: FamilySnapshot, key: tuple[str, ...] | None, value: float | HistogramSnapshot
) -> Iterator[bytes]:
    for name, held in family.label_set(key).items():
        yield _message(1, (_text(1, label_name(name)), _text(2, held)))
    if isinstance(value, HistogramSnapshot):
        yield _message(_HISTOGRAM, _histogram(value))
    else:
        yield _message(_COUNTER if family.kind == "counter" else _GAUGE, (_double(1, value),))


def _histogram(value: HistogramSnapshot) -> Iterator[bytes]:
    exact = native(value)
    yield _number(1, exact.count)
    yield _double(2, exact.sum)
    for bound, count in classic(value, bounds_of(value)):
        yield _message(3, (_number(1, count), _double(2, bound)))
    yield _number(5, _signed(exact.schema))
    yield _double(6, exact.zero_threshold)
    yield _number(7, exact.zero_count)
    # without a single span it would pass for a classic histogram: an empty one says that it is not
    for offset, length in exact.spans or ((0, 0),):
        yield _message(12, (_number(1, _signed(offset)), _number(2, length)))
    for delta in exact.deltas:
        yield _number(13, _signed(delta))


def _text(field: int, text: str) -> bytes:
    return _message(field, (text.encode(),))


def _message(field: int, parts: Iterable[bytes]) -> bytes:
    return _tag(field, _BYTES) + _delimited(b"".join(parts))


def _delimited(body: bytes) -> bytes:
    return _varint(len(body)) + body


def _double(field: int, number: float) -> bytes:
    return _tag(field, _FIXED) + pack("<d", number)


def _number(field: int, number: int) -> bytes:
    return _tag(field, _VARINT) + _varint(number)


def _tag(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _signed(number: int) -> int:
    """Return a signed number as protobuf's ``sint`` has it: small ones stay short."""
    return number << 1 if number >= 0 else (-number << 1) - 1


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
