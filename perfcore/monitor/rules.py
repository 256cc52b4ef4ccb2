"""What an alert is about: rules as plain data, from code, configuration or a TOML or JSON file.

A rule is a condition on a metric, named by its dotted path (``system.cpu.usage``), and how patient to be
about it. The fields and their meaning follow Prometheus' alerting rules and Netdata's health checks; ``for``
is spelled ``for_`` in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from perfcore.errors import ConfigError

__all__ = ["AbsenceRule", "AnomalyRule", "CompositeRule", "Rule", "ThresholdRule", "TrendRule", "load_rules"]

_Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class _Rule(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    #: Unique among the rules of one PerformanceAlerting.
    name: _Name
    severity: Literal["info", "warning", "critical"] = "warning"
    #: What people read; ``{value}``, ``{metric}`` and ``{name}`` are filled in.
    message: str = ""
    #: Seconds that the condition must hold before the alert fires.
    for_: _Seconds = msgspec.field(default=0.0, name="for")
    #: Seconds that the alert goes on firing after the condition held last.
    keep_firing_for: _Seconds = 0.0
    #: Samples in a row for which the condition must hold before the alert fires.
    min_samples: Annotated[int, msgspec.Meta(ge=1)] = 1
    #: Seconds from one firing in which it does not fire again.
    cooldown: _Seconds = 0.0
    #: Seconds after which a firing alert is told again; None for once.
    repeat_interval: Annotated[float, msgspec.Meta(gt=0)] | None = None
    #: What a missing sample counts as: the condition not held, nothing at all, or the condition held.
    no_data: Literal["ok", "keep", "alert"] = "keep"
    #: Names of actions, which are suggested in the alert and run where they are known.
    actions: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    #: Rules whose firing makes this one hold its tongue.
    inhibited_by: tuple[str, ...] = ()


class ThresholdRule(_Rule, kw_only=True, frozen=True, tag="threshold"):
    """The metric is beyond a threshold; ``clear_threshold`` is where a firing alert ends, if not at the same
    one.

    >>> ThresholdRule(name="busy", metric="system.cpu.usage", op=">", threshold=90, clear_threshold=75).for_
    0.0
    """

    metric: _Name
    op: Literal[">", ">=", "<", "<="] = ">"
    threshold: float
    clear_threshold: float | None = None

    def __post_init__(self) -> None:
        clear = self.clear_threshold
        if clear is not None and (clear > self.threshold if self.op[0] == ">" else clear < self.threshold):
            raise ValueError(f"clear_threshold {clear:g} lies beyond the threshold {self.threshold:g}")


class TrendRule(_Rule, kw_only=True, frozen=True, tag="trend"):
    """The metric goes up, or down, over ``window`` seconds (:func:`perfcore.metrics.trends.trend`)."""

    metric: _Name
    direction: Literal["up", "down"] = "up"
    window: Annotated[float, msgspec.Meta(gt=0)] = 1800.0
    significance: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.01
    minimum_change: _Seconds = 0.05


class AnomalyRule(_Rule, kw_only=True, frozen=True, tag="anomaly"):
    """The metric is out of the ordinary (:class:`perfcore.metrics.anomaly.AnomalyDetector`)."""

    metric: _Name
    mode: Literal["precise", "sensitive"] = "precise"
    resolution: _Seconds = 0.0


class AbsenceRule(_Rule, kw_only=True, frozen=True, tag="absence"):
    """The metric has no value; ``for_`` says for how long that may be."""

    metric: _Name


class CompositeRule(_Rule, kw_only=True, frozen=True, tag="composite"):
    """All of some other rules fire, or any of them."""

    of: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    need: Literal["all", "any"] = "all"


Rule: TypeAlias = ThresholdRule | TrendRule | AnomalyRule | AbsenceRule | CompositeRule


def load_rules(path: str | Path) -> list[Rule]:
    """Return the rules of a TOML or JSON file, a list under ``rules``; raises :exc:`ConfigError`.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "rules.json")
    >>> rule = {"name": "busy", "type": "threshold", "metric": "cpu", "threshold": 90, "for": 60}
    >>> _ = file.write_bytes(msgspec.json.encode({"rules": [rule]}))
    >>> load_rules(file)[0].for_
    60.0
    """
    path = Path(path)
    decode: Any = msgspec.toml.decode if path.suffix == ".toml" else msgspec.json.decode
    try:
        return list(decode(path.read_bytes(), type=_File).rules)
    except OSError as error:
        raise ConfigError(f"{path.name}: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path.name}: {error}") from error


class _File(msgspec.Struct):
    rules: list[Rule]
