"""What prediction tells of itself: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from perfcore.units import parse_size

__all__ = ["Limits", "Prediction", "PredictionStats", "Source", "SourceStats"]

Source = Literal["association", "context"]


class Prediction(NamedTuple):
    """A key that will be asked for soon.

    ``confidence`` is the share of such predictions of that ``source`` which came true lately, from 0 to 1:
    no opinion of a model, but what was counted.
    """

    key: Any
    confidence: float
    source: Source


class SourceStats(NamedTuple):
    """What became of the preloads of one source.

    ``issued`` were begun; of these ``failed`` could not be loaded, ``late`` ones were asked for before they
    arrived, ``used`` ones after, and ``wasted`` ones left unused. ``precision`` is the share of used ones
    among the latest, ``paused`` whether it is too low to go on for now.
    """

    issued: int
    used: int
    late: int
    wasted: int
    failed: int
    precision: float
    paused: bool


class PredictionStats(NamedTuple):
    """Counts of all sources, and of preloads that were not begun: ``dropped`` for want of room or rate.

    ``loading`` are under way, ``hanging`` ones have been given up and not come back. ``lead`` is how many
    requests loads take to arrive, ``stay`` how many an entry stays without being asked for, as measured.
    """

    enabled: bool
    requests: int
    keys: int
    sources: dict[Source, SourceStats]
    dropped: int
    loading: int
    hanging: int
    unloadable: int
    lead: float
    stay: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be preloaded: ``rate`` loads a second, ``concurrency`` at once, for ``timeout`` seconds.

    ``max_bytes`` (a number or ``"16MB"``) is what may wait for its first use. A key whose load failed is left
    alone for ``retry_after`` seconds. Raises ValueError for what makes no sense.
    """

    rate: float = 1000.0
    concurrency: int = 8
    max_bytes: int | str = "16MB"
    timeout: float = 10.0
    retry_after: float = 60.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_bytes", parse_size(self.max_bytes))
        for name in ("rate", "concurrency", "max_bytes", "timeout", "retry_after"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be positive and finite, got {value!r}")
