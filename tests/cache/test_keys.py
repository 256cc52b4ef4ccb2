"""Keys below the memory tier: what a dict takes for one key is one byte string, and the other way round."""

from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcore.cache.keys import decode_key, digest, encode_key
from perfcore.errors import CodecError

small = st.integers(-3, 3) | st.sampled_from([2**63, -(2**63), 127, 128, -128, -129, 255, 256])
scalars = (
    st.none()
    | st.booleans()
    | small
    | st.integers()
    | small.map(float)
    | st.text(st.characters(exclude_categories=()), max_size=5)
    | st.sampled_from(["", "1", "s", "\ud800"])
    | st.binary(max_size=5)
)
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)


@given(keys, keys)
def test_two_keys_are_one_exactly_if_a_dict_says_so(left, right):
    assert (encode_key(left) == encode_key(right)) == (left in {right: None})


@given(keys)
def test_a_key_comes_back_as_one_that_finds_the_same_place(key):
    back = decode_key(encode_key(key))
    assert back == key
    assert hash(back) == hash(key)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_key_are_refused_and_no_key_has_two_spellings(data):
    try:
        key = decode_key(data)
    except CodecError:
        return
    assert encode_key(key) == data


@pytest.mark.parametrize(
    "key",
    [1.5, float("inf"), float("nan"), 1j, [], {}, {1}, frozenset(), object(), bytearray(b"a"), ("a", [1])],
)
def test_anything_else_is_a_type_error(key):
    with pytest.raises(TypeError, match="key"):
        encode_key(key)


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    A = "a"


class Loose(str):
    """A str that finds itself in other places of a dict than its text would."""

    __slots__ = ()

    def __eq__(self, other):
        return self.lower() == str(other).lower()

    def __hash__(self):
        return hash(self.lower())


def test_a_subclass_counts_as_its_base_only_if_it_compares_like_it():
    assert encode_key(Number.ONE) == encode_key(1)
    assert encode_key((Word.A,)) == encode_key(("a",))
    with pytest.raises(TypeError, match="Loose"):
        encode_key(Loose("a"))


def test_a_key_has_a_bounded_depth():
    key = ()
    for _ in range(31):
        key = (key,)
    assert decode_key(encode_key(key)) == key
    with pytest.raises(TypeError, match="deep"):
        encode_key((key,))
    deep = b"t"
    for _ in range(5000):
        deep = b"t" + len(deep).to_bytes(4, "big") + deep
    with pytest.raises(CodecError):
        decode_key(deep)


def test_digests_are_of_fixed_size_and_stable_across_versions():
    assert digest(encode_key("user:1")).hex() == "e812a6aa871a4cd3842001d918f43468"
