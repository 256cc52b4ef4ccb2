"""What is encoded comes back equal and of the same type; what cannot is refused by name."""

import re
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from cache.values import Frozen, Node, Pair, Rights, arrays, dtypes, plain, same, values
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from perfcore.cache import codec
from perfcore.cache.codec import MAX_DEPTH, Codec
from perfcore.cache.codec import values as codec_values
from perfcore.errors import CodecError


def there_and_back(value):
    return codec.decode(codec.encode(value))


@given(values)
def test_every_value_comes_back_as_it_was(value):
    assert same(there_and_back(value), value)


@given(plain)
def test_so_do_the_plain_values_that_take_the_short_way(value):
    assert same(there_and_back(value), value)


@given(st.data(), dtypes)
def test_arrays_of_every_plain_dtype_come_back_with_dtype_shape_and_data(data, dtype):
    array = data.draw(nps.arrays(dtype, nps.array_shapes(min_dims=0, min_side=0, max_side=3)))
    assert same(there_and_back(array), array)
    assert same(there_and_back([array])[0], array)


@given(arrays)
def test_scalars_of_numpy_keep_their_type(array):
    for scalar in array.flat:
        back = there_and_back(scalar)
        assert type(back) is type(scalar)
        assert back.tobytes() == scalar.tobytes()


def test_types_of_one_size_stay_apart_and_text_keeps_its_nuls():
    assert type(there_and_back(np.longlong(3))) is np.longlong
    assert there_and_back(np.zeros(2, np.longlong)).dtype.char == "q"
    assert there_and_back(np.str_("a\0")) == np.str_("a\0")
    assert there_and_back(np.bytes_(b"a\0")) == np.bytes_(b"a\0")
    assert same(there_and_back(np.array([b"ab\0", b""], "V3")), np.array([b"ab\0", b""], "V3"))


def test_an_array_keeps_its_layout_and_whether_it_can_be_written():
    frozen = np.arange(6.0)
    frozen.flags.writeable = False
    fortran = np.asfortranarray(np.arange(6).reshape(2, 3))
    assert there_and_back(np.arange(3)).flags.writeable
    assert not there_and_back(frozen).flags.writeable
    assert there_and_back(frozen).flags.aligned
    assert there_and_back(fortran).flags.f_contiguous
    assert same(there_and_back(np.arange(10)[::-3]), np.arange(10)[::-3])


def test_bytes_are_not_copied_on_the_way_in():
    value = bytes(100)
    assert Codec().pack(value)[1] is value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: None,
        int,
        deque([1]),
        OrderedDict(a=1),
        type("Text", (str,), {})("a"),
        type("Number", (int,), {})(1),
        np.array([None]),
        np.array([(1, None)], [("a", int), ("b", object)]),
        np.ma.array([1]),
        np.dtype("i4"),
        np.add,
        datetime(
            2026, 1, 1, tzinfo=type("Zone", (tzinfo,), {"utcoffset": lambda self, when: timedelta(0)})()
        ),
        memoryview(b"a"),
        range(3),
        Ellipsis,
        iter([]),
        Fraction(1, 3**100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused_wherever_they_hide(value):
    for shape in ([value], {"a": (value,)}, Node("n", [value]), [[1], {"a": value}]):
        with pytest.raises(TypeError, match="cannot store"):
            codec.encode(shape)
    with pytest.raises(TypeError, match="cannot store"):
        codec.encode(value)


def recursive_values():
    yield (items := []).append(items) or items
    yield (table := {}).update(a=[table]) or table
    node = Node("n")
    node.children = (node,)
    yield node
    pair = ([],)
    pair[0].append(pair)
    yield pair
    wide = []
    wide += [wide, wide, [wide]]
    yield wide


@pytest.mark.parametrize("value", list(recursive_values()), ids=lambda value: type(value).__name__)
def test_recursive_structures_are_refused_as_such(value):
    with pytest.raises(TypeError, match="recursive"):
        codec.encode(value)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}, lambda x: Pair(x)])
def test_values_are_nested_up_to_a_bound(wrap):
    value = 1
    for _ in range(MAX_DEPTH):
        value = wrap(value)
    assert same(there_and_back(value), value)
    with pytest.raises(TypeError, match="deep"):
        codec.encode(wrap(value))


@pytest.mark.parametrize(
    "double",
    [
        lambda inner: (inner, inner),
        lambda inner: [inner, {2: inner}],
        lambda inner: {(1,): inner, (2,): inner},
    ],
    ids=["tuples", "lists and dicts", "dicts of pairs"],
)
def test_a_value_that_doubles_at_each_level_is_refused_in_bounded_time(double, monkeypatch):
    monkeypatch.setattr(codec_values, "_MOST_PARTS", 1 << 14)  # of the 4 million, for which it takes seconds
    value = (1,)
    for _ in range(60):
        value = double(value)
    with pytest.raises(TypeError, match="parts"):
        codec.encode(value)


def test_a_value_that_grows_with_each_level_is_refused_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(codec_values, "_MOST_BYTES", 1 << 24)
    value = (bytes(1000),) * 1000
    for _ in range(60):
        value = (value, value)
    with pytest.raises(TypeError, match="takes more than"):
        codec.encode(value)


def test_a_value_that_holds_one_object_often_is_not_taken_for_recursive():
    row = [1, 2]
    assert there_and_back([row] * 5000) == [row] * 5000
    doubled = [0]
    for _ in range(15):
        doubled = [doubled, doubled]
    assert there_and_back(doubled) == doubled


# --- the allow-list -----------------------------------------------------------------------------------------


def test_a_class_must_be_allowed_first():
    @dataclass
    class Unknown:
        a: int = 1

    with pytest.raises(TypeError, match=r"Unknown.*codec\.allow\(Unknown\)"):
        codec.encode(Unknown())
    codec.allow(Unknown)
    assert there_and_back(Unknown(5)) == Unknown(5)


def test_a_subclass_is_not_allowed_by_its_base():
    class Special(Node):
        pass

    with pytest.raises(TypeError, match="Special"):
        codec.encode(Special("n"))


def test_a_dataclass_is_rebuilt_without_its_constructor():
    @codec.allow
    @dataclass
    class Guarded:
        a: int

        def __post_init__(self):
            if self.a < 0:
                raise ValueError("negative")

    guarded = Guarded(1)
    guarded.a = -1
    assert there_and_back(guarded) == guarded


def test_a_class_with_other_fields_than_before_does_not_fit():
    def version(*fields):
        return codec.allow(msgspec.defstruct("Changing", fields, module="test"), name=None)

    old = codec.encode(version("a", "b")(1, 2))
    assert codec.decode(old).b == 2
    version("a", "c")
    with pytest.raises(CodecError, match="other fields"):
        codec.decode(old)


def test_instances_of_a_class_that_was_defined_anew_are_not_stored_as_the_new_one():
    def define():
        @codec.allow
        class Again(NamedTuple):
            a: int

        return Again

    old, new = define(), define()
    assert there_and_back(new(1)) == new(1)
    with pytest.raises(TypeError, match="Again"):
        codec.encode(old(1))


def test_a_name_belongs_to_one_class():
    class First:
        pass

    ways = {"pack": lambda value: None, "unpack": lambda value: First()}
    codec.allow(First, name="taken", **ways)
    codec.allow(First, name="taken", **ways)
    with pytest.raises(ValueError, match="taken"):
        codec.allow(type("Second", (), {}), name="taken", **ways)


@pytest.mark.parametrize("cls", [dict, type("Plain", (), {}), dataclass(type("Listed", (list,), {}))])
def test_a_class_that_cannot_be_rebuilt_from_fields_says_what_it_needs(cls):
    with pytest.raises(TypeError, match="give pack= and unpack="):
        codec.allow(cls)


def test_a_half_made_instance_is_refused():
    half = object.__new__(Node)
    with pytest.raises(TypeError, match="name"):
        codec.encode(half)


def test_an_enum_member_that_no_longer_exists_is_a_codec_error():
    def define(**members):
        return codec.allow(Enum("Shade", members, module="test"))

    old = codec.encode(define(DARK=1, LIGHT=2).LIGHT)
    define(DARK=1)
    with pytest.raises(CodecError):
        codec.decode(old)


def test_combined_flags_and_fields_that_compare_ignores_come_back():
    assert there_and_back(Rights.READ | Rights.WRITE) is Rights.READ | Rights.WRITE
    assert there_and_back(Frozen(1, b=[2])).b == [2]


# --- options ------------------------------------------------------------------------------------------------


def test_pickle_is_an_explicit_choice_on_both_sides():
    trusting = Codec(pickle=True)
    value = deque([1, 2], maxlen=5)
    data = trusting.encode(value)
    assert trusting.decode(data) == value
    with pytest.raises(CodecError, match="pickle"):
        codec.decode(data)
    items = []
    items.append(items)
    assert (back := trusting.decode(trusting.encode(items)))[0] is back


def test_a_signed_entry_is_read_only_with_its_secret():
    ours, theirs = Codec(secret=b"k" * 16), Codec(secret=b"x" * 16)
    data = ours.encode({"a": 1}, key=b"sname")
    assert ours.decode(data, key=b"sname") == {"a": 1}
    for reader, forged in (
        (theirs, data),
        (ours, codec.encode({"a": 1}, key=b"sname")),
        (ours, data[:-1] + b"?"),
    ):
        with pytest.raises(CodecError, match="sign"):
            reader.decode(forged, key=b"sname")


def test_a_secret_has_some_length_and_is_not_shown():
    with pytest.raises(ValueError, match="16 bytes"):
        Codec(secret=b"short")
    assert not re.search("kkk", repr(Codec(secret=b"k" * 16)))


def test_an_aware_datetime_keeps_the_zone_it_was_written_in():
    from zoneinfo import ZoneInfo

    berlin = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    back = there_and_back(berlin)
    assert back.tzinfo is berlin.tzinfo
    assert back.utcoffset() == berlin.utcoffset()
    assert there_and_back(datetime(2026, 1, 1, tzinfo=UTC)).tzinfo is UTC
