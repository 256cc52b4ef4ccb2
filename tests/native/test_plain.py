"""MessagePack of plain values in one pass: as msgspec writes it, and only where msgspec brings it back."""

import gc
import sys
from collections import OrderedDict
from enum import IntEnum

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from perfcore._native.plain import MAX_DEPTH, pack_plain

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(st.characters(codec="utf-8"))
    | st.binary()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(SCALARS, inner), max_leaves=30)
EDGES = [
    *(sign * (1 << bits) + off for bits in range(64) for sign in (1, -1) for off in (-1, 0, 1)),
    *("x" * size for size in (0, 31, 32, 255, 256, 65_535, 65_536)),
    *("é" * size for size in (15, 16, 127, 128, 40_000)),
    *(bytes(size) for size in (0, 255, 256, 65_535, 65_536)),
    *([0] * size for size in (15, 16, 65_535, 65_536)),
    *(dict.fromkeys(range(size)) for size in (15, 16, 65_535, 65_536)),
    1 << 64,
    -(1 << 63) - 1,
]


class Colour(IntEnum):
    RED = 1


class Text(str):
    pass


@settings(max_examples=effort(200), deadline=None)
@given(VALUES)
def test_it_writes_what_msgspec_writes(value):
    assert pack_plain(value) == msgpack.encode(value)


@pytest.mark.parametrize("value", EDGES, ids=lambda value: f"{type(value).__name__}-{str(value)[:20]}")
def test_it_does_at_every_edge(value):
    if type(value) is int and not -(1 << 63) <= value < 1 << 64:
        assert pack_plain(value) is None
    else:
        assert pack_plain(value) == pack_plain([value])[1:] == msgpack.encode(value)


@pytest.mark.parametrize(
    "value",
    [
        (),
        {1},
        frozenset(),
        1j,
        Colour.RED,
        Text("a"),
        OrderedDict(),
        bytearray(),
        "\ud800",
        object(),
        10**30,
        len,
    ],
    ids=repr,
)
def test_what_msgspec_would_not_bring_back_is_left_alone_wherever_it_is(value):
    assert pack_plain(value) is None
    assert pack_plain([1, {"a": [value]}]) is None
    if value.__hash__ is not None:
        assert pack_plain({value: 1}) is None


def nested(depth, wrap):
    value = None
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_it_goes_so_deep_and_no_deeper(wrap):
    assert msgpack.decode(pack_plain(nested(MAX_DEPTH, wrap))) == nested(MAX_DEPTH, wrap)
    assert pack_plain(nested(MAX_DEPTH + 1, wrap)) is None
    endless = []
    endless.append(endless)
    assert pack_plain(endless) is None


def test_a_value_that_doubles_at_each_level_is_refused_in_bounded_memory():
    value = "x" * 1000
    for _ in range(60):
        value = [value, value]
    with pytest.raises(TypeError, match="gigabyte"):
        pack_plain(value)


def test_it_leaves_the_references_and_the_texts_as_they_were():
    text = "é" * 1000
    value = {"a": [text, 1.5, 10**18, None], b"k": {"b": text}}
    before, size = [sys.getrefcount(item) for item in (text, value, value["a"])], sys.getsizeof(text)
    gc.collect()
    for _ in range(100):
        pack_plain(value)
        pack_plain([value, ()])
        pack_plain([value, "\ud800"])
        pack_plain([value, 1 << 64])
    assert [sys.getrefcount(item) for item in (text, value, value["a"])] == before
    assert sys.getsizeof(text) == size
