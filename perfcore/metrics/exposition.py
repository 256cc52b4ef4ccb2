"""A registry as Prometheus scrapes it: the text format 0.0.4, and OpenMetrics 1.0.

Names follow Prometheus' conventions: letters, digits and underscores, a unit as suffix, ``_total`` for
counters. Histograms are classic ones at powers of two, whose counts are exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from math import inf, isfinite, isnan

from perfcore._native.histogram import HistogramSnapshot
from perfcore.metrics.layouts import classic
from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot

__all__ = [
    "CONTENT_TYPE",
    "OPENMETRICS_CONTENT_TYPE",
    "bounds_of",
    "family_name",
    "label_name",
    "prometheus_text",
]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

#: the units that instruments are given and how Prometheus spells them, as OpenTelemetry translates them
_UNITS = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "min": "minutes",
    "h": "hours",
    "d": "days",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "1": "ratio",
    "%": "percent",
    "Hz": "hertz",
    "Cel": "celsius",
}
_PER = {"s": "second", "min": "minute", "h": "hour", "d": "day"}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})
_KINDS = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "timer": "histogram"}
#: buckets at most in one histogram; more are every second, every fourth ... power of two
_BUCKETS = 24


def prometheus_text(snapshot: RegistrySnapshot, *, openmetrics: bool = False) -> bytes:
    """Return the snapshot as a scrape.

    >>> from perfcore.metrics import Counter, Registry
    >>> registry = Registry()
    >>> Counter("http.requests", "Requests.", labels=["path"], registry=registry).labels("/").inc(3)
    >>> print(prometheus_text(registry.snapshot()).decode(), end="")
    # HELP http_requests_total Requests.
    # TYPE http_requests_total counter
    http_requests_total{path="/"} 3
    """
    lines: list[str] = []
    for family in snapshot.families.values():
        lines += _family(family, openmetrics)
    if openmetrics:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines).encode()


@lru_cache(1024)
def family_name(name: str, unit: str) -> str:
    """Return the name of a family without ``_total``: its unit is the last word.

    ``_count``, which Prometheus keeps for histograms, becomes what is counted.

    >>> family_name("http.duration", "s"), family_name("queue.length", "{item}")
    ('http_duration_seconds', 'queue_length')
    >>> family_name("disk.io", "By/s")
    'disk_io_bytes_per_second'
    >>> family_name("process.thread.count", "{thread}"), family_name("system.cpu.logical.count", "{cpu}")
    ('process_threads', 'system_cpu_logical_cpus')
    """
    plain = _word(name, ":").removesuffix("_total")
    if plain.endswith("_count") and unit.startswith("{"):
        plain, things = plain.removesuffix("_count"), _word(unit.strip("{}"))
        return f"{plain}s" if plain.endswith(f"_{things}") else f"{plain}_{things}s"
    what, _, per = unit.partition("/")
    words = ["" if what.startswith("{") else _UNITS.get(what, what), per and f"per_{_PER.get(per, per)}"]
    suffix = _word("_".join(filter(None, words)))
    return f"{plain}_{suffix}" if suffix and not plain.endswith(f"_{suffix}") else plain


def _word(text: str, also: str = "") -> str:
    return re.sub(rf"[^A-Za-z0-9_{also}]", "_", text)


@lru_cache(1024)
def label_name(name: str) -> str:
    """Return a label's name in Prometheus' alphabet."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def bounds_of(histogram: HistogramSnapshot) -> list[float]:
    """Return the powers of two that divide a histogram's range."""
    low, high = histogram.exponents
    step = max(1, -(-(high - low) // _BUCKETS))
    return [2.0**exponent for exponent in range(low, high + 1, step)]


def _family(family: FamilySnapshot, openmetrics: bool) -> Iterator[str]:
    kind = _KINDS[family.kind]
    base = family_name(family.name, family.unit)
    sample = f"{base}_total" if kind == "counter" else base
    title = base if openmetrics else sample
    if family.description:
        escapes = _ESCAPES if openmetrics else _HELP_ESCAPES
        yield f"# HELP {title} {family.description.translate(escapes)}"
    yield f"# TYPE {title} {kind}"
    for key, value in family.samples.items():
        labels = ",".join(
            f'{label_name(name)}="{value.translate(_ESCAPES)}"'
            for name, value in family.label_set(key).items()
        )
        if isinstance(value, HistogramSnapshot):
            yield from _histogram(base, labels, value)
        else:
            yield f"{sample}{{{labels}}} {_number(value)}" if labels else f"{sample} {_number(value)}"


def _histogram(base: str, labels: str, value: HistogramSnapshot) -> Iterator[str]:
    comma = "," if labels else ""
    for bound, count in classic(value, bounds_of(value)):
        yield f'{base}_bucket{{{labels}{comma}le="{_number(float(bound))}"}} {count}'
    braces = f"{{{labels}}}" if labels else ""
    yield f"{base}_sum{braces} {_number(value.sum)}"
    yield f"{base}_count{braces} {value.count}"


def _number(value: float) -> str:
    if isinstance(value, int) or isfinite(value):
        return repr(value)
    return "NaN" if isnan(value) else "+Inf" if value == inf else "-Inf"
