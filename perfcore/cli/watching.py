"""What a server has seen, as tables for a terminal: what its page shows, in the same words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perfcore.cli.tables import printable
from perfcore.units import format_size

__all__ = ["sparkline", "view"]

_BARS = "▁▂▃▄▅▆▇█"
_POINTS = 30
_LISTED = 5


def sparkline(values: Sequence[float | None], top: float | None = None) -> str:
    """Return the last values as bars from 0 to ``top``, or to the highest; a gap is a blank.

    >>> sparkline([0.0, 0.5, None, 1.0], top=1.0)
    '▁▅ █'
    """
    last = values[-_POINTS:]
    highest = top or max((value for value in last if value is not None), default=0) or 1
    return "".join(" " if value is None else _BARS[min(7, int(value / highest * 8))] for value in last)


def view(live: dict[str, Any], server: str, problem: str = "") -> RenderableType:
    """Return everything of a live form; ``problem`` is why there is no newer one."""
    series = live["history"]["series"]
    parts: list[RenderableType] = [_head(live, server, problem)]
    parts += [Text(f"  ! {printable(text)}", style="red") for text in live["health"]["problems"]]
    for make in (_caches, _pools, _calls, _others, _alerts, _policies, _decisions):
        table = make(live, series)
        if table.row_count:
            parts.append(table)
    return Group(*parts)


def _head(live: dict[str, Any], server: str, problem: str) -> Text:
    healthy = live["health"]["ok"]
    state = problem or ("all parts serve" if healthy else f"{len(live['health']['problems'])} failing")
    process = live["process"]
    return Text.assemble(
        ("perfcore ", "bold"),
        (printable(state), "green" if healthy and not problem else "bold red"),
        f"  process {process['pid']}, Python {process['python']}  {server}  {time.strftime('%H:%M:%S')}",
    )


def _table(title: str, columns: Iterable[str], rows: Iterable[Sequence[object]]) -> Table:
    """Names at the left, figures at the right; a column that ends in a blank is text."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        left = number == 0 or name.endswith(" ")
        table.add_column(Text(name.strip()), justify="left" if left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(printable(str(cell))) for cell in row))
    return table


def _caches(live: dict[str, Any], series: dict[str, Any]) -> Table:
    rows = [
        (
            one["name"],
            {None: "-", True: "serves", False: one["detail"] or "does not serve"}[one["ok"]],
            _or(one["hit_ratio"], _percent),
            sparkline(series.get(f"hit_ratio.{one['name']}", []), top=1.0),
            _or(one["entries"], _count),
            _or(one["bytes"], format_size),
            _or(one["evictions"], _count),
        )
        for one in live.get("caches", [])
    ]
    return _table(
        "Caches", ["cache", "state ", "hit ratio", "lately ", "entries", "bytes", "evictions"], rows
    )


def _pools(live: dict[str, Any], series: dict[str, Any]) -> Table:
    rows = []
    for one in live.get("pools", []):
        form = format_size if one["unit"] == "bytes" else _count
        ratio = _or(one["hit_ratio"], _percent)
        lent, idle = _or(one["in_use"], form), _or(one["idle"], form)
        lately = sparkline(series.get(f"pool.{one['name']}.in_use", []))
        rows.append((one["name"], lent, lately, idle, ratio, _or(one["acquired"], _count), one["leaked"]))
    columns = ["pool", "lent", "lately ", "idle", "were there", "acquired", "leaked"]
    return _table("Pools", columns, rows)


def _calls(live: dict[str, Any], series: dict[str, Any]) -> Table:
    rows = [
        (
            one["name"],
            _or(one["rate"], _count),
            *(_or(one[quantile], _seconds) for quantile in ("p50", "p95", "p99")),
            sparkline(series.get(f"latency.{one['name']}.p95", [])),
        )
        for one in live.get("latency", [])
    ]
    return _table("Calls", ["calls", "a second", "p50", "p95", "p99", "p95 lately "], rows)


def _others(live: dict[str, Any], series: dict[str, Any]) -> Table:
    memory, workers = live.get("memory") or {}, live.get("workers")
    rows = [
        (
            "memory of the process",
            _or(memory.get("process"), format_size),
            sparkline(series.get("memory.process", [])),
        ),
        (
            "memory in use, of all",
            f"{_or(memory.get('used'), format_size)} of {_or(memory.get('limit'), format_size)}",
            "",
        ),
    ]
    if workers is not None:
        rows += [
            (f"tasks {name}", _count(workers[name]), sparkline(series.get(f"workers.{name}", [])))
            for name in ("active", "queued")
        ]
        ended = f"{_count(workers['completed'])}, {_count(workers['failed'])}"
        rows.append(("tasks completed, failed", ended, ""))
    return _table("Process", ["what", "now", "lately "], rows)


def _alerts(live: dict[str, Any], series: dict[str, Any]) -> Table:
    firing = {alert["rule"] for alert in live.get("firing", [])}
    rows = [
        (
            alert["rule"],
            Text(alert["state"], style="red" if alert["rule"] in firing else "green"),
            alert["severity"],
            alert["message"],
            _clock(alert["time"]),
        )
        for alert in live.get("alerts", [])[:_LISTED]
    ]
    return _table("Alerts, latest first", ["rule", "state ", "severity ", "message ", "time"], rows)


def _policies(live: dict[str, Any], series: dict[str, Any]) -> Table:
    rows = [
        (
            one["cache"],
            one["policy"],
            one["arm"],
            one["switches"],
            ", ".join(f"{arm} {_count(hits)}" for arm, hits in one["hits"].items()) or "-",
        )
        for one in live.get("policies", [])
    ]
    return _table("Policies", ["cache", "policy ", "arm ", "switches", "shadow hits "], rows)


def _decisions(live: dict[str, Any], series: dict[str, Any]) -> Table:
    rows = [
        (_clock(one["time"]), one["cache"], one["what"], one["why"])
        for one in live.get("decisions", [])[:_LISTED]
    ]
    return _table("Changes, latest first", ["time", "where ", "change ", "why "], rows)


def _or(value: float | None, form: Callable[[Any], str]) -> str:
    return "-" if value is None else form(int(value) if form is format_size else value)


def _percent(ratio: float) -> str:
    return f"{ratio:.1%}"


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _count(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"
