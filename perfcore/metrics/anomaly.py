"""Which values of a series are out of the ordinary: a streaming detector of bounded memory.

Three views of the series (its level, its step from one value to the next, and its smoothed level) are each
compared with what three memories of different length hold to be usual: exponentially weighted mean and
deviation with half-lives of 300, 1 000 and 3 000 samples. The deviation of a view, in standard deviations, is
the **least** that a memory sees: a value is unusual only if it is so for all of them. Consensus of models of
different age is what makes Netdata's detector precise; the estimators are Finch's incremental formulas
(2009). Where hours of the day or of the week explain most of the series, three more views see what is left of
it. ``sensitive`` goes by those then, and finds what is unusual for the hour; ``precise`` wants both to agree,
and forgives what only the hour explains.

``make nab`` prints what this is worth on labelled series, beside published detectors.
"""

from __future__ import annotations

from math import isfinite, log, log1p, sqrt
from typing import Literal, NamedTuple

from perfcore._repr import safe_repr
from perfcore.metrics.season import DAY, HOUR, QUARTER, WEEK, Season

__all__ = ["Anomaly", "AnomalyDetector"]

#: Half-lives of the memories in samples: five minutes, a quarter of an hour and three quarters at one a
#: second.
_MEMORIES = (300, 1000, 3000)
_RATES = tuple(1 - 0.5 ** (1 / samples) for samples in _MEMORIES)
#: Half-life of the smoothed level: a shift counts once it has lasted for about a dozen samples.
_SMOOTHING = 1 - 0.5 ** (1 / 12)
#: Samples before anything is reported: with fewer a standard deviation is off by more than a tenth
#: (1/sqrt(2n)).
_WARM_UP = 50
#: ``precise`` reports when the smoothed level is four standard deviations from where it was.
_PRECISE = 4.0
#: ``sensitive`` multiplies 1 + deviation over the views, the odds against all three if their tails fell by a
#: power law and were independent, and reports from 100 to 1 on.
_SENSITIVE = log(100)
#: A season replaces the level when less than this share of the variance is left.
_EXPLAINED = 0.5


class Anomaly(NamedTuple):
    """What :meth:`AnomalyDetector.update` says of a value."""

    #: From 0 to 1; anomalous from 0.5 on. 0 during the cooldown after an anomaly that was as large.
    score: float
    is_anomaly: bool
    #: The mean of the middle memory, or the usual value at that time of the day or week.
    expected: float
    #: Of level, step and smoothed level, in standard deviations, as the most tolerant memory sees it.
    deviations: tuple[float, float, float]


_Deviations = tuple[float, float, float]


def _less(a: _Deviations, b: _Deviations) -> _Deviations:
    return min(a[0], b[0]), min(a[1], b[1]), min(a[2], b[2])


class _View:
    """One view of the series, and what the memories hold to be usual of it."""

    __slots__ = ("count", "means", "variances")

    def __init__(self) -> None:
        self.means = (0.0, 0.0, 0.0)
        self.variances = (0.0, 0.0, 0.0)
        self.count = 0

    def see(self, value: float, floor: float) -> float:
        """Return how far off ``value`` is, and learn from it; written out, which halves its cost."""
        (mean0, mean1, mean2), (var0, var1, var2) = self.means, self.variances
        off0, off1, off2 = value - mean0, value - mean1, value - mean2
        least = 0.0
        if self.count >= _WARM_UP:
            floor *= floor
            least = sqrt(
                min(
                    off0 * off0 / (var0 if var0 > floor else floor),
                    off1 * off1 / (var1 if var1 > floor else floor),
                    off2 * off2 / (var2 if var2 > floor else floor),
                )
            )
        self.count += 1
        rate0, rate1, rate2 = _RATES
        if self.count < _MEMORIES[-1] * 2:  # a plain average until there is more to forget than to learn
            start = 1 / self.count
            rate0, rate1, rate2 = max(rate0, start), max(rate1, start), max(rate2, start)
        self.means = mean0 + rate0 * off0, mean1 + rate1 * off1, mean2 + rate2 * off2
        self.variances = (
            (1 - rate0) * (var0 + rate0 * off0 * off0),
            (1 - rate1) * (var1 + rate1 * off1 * off1),
            (1 - rate2) * (var2 + rate2 * off2 * off2),
        )
        return least


class _Views:
    """Level, step and smoothed level of a series."""

    __slots__ = ("floor", "last", "level", "smooth", "smoothed", "step")

    def __init__(self, floor: float) -> None:
        self.level, self.step, self.smooth = _View(), _View(), _View()
        self.last = self.smoothed = 0.0
        self.floor = floor

    def see(self, value: float) -> _Deviations:
        if self.level.count == 0:
            self.last = self.smoothed = value
        step, self.last = value - self.last, value
        self.smoothed += _SMOOTHING * (value - self.smoothed)
        floor = max(self.floor, abs(self.level.means[1]) * 1e-9)
        return self.level.see(value, floor), self.step.see(step, floor), self.smooth.see(self.smoothed, floor)


class AnomalyDetector:
    """AnomalyDetector(mode="precise", *, cooldown=200, resolution=0.0)

    Says of each value of a series whether it is out of the ordinary.

    ``mode`` is ``"precise"``: lasting shifts of the level, and few false alarms, or ``"sensitive"``: single
    values and jumps as well. After an anomaly further ones are reported for ``cooldown`` samples only if they
    are larger. Differences up to ``resolution``, in the unit of the values, are never unusual; give it where
    the values are rounded and often constant. A detector takes about 7 KB, most of it for the times of a day
    and a week.

    Raises ValueError when an argument makes no sense.

    >>> detector = AnomalyDetector()
    >>> usual = [detector.update(10 + i % 3, i) for i in range(500)]
    >>> any(anomaly.is_anomaly for anomaly in usual)
    False
    >>> outage = [detector.update(40 + i % 3, 500 + i) for i in range(20)]
    >>> any(anomaly.is_anomaly for anomaly in outage)
    True
    """

    def __init__(
        self,
        mode: Literal["precise", "sensitive"] = "precise",
        *,
        cooldown: int = 200,
        resolution: float = 0.0,
    ) -> None:
        if mode not in ("precise", "sensitive"):
            raise ValueError(f"mode must be 'precise' or 'sensitive', got {mode!r}")
        if not isinstance(cooldown, int) or cooldown < 0:
            raise ValueError(f"cooldown must be a number of samples of at least 0, got {cooldown!r}")
        if not (isfinite(resolution) and resolution >= 0):
            raise ValueError(f"resolution must be finite and not negative, got {resolution!r}")
        self._precise = mode == "precise"
        self._cooldown = cooldown
        floor = max(resolution, 1e-12)
        self._plain = _Views(floor)
        self._seasons = [
            (Season(period, width), _Views(floor)) for period, width in ((DAY, QUARTER), (WEEK, HOUR))
        ]
        self._since, self._reported = cooldown, 0.0

    @safe_repr
    def __repr__(self) -> str:
        return f"<AnomalyDetector: {'precise' if self._precise else 'sensitive'}>"

    def update(self, value: float, timestamp: float | None = None) -> Anomaly:
        """Say whether ``value`` is out of the ordinary, and learn from it.

        ``timestamp`` is Unix seconds, and what seasons are learnt by; without it there are none. A value that
        is not finite is a gap: it is neither judged nor learnt from.
        """
        if not isfinite(value):
            return Anomaly(0.0, False, self._plain.level.means[1], (0.0, 0.0, 0.0))
        expected = self._plain.level.means[1]
        deviations = self._plain.see(value)
        if timestamp is not None:
            expected, deviations = self._in_season(value, timestamp, expected, deviations)
        score = self._cooled(self._score(deviations))
        return Anomaly(score, score >= 0.5, expected, deviations)

    def _in_season(
        self, value: float, timestamp: float, expected: float, plain: _Deviations
    ) -> tuple[float, _Deviations]:
        """Let each season judge the value; the one that leaves the least unexplained is believed."""
        least, within = _EXPLAINED, plain
        for season, views in self._seasons:
            usual = season.expected(timestamp)
            if usual is not None:
                seen = views.see(value - usual)
                if season.unexplained < least and views.level.count > _WARM_UP:
                    least, expected, within = season.unexplained, usual, seen
            season.learn(value, timestamp)
        return expected, _less(plain, within) if self._precise else within

    def _score(self, deviations: _Deviations) -> float:
        strength, limit = deviations[2], _PRECISE
        if not self._precise:
            strength, limit = sum(map(log1p, deviations)), _SENSITIVE
        return strength / (strength + limit)

    def _cooled(self, score: float) -> float:
        self._since += 1
        if self._since <= self._cooldown and score <= self._reported:
            return 0.0
        if score >= 0.5:
            self._since, self._reported = 0, score
        return score
