"""Rules against a recorded series: what they would have told, and whether that is what was expected."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from perfcore.errors import ConfigError
from perfcore.monitor.alerts import PerformanceAlerting
from perfcore.monitor.rules import Rule

__all__ = ["Expected", "Told", "disagreements", "load_expected", "read_series", "rehearse"]


class Told(NamedTuple):
    """That a rule told something, ``at`` so many seconds of the series' clock."""

    at: float
    rule: str
    state: str
    message: str


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rule should tell, ``at`` so many seconds after the series begins, give or take ``within``."""

    at: float
    rule: str
    state: Literal["firing", "resolved", "repeated"] = "firing"
    within: float = 0.0


class _File(msgspec.Struct):
    expect: list[Expected] | None = None


def load_expected(path: str | Path) -> list[Expected] | None:
    """Return what stands under ``expect`` in a file of rules, or None when nothing does."""
    path = Path(path)
    try:
        if path.suffix == ".toml":
            return msgspec.toml.decode(path.read_bytes(), type=_File).expect
        return msgspec.json.decode(path.read_bytes(), type=_File).expect
    except OSError as error:
        raise ConfigError(f"{path.name}: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path.name}: {error}") from error


def read_series(path: str | Path) -> Iterator[tuple[float, dict[str, float]]]:
    """Yield (seconds, metrics) of a CSV file, whose first column is the time and whose others are metrics.

    Times are seconds or ISO dates and ascend; an empty cell is a missing sample. Raises :exc:`ConfigError`,
    with the line, for anything else.
    """
    with Path(path).open(newline="") as file:
        rows = csv.reader(file)
        names = next(rows, [])[1:]
        if not names:
            raise ConfigError(f"{Path(path).name}: Expected a time and at least one metric in the first line")
        last = float("-inf")
        for cells in rows:
            where = f"{Path(path).name}: line {rows.line_num}"
            try:
                at = _seconds(cells[0])
                metrics = {name: float(cell) for name, cell in zip(names, cells[1:], strict=True) if cell}
            except (ValueError, IndexError):
                raise ConfigError(f"{where}: Expected a time and {len(names)} numbers") from None
            if at < last:
                raise ConfigError(f"{where}: Expected a time after the line before")
            last = at
            yield at, metrics


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()


def rehearse(rules: Sequence[Rule], series: Iterator[tuple[float, dict[str, float]]]) -> list[Told]:
    """Return what ``rules`` tell of a series; times count from its beginning, and no action is run."""
    start = now = 0.0
    alerting = PerformanceAlerting(rules, clock=lambda: now)
    told = []
    for place, (at, metrics) in enumerate(series):
        start = start if place else at
        now = at - start
        told += [
            Told(now, alert.rule, alert.state, alert.message) for alert in alerting.evaluate(metrics, now, at)
        ]
    return told


def disagreements(told: Sequence[Told], expected: Sequence[Expected]) -> list[str]:
    """Return a line for each thing expected and not told, or told and not expected."""
    rest, lines = list(told), []
    for wanted in expected:
        match = next((t for t in rest if _meets(t, wanted)), None)
        if match is None:
            lines.append(f"expected at {wanted.at:g} s, not told: {wanted.rule} {wanted.state}")
        else:
            rest.remove(match)
    return lines + [f"told at {t.at:g} s, not expected: {t.rule} {t.state}" for t in rest]


def _meets(told: Told, wanted: Expected) -> bool:
    same = told.rule == wanted.rule and told.state == wanted.state
    return same and abs(told.at - wanted.at) <= wanted.within + 1e-9
