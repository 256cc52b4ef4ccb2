"""Values that the codec must keep: strategies for all of them, and equality that also sees types."""

import struct
from dataclasses import dataclass, field, is_dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from perfcore.cache import codec


@codec.allow
class Colour(Enum):
    RED = "r"
    GREEN = ("g", 1)


@codec.allow
class Level(IntEnum):
    LOW = 1
    HIGH = 2


@codec.allow
class Word(StrEnum):
    YES = "yes"
    NO = "no"


@codec.allow
class Rights(Flag):
    READ = 1
    WRITE = 2
    RUN = 4


@codec.allow
@dataclass
class Node:
    name: Any
    children: Any = field(default_factory=list)


@codec.allow
@dataclass(frozen=True, slots=True)
class Frozen:
    a: Any
    b: Any = field(default=None, compare=False)


@codec.allow
class Pair(NamedTuple):
    left: Any
    right: Any = None


@codec.allow
class Record(msgspec.Struct, kw_only=True, rename="camel"):
    first_part: Any
    second_part: Any = 7


@codec.allow
class Counted(msgspec.Struct):
    number: int
    doubled: int = 0

    def __post_init__(self) -> None:
        self.doubled += self.number


class Celsius:
    """A class of the application with its own way in and out."""

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __eq__(self, other: object) -> bool:
        return type(other) is Celsius and other.degrees == self.degrees

    def __hash__(self) -> int:
        return hash(self.degrees)


codec.allow(Celsius, name="celsius", pack=lambda value: value.degrees, unpack=Celsius)

text = st.text(st.characters(exclude_categories=()), max_size=20)  # with surrogates
integers = st.integers() | st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**4000])
plain_scalars = st.none() | st.booleans() | integers | st.floats() | text | st.binary(max_size=20)
zones = st.none() | st.sampled_from(
    [
        UTC,
        timezone(timedelta(hours=-3, microseconds=5)),
        timezone(timedelta(0), "Zulu"),
        ZoneInfo("Europe/Berlin"),
    ]
)
scalars = (
    plain_scalars
    | st.complex_numbers()
    | st.dates()
    | st.times(timezones=zones)
    | st.datetimes(timezones=zones)
    | st.timedeltas()
    | st.decimals()
    | st.fractions()
    | st.uuids()
    | text.map(lambda part: PurePosixPath("/a", part.replace("\0", "")))
    | st.sampled_from(
        [PureWindowsPath("C:/x"), PurePosixPath(""), *Colour, *Level, *Word, Rights.READ | Rights.RUN]
    )
)
hashable = st.recursive(
    scalars.filter(lambda value: not (isinstance(value, Decimal) and value.is_snan())),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=6,
)
plain_dtypes = (
    nps.boolean_dtypes()
    | nps.integer_dtypes(endianness="?")
    | nps.unsigned_integer_dtypes(endianness="?")
    | nps.floating_dtypes(endianness="?")
    | nps.complex_number_dtypes(endianness="?")
    | nps.datetime64_dtypes()
    | nps.timedelta64_dtypes()
    | nps.byte_string_dtypes()
    | nps.unicode_string_dtypes()
    | st.sampled_from([np.dtype("q"), np.dtype("Q"), np.dtype("g"), np.dtype("G")])
)
dtypes = plain_dtypes | nps.array_dtypes(plain_dtypes) | nps.nested_dtypes(plain_dtypes, max_itemsize=200)
arrays = nps.arrays(plain_dtypes, nps.array_shapes(min_dims=0, min_side=0, max_side=4))


def nested(leaves, keys):
    """Containers of all kinds over ``leaves``, dicts with ``keys``."""
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=4).map(tuple)
            | st.lists(st.tuples(leaves, leaves), max_size=4)
            | st.sets(hashable, max_size=4)
            | st.frozensets(hashable, max_size=4)
            | st.dictionaries(keys, inner, max_size=4)
            | st.binary(max_size=9).map(bytearray)
            | st.builds(Node, inner, st.lists(inner, max_size=3))
            | st.builds(Frozen, inner, inner)
            | st.builds(Pair, inner, inner)
            | st.builds(Record, first_part=inner, second_part=inner)
            | st.builds(Counted, st.integers(0, 9), st.integers(0, 9))
            | st.builds(Celsius, st.floats(allow_nan=False))
        ),
        max_leaves=12,
    )


values = nested(scalars | arrays, hashable)
plain = st.recursive(
    plain_scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(plain_scalars, inner, max_size=5),
    max_leaves=15,
)


def same(left, right):
    """Say whether two values are equal and of the same types all the way down, also where ``==`` is blind."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float | complex | np.generic | np.ndarray):
        return _same_number(left, right)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, set | frozenset):
        return same(_sorted(left), _sorted(right))
    if isinstance(left, datetime | time):
        return (left.replace(tzinfo=None), left.fold) == (right.replace(tzinfo=None), right.fold) and (
            repr(left.tzinfo) == repr(right.tzinfo)
        )
    if is_dataclass(left):
        return all(same(getattr(left, name), getattr(right, name)) for name in left.__dataclass_fields__)
    if isinstance(left, msgspec.Struct):
        return all(same(getattr(left, name), getattr(right, name)) for name in left.__struct_fields__)
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()  # comparing a signalling NaN raises
    return left == right


def _same_number(left, right):
    if isinstance(left, float):
        return struct.pack("d", left) == struct.pack("d", right)
    if isinstance(left, complex):
        return struct.pack("dd", left.real, left.imag) == struct.pack("dd", right.real, right.imag)
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def _sorted(items):
    return sorted(items, key=_place)


def _place(item):
    if isinstance(item, frozenset | tuple):
        inner = list(map(_place, item))
        return type(item).__name__, str(inner if isinstance(item, tuple) else sorted(inner))
    return type(item).__name__, repr(item)
