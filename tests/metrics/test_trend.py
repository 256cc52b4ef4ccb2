"""Up, down or flat: few false alarms where neighbours are alike, and slopes that outliers do not move."""

import math
import subprocess
import sys

import numpy as np
import pytest
from effort import effort
from hypothesis import assume, given
from hypothesis import strategies as st

from perfcore.metrics.trends import trend

series = st.lists(st.integers(-1000, 1000).map(float), min_size=8, max_size=60)


def noise(rng, length, rho):
    row = rng.standard_normal(length + 100)
    for i in range(1, len(row)):
        row[i] += rho * row[i - 1]
    return row[100:] * math.sqrt(1 - rho * rho)


@given(series)
def test_the_slope_is_the_median_of_all_slopes(values):
    slopes = [(b - a) / (j - i) for i, a in enumerate(values) for j, b in enumerate(values) if i < j]
    found = trend(values)
    assert found.slope == pytest.approx(np.median(slopes))
    assert found.low <= found.slope <= found.high
    assert 0 <= found.p <= 1
    assert found.change == pytest.approx(found.slope * (len(values) - 1))


@given(series)
def test_turned_upside_down_it_is_the_opposite(values):
    found, turned = trend(values), trend([-value for value in values])
    assert turned.slope == pytest.approx(-found.slope)
    assert turned.p == pytest.approx(found.p)
    assert {found.direction, turned.direction} in ({"flat"}, {"up", "down"})


@given(series, st.integers(1, 100), st.integers(-(10**6), 10**6))
def test_the_unit_of_time_and_its_origin_do_not_matter(values, unit, origin):
    times = [origin + unit * i for i in range(len(values))]
    assert trend(values, times).slope * unit == pytest.approx(trend(values).slope)


@given(series, st.data())
def test_gaps_count_for_nothing(values, data):
    gaps = data.draw(st.sets(st.integers(0, len(values) - 1), max_size=len(values) - 8))
    holed = [math.nan if i in gaps else value for i, value in enumerate(values)]
    kept = [i for i in range(len(values)) if i not in gaps]
    assert trend(holed) == trend([values[i] for i in kept], kept)


@given(st.lists(st.floats(-1e6, 1e6), max_size=7))
def test_with_fewer_than_eight_points_nothing_is_said(values):
    assert trend(values).direction == "flat"
    assert trend(values).p == 1.0


def test_a_fifth_of_wild_values_does_not_move_the_slope():
    rng = np.random.default_rng(3)
    values = 2.0 * np.arange(100) + rng.standard_normal(100)
    values[rng.choice(100, 20, replace=False)] = 1e6
    assert trend(values).slope == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_noise_raises_few_false_alarms(rho):
    rng = np.random.default_rng(5)
    runs = effort(500)
    assert sum(trend(noise(rng, 120, rho)).p <= 0.05 for _ in range(runs)) / runs <= 0.08


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_a_leak_of_a_hundredth_a_minute_is_seen_in_half_an_hour(rho):
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(20):
        level = 1000 * (1 + 0.01 * np.arange(1800) / 60)
        found += trend(level + 100 * noise(rng, 1800, rho)).direction == "up"
    assert found == 20


def test_what_is_significant_but_small_is_flat():
    values = 1000 + 0.001 * np.arange(100)
    assert trend(values).p < 0.05
    assert trend(values).direction == "flat"
    assert trend(values, minimum_change=0.0).direction == "up"


def test_of_points_with_one_timestamp_the_last_counts():
    assert trend([5.0, *range(10)], [0, *range(10)]) == trend(list(map(float, range(10))))


@pytest.mark.parametrize(
    ("values", "times", "message"),
    [
        ([1.0] * 9, [1.0] * 8, "one length"),
        ([1.0] * 9, [3, 2, *range(7)], "ascend"),
        ([[1.0]], None, "shapes"),
    ],
)
def test_bad_input_is_named(values, times, message):
    with pytest.raises(ValueError, match=message):
        trend(values, times)


@given(series)
def test_ties_do_not_make_it_surer(values):
    assume(len(set(values)) > 1)
    coarse = [math.copysign(abs(value) // 500, value) for value in values]
    assert trend(coarse).p >= 0


def test_the_function_is_what_the_room_calls_trend_whatever_was_loaded_first():
    code = "import perfcore.monitor.conditions, perfcore.metrics; print(callable(perfcore.metrics.trend))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
