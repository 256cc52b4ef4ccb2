"""The detector: quiet on what is usual, however odd its shape; loud on what is not; small for ever."""

import json
import math
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import need_shared

from perfcore.metrics.anomaly import AnomalyDetector
from perfcore.metrics.season import DAY, QUARTER, Season

ROOT = Path(__file__).parents[2]
MODES = ["precise", "sensitive"]
HOUR = 3600.0


def flagged(detector, values, start=0.0, step=None):
    """Return the indexes of the values that are called anomalous."""
    times = [None if step is None else start + step * i for i in range(len(values))]
    return [i for i, (v, t) in enumerate(zip(values, times, strict=True)) if detector.update(v, t).is_anomaly]


@given(st.sampled_from(MODES), st.lists(st.floats(), max_size=120), st.booleans())
def test_any_value_gets_a_score_from_0_to_1(mode, values, timed):
    detector = AnomalyDetector(mode)
    for i, value in enumerate(values):
        found = detector.update(value, 600.0 * i if timed else None)
        assert 0 <= found.score <= 1
        assert found.is_anomaly == (found.score >= 0.5)


@pytest.mark.parametrize("mode", MODES)
def test_a_constant_is_quiet_and_its_first_change_is_not(mode):
    detector = AnomalyDetector(mode)
    assert flagged(detector, [0.0] * 1000) == []
    assert flagged(detector, [1.0] * 20)[:1] == [0]


@pytest.mark.parametrize("mode", MODES)
def test_within_the_resolution_nothing_is_unusual(mode):
    detector = AnomalyDetector(mode, resolution=1.0)
    assert flagged(detector, [0.0] * 1000 + [1.0] * 20) == []


@pytest.mark.parametrize("mode", MODES)
def test_gaussian_noise_is_quiet(mode):
    draw = random.Random(11)
    alarms = flagged(AnomalyDetector(mode), [draw.gauss(10, 2) for _ in range(20_000)])
    assert len(alarms) <= 4


@pytest.mark.parametrize("mode", MODES)
def test_a_lasting_shift_is_found(mode):
    draw = random.Random(12)
    detector = AnomalyDetector(mode)
    flagged(detector, [draw.gauss(10, 1) for _ in range(2000)])
    assert flagged(detector, [draw.gauss(20, 1) for _ in range(30)])


@pytest.mark.parametrize(("mode", "least", "most"), [("sensitive", 18, 20), ("precise", 0, 4)])
def test_one_spike_is_for_the_sensitive(mode, least, most):
    found = 0
    for seed in range(20):
        draw, detector = random.Random(seed), AnomalyDetector(mode)
        flagged(detector, [draw.gauss(10, 1) for _ in range(2000)])
        found += bool(flagged(detector, [17.0, *(draw.gauss(10, 1) for _ in range(50))]))
    assert least <= found <= most


def test_an_anomaly_is_reported_once_until_a_larger_one():
    draw = random.Random(14)
    detector = AnomalyDetector("sensitive", cooldown=100)
    flagged(detector, [draw.gauss(10, 1) for _ in range(3000)])
    assert flagged(detector, [30.0, 10.0, 10.0, 29.0, 10.0, 90.0]) == [0, 5]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf])
def test_gaps_are_neither_judged_nor_learnt(mode, gap):
    with_gaps, without = AnomalyDetector(mode), AnomalyDetector(mode)
    draw = random.Random(15)
    for _ in range(300):
        value = draw.random()
        assert with_gaps.update(gap) == (0.0, False, with_gaps.update(gap).expected, (0.0, 0.0, 0.0))
        assert with_gaps.update(value) == without.update(value)


def busy_mornings(days, draw, skip=()):
    """A value every ten minutes: 10, and 200 between nine and ten except on the days of ``skip``."""
    return [
        (200.0 if hour == 9 and day not in skip else 10.0) + draw.gauss(0, 1)
        for day in range(days)
        for hour in range(24)
        for _ in range(6)
    ]


def test_what_happens_every_morning_is_usual_after_a_while_and_its_absence_is_not():
    draw = random.Random(16)
    detector = AnomalyDetector("sensitive", cooldown=5)
    values = busy_mornings(30, draw, skip={25})
    per_day = 24 * 6
    alarms = flagged(detector, values, step=600.0)
    assert {alarm // per_day for alarm in alarms if alarm // per_day >= 10} == {25}


def test_a_season_forgets_an_old_habit_within_a_fortnight():
    season = Season(DAY, QUARTER)
    for hour in range(24 * 40):
        day = hour // 24
        season.learn(100.0 if hour % 24 == (9 if day < 20 else 15) else 10.0, hour * HOUR)
    nine = season.expected(24 * 40 * HOUR + 9 * HOUR)
    fifteen = season.expected(24 * 40 * HOUR + 15 * HOUR)
    assert nine < 12 and fifteen > 98


def test_memory_does_not_grow_with_the_series():
    detector, draw = AnomalyDetector("sensitive"), random.Random(17)
    sizes = []
    for _ in range(3):
        for i in range(3000):
            detector.update(draw.random(), i * 600.0)
        sizes.append(len(pickle.dumps(detector)))
    assert sizes[2] < 1.2 * sizes[0] < 20_000


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"mode": "loud"}, "mode"),
        ({"cooldown": -1}, "cooldown"),
        ({"cooldown": 1.5}, "cooldown"),
        ({"resolution": -1.0}, "resolution"),
        ({"resolution": math.nan}, "resolution"),
    ],
)
def test_bad_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=name):
        AnomalyDetector(**arguments)


def test_on_labelled_series_it_finds_what_it_should():
    need_shared()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.nab", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["sensitive"]["scores"]["standard"] >= 55
    assert found["precise"]["f1"] >= 0.5
    assert found["precise"]["precision"] >= 0.5
