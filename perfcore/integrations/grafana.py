"""A Grafana dashboard of what is exported: a panel for each family, and the thresholds of alerts in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import count, groupby
from typing import Any

from perfcore.integrations.promql import metric_of
from perfcore.metrics.exposition import family_name, label_name
from perfcore.metrics.snapshot import FamilySnapshot, RegistrySnapshot
from perfcore.monitor.exported import FIRING
from perfcore.monitor.gauges import GAUGES
from perfcore.monitor.rules import Rule, ThresholdRule

__all__ = ["grafana_dashboard"]

_SCHEMA = 39  # of Grafana 10 and 11; later ones bring it up to theirs
_WIDTH, _HEIGHT, _ACROSS = 8, 8, 3
_WHERE = 'job=~"$job",instance=~"$instance"'
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: units of instruments as Grafana calls them; of a counter it is the rate that is shown
_UNITS = {"1": "percentunit", "s": "s", "By": "bytes", "By/s": "Bps", "Hz": "hertz", "{request}/s": "reqps"}
_RATES = {"By": "Bps", "{request}": "reqps", "s": "percentunit"}
_QUANTILES = (0.5, 0.95, 0.99)


def grafana_dashboard(
    *snapshots: RegistrySnapshot, rules: Iterable[Rule] = (), title: str = "perfcore"
) -> dict[str, Any]:
    """Return a dashboard, to be imported as JSON, of what a collector measures and of ``snapshots``.

    Its variables are the data source, jobs and instances. Threshold rules are lines in their metric's panel.

    >>> board = grafana_dashboard()
    >>> board["title"], board["panels"][0]["title"], board["panels"][1]["targets"][0]["expr"]
    ('perfcore', 'alerts', 'perfcore_alert_firing{job=~"$job",instance=~"$instance"}')
    """
    families = _measured()
    for snapshot in snapshots:
        families |= {name: family for name, family in snapshot.families.items() if name not in families}
    lines = _lines(rules, families)
    numbers = count(1)
    panels = [_firing()]
    for name in sorted(families, key=lambda name: (_group(name), name)):
        panels += _panels(families[name], lines.get(name, []))
    return {
        "uid": f"perfcore-{sha256(title.encode()).hexdigest()[:12]}",
        "title": title,
        "tags": ["perfcore"],
        "timezone": "browser",
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": [{"id": next(numbers), **panel} for panel in _laid_out(panels)],
    }


def _measured() -> dict[str, FamilySnapshot]:
    labels: dict[str, tuple[str, ...]] = {}
    for gauge in GAUGES:
        labels[gauge.name] = tuple(name for name, _ in gauge.labels)
    return {
        gauge.name: FamilySnapshot(gauge.kind, gauge.name, gauge.text, gauge.unit, labels[gauge.name], {})
        for gauge in GAUGES
    }


def _group(name: str) -> str:
    """Return which row a family belongs to: the first word of its name, or the second of perfcore's own."""
    first, _, rest = name.partition(".")
    return rest.partition(".")[0] if first == "perfcore" and rest else first.partition("_")[0]


def _lines(rules: Iterable[Rule], families: Mapping[str, FamilySnapshot]) -> dict[str, list[float]]:
    """Return the thresholds by the families they are about."""
    paths = {gauge.path: gauge.name for gauge in GAUGES}
    found: dict[str, list[float]] = {}
    for rule in rules:
        if isinstance(rule, ThresholdRule):
            scale = metric_of(rule.metric, families).scale
            name = paths.get(rule.metric, rule.metric)
            found.setdefault(name, []).append(rule.threshold * scale)
    return found


def _panels(family: FamilySnapshot, lines: list[float]) -> Iterator[dict[str, Any]]:
    unit, targets = _UNITS.get(family.unit, "short"), list(_targets(family))
    if family.kind == "counter":
        unit = _RATES.get(family.unit, "cps")
    yield _panel(family.name, family.description, unit, targets, lines, _group(family.name))


def _targets(family: FamilySnapshot) -> Iterator[tuple[str, str]]:
    """Yield (query, legend) of a family."""
    name, labels = family_name(family.name, family.unit), [*map(label_name, family.labels)]
    legend = " ".join(["{{instance}}", *(f"{{{{{label}}}}}" for label in labels)])
    if family.kind == "gauge":
        yield f"{name}{{{_WHERE}}}", legend
    elif family.kind == "counter":
        by = ", ".join(["instance", *labels])
        yield f"sum by ({by}) (rate({name}_total{{{_WHERE}}}[$__rate_interval]))", legend
    else:
        buckets = f"sum by (le) (rate({name}_bucket{{{_WHERE}}}[$__rate_interval]))"
        for q in _QUANTILES:
            yield f"histogram_quantile({q}, {buckets})", f"p{q * 100:g}"


def _panel(
    title: str, text: str, unit: str, targets: list[tuple[str, str]], lines: list[float], group: str
) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    steps += [{"color": "red", "value": line} for line in sorted(set(lines))]
    style = {
        "thresholdsStyle": {"mode": "line" if lines else "off"},
        "fillOpacity": 10,
        "showPoints": "never",
    }
    return {
        "type": "timeseries",
        "title": title,
        "description": text,
        "group": group,
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "custom": style,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [_target(chr(ord("A") + n), query, legend) for n, (query, legend) in enumerate(targets)],
    }


def _target(ref: str, query: str, legend: str) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": _SOURCE,
        "expr": query,
        "legendFormat": legend,
        "range": True,
        "editorMode": "code",
    }


def _firing() -> dict[str, Any]:
    query = f"{family_name(FIRING, '')}{{{_WHERE}}}"
    panel = _panel("alerts", "Rules that fire.", "short", [(query, "{{rule}} {{instance}}")], [1.0], "alerts")
    panel["fieldConfig"]["defaults"]["custom"] = {"fillOpacity": 70}
    return panel | {
        "type": "state-timeline",
        "options": {
            "mergeValues": True,
            "showValue": "never",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        },
    }


def _laid_out(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a row's title, then its panels three abreast, for one group after the other."""
    y = 0
    for group, members in groupby(panels, key=lambda panel: panel.pop("group")):
        yield {
            "type": "row",
            "title": group,
            "collapsed": False,
            "gridPos": {"h": 1, "w": _WIDTH * _ACROSS, "x": 0, "y": y},
            "panels": [],
        }
        y += 1
        place = -1
        for place, panel in enumerate(members):
            x, down = place % _ACROSS, place // _ACROSS
            yield panel | {"gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": x * _WIDTH, "y": y + down * _HEIGHT}}
        y += (place // _ACROSS + 1) * _HEIGHT


def _variables() -> list[dict[str, Any]]:
    memory = family_name("process.memory.usage", "By")
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        _variable("job", f"label_values({memory}, job)"),
        _variable("instance", f'label_values({memory}{{job=~"$job"}}, instance)'),
    ]


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": query,
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }
