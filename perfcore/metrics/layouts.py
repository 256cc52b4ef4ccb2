"""Histograms as Prometheus and OpenTelemetry write them: the same buckets, so nothing is counted anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from perfcore._native.histogram import HistogramSnapshot

__all__ = ["Exponential", "NativeHistogram", "classic", "exponential", "native"]

SCALE = 5
PER_OCTAVE = 32


@dataclass(frozen=True)
class NativeHistogram:
    """A Prometheus native histogram: bucket ``i`` covers ``(2**((i-1)/32), 2**(i/32)]``."""

    count: int
    sum: float
    zero_threshold: float
    zero_count: int
    spans: tuple[tuple[int, int], ...]  # (distance from the end of the span before, length)
    deltas: tuple[int, ...]  # the first count, then differences
    schema: int = SCALE


@dataclass(frozen=True)
class Exponential:
    """An OpenTelemetry exponential histogram: bucket ``i`` covers ``(2**(i/32), 2**((i+1)/32)]``."""

    count: int
    sum: float
    zero_threshold: float
    zero_count: int
    offset: int
    bucket_counts: tuple[int, ...]
    scale: int = SCALE


def _filled(snapshot: HistogramSnapshot) -> list[tuple[int, int]]:
    """Return ``(index, count)`` of the filled buckets, OpenTelemetry's indices.

    What lies over the kept range stands in the first bucket above it: the range's end is all that is known of
    it.
    """
    low, high = snapshot.exponents
    counts = snapshot.counts
    filled = [(low * PER_OCTAVE + int(i), int(counts[i])) for i in counts.nonzero()[0]]
    return [*filled, (high * PER_OCTAVE, snapshot.over)] if snapshot.over else filled


def exponential(snapshot: HistogramSnapshot) -> Exponential:
    """Return a snapshot as OpenTelemetry's data point; what lies under the range is in its zero bucket.

    >>> from perfcore.metrics import Histogram, Registry
    >>> h = Histogram("h", registry=Registry())
    >>> h.observe_many([0, 1, 1, 1.03])
    >>> point = exponential(h.snapshot())
    >>> point.zero_count, point.offset, point.bucket_counts
    (1, -1, (2, 0, 1))
    """
    filled = _filled(snapshot)
    offset = filled[0][0] if filled else 0
    counts = [0] * (filled[-1][0] - offset + 1 if filled else 0)
    for index, count in filled:
        counts[index - offset] = count
    return Exponential(
        snapshot.count,
        snapshot.sum,
        2.0 ** snapshot.exponents[0],
        snapshot.zeros + snapshot.under,
        offset,
        tuple(counts),
    )


def native(snapshot: HistogramSnapshot) -> NativeHistogram:
    """Return a snapshot as Prometheus' native histogram, schema 5.

    >>> from perfcore.metrics import Histogram, Registry
    >>> h = Histogram("h", registry=Registry())
    >>> h.observe_many([0, 1, 1, 1.03])
    >>> native(h.snapshot()).spans, native(h.snapshot()).deltas
    (((0, 1), (1, 1)), (2, -1))
    """
    spans: list[tuple[int, int]] = []
    deltas: list[int] = []
    end, before = 0, 0
    for index, count in ((i + 1, count) for i, count in _filled(snapshot)):
        if spans and index == end:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((index - end, 1))
        deltas.append(count - before)
        end, before = index + 1, count
    return NativeHistogram(
        snapshot.count,
        snapshot.sum,
        2.0 ** snapshot.exponents[0],
        snapshot.zeros + snapshot.under,
        tuple(spans),
        tuple(deltas),
    )


def classic(snapshot: HistogramSnapshot, bounds: Iterable[float]) -> list[tuple[float, int]]:
    """Return cumulative ``(bound, count)`` pairs for bounds of one's own, and infinity at the end.

    Exact for bounds that end a bucket, as powers of two do; a bucket that a bound cuts counts above it.

    >>> from perfcore.metrics import Histogram, Registry
    >>> h = Histogram("h", registry=Registry())
    >>> h.observe_many([0.1, 0.25, 3])
    >>> classic(h.snapshot(), [0.25, 1])
    [(0.25, 2), (1, 2), (inf, 3)]
    """
    wanted = sorted(set(bounds) - {inf})
    return [*((bound, snapshot.at_most(bound)) for bound in wanted), (inf, snapshot.count)]
