"""What a release stores to be read by all later ones: values of every kind that the formats know.

Entries are only ever added here, or a stored release would no longer agree with it. Nothing is imported but
what the first release has had, too, so that an older one can be asked to write its files.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from perfcore.cache.codec import allow

SECRET = b"no secret, as it stands here"


@allow
class Colour(Enum):
    RED = "r"


@allow
class Rights(Flag):
    READ = 1
    RUN = 4


@allow
@dataclass
class Node:
    name: str
    children: list


@allow
class Pair(NamedTuple):
    left: int
    right: object = None


@allow
class Record(msgspec.Struct):
    number: int


VALUES = {
    "none": None,
    "bool": True,
    "int": -5,
    "large int": -(2**70),
    "float": 0.1,
    "infinity": float("inf"),
    "str": "täxt",
    "surrogate": "\ud800",
    "bytes": b"raw\0",
    "bytearray": bytearray(b"ab"),
    "list": [1, [2, []]],
    "dict": {"a": 1, 2: None},
    "dict of tuples": {(1, "x"): {b"y": 2.5}},
    "tuple": (1, ("a",), ()),
    "rows": [(1, "a"), (2, "b")],
    "set": {1, "a"},
    "frozenset": frozenset({(1, 2)}),
    "complex": 1.5 - 2j,
    "date": date(2026, 1, 31),
    "time": time(1, 2, 3, 4, timezone(timedelta(hours=1), "x")),
    "datetime": datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    "datetime, UTC": datetime(2026, 1, 1, tzinfo=UTC),
    "timedelta": timedelta(-1, 5, 6),
    "decimal": Decimal("1.10"),
    "fraction": Fraction(-1, 3),
    "uuid": UUID(int=5),
    "path": PurePosixPath("/a/b"),
    "windows path": PureWindowsPath("c:/a"),
    "enum": Colour.RED,
    "flags": Rights.READ | Rights.RUN,
    "dataclass": Node("n", [Node("m", [])]),
    "named tuple": Pair(1, (2,)),
    "struct": Record(7),
    "array": np.arange(6, dtype="<i2").reshape(2, 3),
    "fortran array": np.asfortranarray(np.eye(3)),
    "fields": np.array([(1, 2.5)], dtype=[("a", "<i4"), ("b", "<f8")]),
    "numpy scalar": np.float32(0.5),
    "compressible": "the same again, " * 400,
    "large bytes": bytes(range(256)) * 64,
}
#: keys of every kind
KEYS = ["text", "\ud800", b"raw", 0, -129, 2**64, None, (), ("a", 1, (None, b"b"))]
#: alike and many: for these a compression dictionary is learnt
SIMILAR = {
    ("user", number): {
        "name": f"user {number}",
        "mail": f"user{number}@example.org",
        "plan": "free",
        "visits": number,
    }
    for number in range(300)
}
CENTURY = 100 * 365.25 * 86400

#: what is asked for in turns, until it is known what comes next
CIRCLE = [f"page:{number}" for number in range(400)]

SOURCE = '''\
"""A module."""
import os
from typing import Any as Anything

class Cart:
    """What is bought."""
    def add(self, item, *, number: int = 1) -> None: ...

async def pay(cart): ...
'''
SYMBOLS = [("class", "Cart", 5), ("method", "Cart.add", 7), ("function", "pay", 9)]


def same(one, other):
    """Say whether two values are equal, of the same type, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return (
            alike and one.tobytes() == other.tobytes() and one.flags.f_contiguous == other.flags.f_contiguous
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same([*one.items()], [*other.items()])
    if isinstance(one, datetime):
        return one == other and (one.fold, one.tzinfo) == (other.fold, other.tzinfo)
    return one == other
