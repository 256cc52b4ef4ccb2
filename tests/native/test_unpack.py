"""MessagePack to objects in one pass: what msgspec reads, nothing that a length only promises, no leak."""

import gc
import sys

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import DecodeError, msgpack
from native.test_plain import EDGES, SCALARS, VALUES, nested

from perfcore._native.plain import MAX_DEPTH, pack_plain
from perfcore._native.unpack import unpack_plain


def refuse(code, view):
    raise ValueError(f"extension {code}")


def read(data, hook=refuse):
    return unpack_plain(hook, data)


@settings(max_examples=effort(200), deadline=None)
@given(VALUES)
def test_it_reads_what_was_written(value):
    packed = pack_plain(value)
    assert repr(read(packed)) == repr(read(memoryview(packed))) == repr(msgpack.decode(packed))


@pytest.mark.parametrize("value", EDGES, ids=lambda value: f"{type(value).__name__}-{str(value)[:20]}")
def test_it_does_at_every_edge(value):
    if type(value) is not int or -(1 << 63) <= value < 1 << 64:
        found = read(pack_plain([value]))[0]
        assert (found, type(found)) == (value, type(value))


@settings(max_examples=effort(300), deadline=None)
@given(VALUES, st.data())
def test_what_it_makes_of_damage_msgspec_makes_of_it_too(value, data):
    packed = bytearray(pack_plain(value))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    packed = packed[: data.draw(st.integers(0, len(packed)))]
    try:
        found = read(packed)
    except (ValueError, TypeError):  # an unhashable key is the other
        return
    assert repr(found) == repr(msgpack.decode(packed))


@given(st.binary(max_size=40))
def test_what_it_makes_of_anything_msgspec_makes_of_it_too(data):
    try:
        found = read(data)
    except (ValueError, TypeError):
        return
    try:
        assert repr(found) == repr(msgpack.decode(data))
    except DecodeError as error:
        raise AssertionError(f"{found!r} of what cannot be read") from error


@given(SCALARS, st.integers(0, 300))
def test_no_beginning_of_a_value_is_one(value, cut):
    packed = pack_plain([value, value])
    with pytest.raises(ValueError, match=r"bytes end|none fits"):
        read(packed[: min(cut, len(packed) - 1)])


@pytest.mark.parametrize(
    ("data", "finding"),
    [
        (b"\xc0\xc0", "behind"),
        (b"\xc1", "tag"),
        (b"\xdd\xff\xff\xff\xff", "none fits"),
        (b"\xdf\xff\xff\xff\xff\xc0", "none fits"),
        (b"\xdb\xff\xff\xff\xffabc", "end"),
        (b"\xc9\xff\xff\xff\xff\x01", "end"),
        (b"\x81\x90\xc0", "none fits"),  # a list as a key
        (b"\x81\xd4\x05\x00\xc0", "no scalar"),  # an extension as a key
        (b"\x81\xa1\xff\xc0", "utf-8"),
        (b"\x92\xa2\xc3\xa9\xa1\xff", "utf-8"),
        (b"\x92\xdc\x00\x03" + bytes(3), "none fits"),  # each list could be held, not both
    ],
    ids=lambda part: part.hex() if isinstance(part, bytes) else "",
)
def test_it_refuses(data, finding):
    with pytest.raises(ValueError, match=finding):
        read(data)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_it_goes_so_deep_and_no_deeper(wrap):
    value = nested(MAX_DEPTH, wrap)
    assert read(pack_plain(value)) == value
    with pytest.raises(ValueError, match="none fits"):
        read(msgpack.encode(wrap(value)))


def test_it_takes_no_stack_that_there_is_not():
    def deeper(code, view):
        return read(b"\x91" * 50 + b"\xd4\x01\x00", deeper)

    with pytest.raises(RecursionError):
        deeper(1, b"")


def test_extensions_are_the_hooks_wherever_they_stand():
    packed = msgpack.encode({"a": msgpack.Ext(5, b"xy"), "b": [msgpack.Ext(-7, b"")]})
    seen = {"a": (5, b"xy"), "b": [(-7, b"")]}
    assert read(packed, lambda code, view: (code, bytes(view))) == seen


@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="each key is made anew there")
def test_a_name_is_one_object_in_all_values_until_another_takes_its_place():
    packed = pack_plain([{"identifier": 1}, {"identifier": 2}])
    (first,), (second,) = read(packed)
    (third,) = read(packed)[0]
    assert first is second is third
    for number in range(20_000):  # of 1024 places
        assert read(pack_plain({f"name {number}": number})) == {f"name {number}": number}
    assert first == "identifier", "a name that lost its place is still whole"


@given(st.lists(st.text(min_size=1, max_size=40), min_size=2))
def test_names_that_are_alike_are_not_taken_for_each_other(names):
    value = dict.fromkeys(names)
    value |= {name[:-1] + "x": 1 for name in names} | {"x" + name: 2 for name in names}
    assert list(read(pack_plain(value)).items()) == list(value.items())


def test_it_leaves_the_references_as_they_were():
    text = "a name that is known"
    value = [{text: [1.5, 10**18, "é", b"k"]}] * 3
    packed, damaged = pack_plain(value), pack_plain(value)[:-3]
    view = msgpack.encode([{text: msgpack.Ext(1, b"")}])
    known = next(iter(read(packed)[0]))
    gc.collect()
    before = [sys.getrefcount(item) for item in (known, refuse, packed, view, None)]
    for _ in range(1000):
        read(packed)
        for bad in (damaged, view, b"\x82" + view[2:], packed + b"\0"):
            with pytest.raises(ValueError):
                read(bad)
    after = [sys.getrefcount(item) for item in (known, refuse, packed, view, None)]
    assert all(abs(late - early) < 50 for early, late in zip(before, after, strict=True))
