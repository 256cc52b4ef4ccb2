"""Sizes and durations: what people write is read exactly, and nonsense is refused."""

import math
from datetime import timedelta
from decimal import Decimal

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore.units import format_size, parse_duration, parse_size

POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


@st.composite
def written_sizes(draw):
    """Return a size as text, and the exact number of bytes by decimal arithmetic."""
    number = draw(st.decimals(min_value=0, max_value=8000, places=draw(st.integers(0, 6))))
    letter = draw(st.sampled_from(list(POWERS)))
    suffix = draw(st.sampled_from(["", "B"] if not letter else ["", "B", "iB"]))
    unit = draw(st.sampled_from([str.upper, str.lower, str]))(letter + suffix)
    text = f"{draw(st.sampled_from(['', ' ']))}{number}{' ' * draw(st.integers(0, 2))}{unit} "
    return text, int(number * 1024 ** POWERS[letter])


@settings(deadline=None)
@given(written_sizes())
def test_a_size_is_its_number_times_a_power_of_1024(written):
    text, size = written
    assert parse_size(text) == size


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1))
def test_a_number_of_bytes_is_itself(size):
    assert parse_size(size) == parse_size(str(size)) == size
    assert parse_size(numpy.uint64(size)) == size


@settings(deadline=None)
@given(st.integers(0, 2**62))
def test_a_size_for_people_is_read_back_within_five_percent(size):
    text = format_size(size)
    assert abs(parse_size(text) - size) <= size / 20
    assert len(text) <= 8  # "1023.9KB"
    assert format_size(parse_size(text)) == text


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_size_or_a_value_error(text):
    try:
        size = parse_size(text)
    except ValueError as error:
        assert "256MB" in str(error) or "2**63" in str(error)
    else:
        assert Decimal(text.strip().rstrip("bBiIkKmMgGtTpP ")) >= 0
        assert 0 <= size < 2**63


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MB",
        "-1",
        "-1KB",
        "+1",
        "1e3",
        "nan",
        "inf",
        "1.KB",
        ".5KB",
        "1,5MB",
        "1Ki",
        "5iB",
        "1 K B",
        "٣KB",
        "0x10",
    ],
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="a size is an integer of bytes or a string such as"):
        parse_size(text)


@pytest.mark.parametrize("value", [True, False, 1.0, math.nan, None, b"1KB", [1], numpy.float64(2)])
def test_a_size_of_another_type_is_a_type_error(value):
    with pytest.raises(TypeError, match="a size is an integer of bytes"):
        parse_size(value)


@pytest.mark.parametrize(
    "value", [-1, 2**63, "8192PB", "9" * 30, "9" * 5000, pytest.param(10**5000, id="huge")]
)
def test_a_size_is_neither_negative_nor_beyond_63_bits(value):
    with pytest.raises(ValueError, match="a size"):
        parse_size(value)


@settings(deadline=None)
@given(st.floats(0, 1e300) | st.integers(0, 2**200))
def test_a_duration_is_a_number_of_seconds(seconds):
    assert parse_duration(seconds) == float(seconds)


@settings(deadline=None)
@given(st.timedeltas(min_value=timedelta(0)))
def test_a_duration_may_be_a_timedelta(delta):
    assert parse_duration(delta) == delta.total_seconds()


@pytest.mark.parametrize("value", [-1, -0.5, math.nan, math.inf, 10**400, timedelta(seconds=-1)])
def test_a_duration_is_finite_and_not_negative(value):
    with pytest.raises(ValueError, match="a duration is finite and not negative"):
        parse_duration(value)


@pytest.mark.parametrize("value", [True, "5s", None, [1]])
def test_a_duration_of_another_type_is_a_type_error(value):
    with pytest.raises(TypeError, match="a duration is a number of seconds or a timedelta"):
        parse_duration(value)
