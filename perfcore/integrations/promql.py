"""Alerting rules in Prometheus' language: the same names, thresholds and patience, evaluated over there.

What Prometheus has no word for it is given in other ones: a ``clear_threshold`` asks ``ALERTS``, Prometheus'
own series of what fires, which threshold holds now, and so does ``inhibited_by``. Trends and anomalies are
judged in the process, where there is a test of significance and a memory; the rule passes on what it says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, NamedTuple

from perfcore.errors import ConfigError
from perfcore.metrics.exposition import family_name, label_name
from perfcore.metrics.snapshot import FamilySnapshot
from perfcore.monitor.exported import FIRING
from perfcore.monitor.gauges import GAUGES, Gauge, custom
from perfcore.monitor.rules import (
    AbsenceRule,
    AnomalyRule,
    CompositeRule,
    Rule,
    ThresholdRule,
    TrendRule,
)

__all__ = ["Metric", "condition", "message", "metric_of", "series"]

_PATHS = {gauge.path: gauge for gauge in GAUGES}
_HERE = "on (instance, job)"


class Metric(NamedTuple):
    """A metric of rules as Prometheus has it: a selector, and the factor from the rule's unit to its unit."""

    selector: str
    scale: float


def series(name: str, unit: str, kind: str = "gauge", labels: Mapping[str, str] | None = None) -> str:
    """Return the selector of a family's series.

    >>> series("http.requests", "{request}", "counter", {"job": "shop"})
    'http_requests_total{job="shop"}'
    """
    suffix = "_total" if kind == "counter" else ""
    matchers = ",".join(f"{label_name(label)}={json.dumps(value)}" for label, value in (labels or {}).items())
    return f"{family_name(name, unit)}{suffix}" + (f"{{{matchers}}}" if matchers else "")


def metric_of(path: str, families: Mapping[str, FamilySnapshot], job: str | None = None) -> Metric:
    """Return a rule's metric; :exc:`ConfigError` when neither perfcore nor ``families`` export it.

    >>> metric_of("system.cpu.usage", {})
    Metric(selector='system_cpu_utilization_ratio', scale=0.01)
    """
    where = {"job": job} if job else {}
    gauge = _PATHS.get(path) or _custom(path)
    if gauge is not None:
        labels = {**dict(gauge.labels), **where}
        return Metric(series(gauge.name, gauge.unit, gauge.kind, labels), gauge.scale)
    family = families.get(path)
    if family is None or family.kind not in ("counter", "gauge"):
        raise ConfigError(f"{path!r} is not exported as a number, so Prometheus cannot compare it")
    return Metric(series(family.name, family.unit, family.kind, where), 1.0)


def _custom(path: str) -> Gauge | None:
    top, _, rest = path.partition(".")
    place, dot, field = rest.partition(".")
    return custom(place, field) if top == "custom" and dot else None


def condition(
    rule: Rule, families: Mapping[str, FamilySnapshot], job: str | None = None, relay: bool = False
) -> str:
    """Return the expression of a rule; with ``relay`` what the process itself says of it.

    >>> rule = ThresholdRule(name="busy", metric="system.cpu.usage", threshold=90)
    >>> condition(rule, {}), condition(rule, {}, relay=True)
    ('system_cpu_utilization_ratio > 0.9', 'perfcore_alert_firing{rule="busy"} == 1')
    """
    if relay or isinstance(rule, TrendRule | AnomalyRule):
        return f"{series(FIRING, '', labels={'rule': rule.name} | ({'job': job} if job else {}))} == 1"
    found = _KINDS[type(rule)](rule, families, job)
    if rule.no_data == "alert" and not isinstance(rule, AbsenceRule | CompositeRule):
        found = f"({found}) or absent({metric_of(rule.metric, families, job).selector})"
    for other in rule.inhibited_by:
        where = "on ()" if isinstance(rule, AbsenceRule) and not job else _HERE
        found = f"({found}) unless {where} {_fires(other)}"
    return found


def _threshold(rule: ThresholdRule, families: Mapping[str, FamilySnapshot], job: str | None) -> str:
    selector, scale = metric_of(rule.metric, families, job)
    beyond = f"{selector} {rule.op} {rule.threshold * scale:.12g}"
    if rule.clear_threshold is None or rule.clear_threshold == rule.threshold:
        return beyond
    still = f"{selector} {rule.op} {rule.clear_threshold * scale:.12g}"
    return f"{beyond} or ({still} and {_HERE} {_fires(rule.name)})"


def _absence(rule: AbsenceRule, families: Mapping[str, FamilySnapshot], job: str | None) -> str:
    selector = metric_of(rule.metric, families, job).selector
    return f"up{{job={json.dumps(job)}}} unless {_HERE} {selector}" if job else f"absent({selector})"


def _composite(rule: CompositeRule, families: Mapping[str, FamilySnapshot], job: str | None) -> str:
    word = " and " if rule.need == "all" else " or "
    return word.join(f"group by (instance, job) ({_fires(other)})" for other in rule.of)


def _fires(name: str) -> str:
    return f'ALERTS{{alertname={json.dumps(name)},alertstate="firing"}}'


_KINDS: dict[type, Callable[..., str]] = {
    ThresholdRule: _threshold,
    AbsenceRule: _absence,
    CompositeRule: _composite,
}


def message(rule: Rule) -> str:
    """Return a rule's message as a template of Prometheus'.

    >>> rule = ThresholdRule(name="r", metric="system.cpu.usage", threshold=90, message="{value:g} of {{x}}")
    >>> message(rule)
    '{{ $value | humanizePercentage }} of {x}'
    """
    metric = getattr(rule, "metric", "")
    ratio = metric in _PATHS and _PATHS[metric].scale == 0.01 and isinstance(rule, ThresholdRule)
    held = {
        "value": "{{ $value | humanizePercentage }}" if ratio else "{{ $value | humanize }}",
        "metric": _literal(metric),
        "name": _literal(rule.name),
    }
    template = rule.message or ("{name}: {metric} is {value}" if metric else "{name}")
    return "".join(_pieces(template, held))


def _pieces(template: str, held: Mapping[str, str]) -> Any:
    try:
        parsed = list(Formatter().parse(template))
    except ValueError:  # braces that are no format: people read it as it is
        parsed = [(template, None, None, None)]
    for text, name, _, _ in parsed:
        yield _literal(text)
        if name is not None:
            yield held.get(name, _literal(f"{{{name}}}"))


def _literal(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')
