"""Rule files for Prometheus, from the rules that :class:`.PerformanceAlerting` holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from perfcore.errors import ConfigError
from perfcore.integrations.promql import condition, message
from perfcore.metrics.exposition import label_name
from perfcore.metrics.snapshot import RegistrySnapshot
from perfcore.monitor.rules import AnomalyRule, CompositeRule, Rule, TrendRule

__all__ = ["prometheus_rules"]

_MILLISECONDS = 1000


def prometheus_rules(
    rules: Iterable[Rule],
    *,
    snapshot: RegistrySnapshot | None = None,
    job: str | None = None,
    group: str = "perfcore",
    interval: float = 15.0,
    relay: bool = False,
) -> str:
    """Return the rules as a rule file of Prometheus (YAML), evaluated every ``interval`` seconds.

    ``snapshot`` is of a registry whose families rules name besides what a collector measures; ``job``
    confines them to one job of Prometheus. Thresholds, absence and compositions become expressions; of trends
    and anomalies, and of all rules with ``relay``, Prometheus is told what the process says of them, by
    :func:`.alerts_snapshot`. What it has no word for, cooldowns and repetitions, is Alertmanager's business
    and stands in the annotation ``perfcore``. Raises :exc:`ConfigError` for a metric that is not exported.

    >>> from perfcore.monitor.rules import ThresholdRule
    >>> rule = ThresholdRule(name="busy", metric="system.cpu.usage", threshold=90, for_=60)
    >>> print(prometheus_rules([rule]))
    groups:
    - name: "perfcore"
      interval: 15s
      rules:
      - alert: "busy"
        expr: "system_cpu_utilization_ratio > 0.9"
        for: 60s
        labels:
          severity: "warning"
        annotations:
          summary: "busy: system.cpu.usage is {{ $value | humanizePercentage }}"
    <BLANKLINE>
    """
    families = {} if snapshot is None else snapshot.families
    # a composition asks about its parts, which are to be known by then
    ordered = sorted(rules, key=lambda rule: isinstance(rule, CompositeRule))
    if not interval > 0:
        raise ConfigError(f"the interval must be positive, got {interval!r}")
    lines = ["groups:", f"- name: {_text(group)}", f"  interval: {_duration(interval)}"]
    lines += ["  rules:" if ordered else "  rules: []"]
    for rule in ordered:
        told = relay or isinstance(rule, TrendRule | AnomalyRule)
        lines.append(f"  - alert: {_text(rule.name)}")
        lines.append(f"    expr: {_text(condition(rule, families, job, relay))}")
        lines += [] if told else _patience(rule, interval)
        lines += _table("labels", {"severity": rule.severity} | rule.labels)
        lines += _table("annotations", {"summary": message(rule)} | _unsaid(rule, told))
    return "\n".join([*lines, ""])


def _patience(rule: Rule, interval: float) -> Iterator[str]:
    wait = max(rule.for_, (rule.min_samples - 1) * interval)
    if wait:
        yield f"    for: {_duration(wait)}"
    if rule.keep_firing_for:
        yield f"    keep_firing_for: {_duration(rule.keep_firing_for)}"


def _unsaid(rule: Rule, told: bool) -> dict[str, str]:
    fields = {} if told else {"cooldown": rule.cooldown, "repeat_interval": rule.repeat_interval}
    said = [f"{name} {value:g}s" for name, value in fields.items() if value]
    if rule.actions:
        said.append(f"actions {', '.join(rule.actions)}")
    return {"perfcore": "; ".join(said).replace("{{", '{{ "{{" }}')} if said else {}


def _table(name: str, entries: dict[str, str]) -> Iterator[str]:
    yield f"    {name}:"
    for key, value in entries.items():
        yield f"      {label_name(key)}: {_text(value)}"


def _text(text: str) -> str:
    """Return a string as YAML has it, of which JSON is a part."""
    return json.dumps(text, ensure_ascii=False)


def _duration(seconds: float) -> str:
    whole = round(seconds * _MILLISECONDS)
    return f"{whole}ms" if whole % _MILLISECONDS else f"{whole // _MILLISECONDS}s"
