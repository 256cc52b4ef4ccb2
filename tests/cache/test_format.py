"""Version 1 as it was first written: what is stored today must be readable for ever, byte by byte.

``docs/format.md`` says what the bytes mean. A line that fails here means that caches in the field would be
misread or lost: give the format a new version instead.
"""

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from uuid import UUID
from zoneinfo import ZoneInfo

import lmdb
import numpy as np
import pytest
from cache.values import Colour, Node, Pair, Record, Rights, same

from perfcore.cache import DiskCache
from perfcore.cache.codec import Codec
from perfcore.cache.codec.entry import Entry, seal, unseal
from perfcore.cache.keys import decode_key, encode_key

VALUES = [
    (None, 1, "c0"),
    (True, 1, "c3"),
    (-5, 1, "fb"),
    (2**70, 1, "c70901000000000000000040"),
    (0.5, 1, "cb3fe0000000000000"),
    ("text", 1, "a474657874"),
    ("\ud800", 1, "c70302eda080"),
    (b"raw", 0, "726177"),
    (bytearray(b"ab"), 1, "d5036162"),
    ([1, [2]], 1, "92019102"),
    ({"a": 1, 2: None}, 1, "82a1610102c0"),
    ((1, "a"), 1, "d6109201a161"),
    ({1}, 1, "d5119101"),
    (frozenset({"a"}), 1, "c7031291a161"),
    ({(1,): 2}, 1, "c7061392d510910102"),
    ([(1, "a"), (2, "b")], 1, "c70914929201a1619202a162"),
    (1.5 - 2j, 1, "d804000000000000f83f00000000000000c0"),
    (date(2026, 1, 31), 1, "d605ea07011f"),
    (
        time(1, 2, 3, 4, timezone(timedelta(hours=1), "x")),
        1,
        "c7170601020304000000006f00000000100e0000000000003d78",
    ),
    (
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        1,
        "c71a07ea070a19021e0000000000017a4575726f70652f4265726c696e",
    ),
    (timedelta(-1, 5, 6), 1, "c70c08ffffffff0500000006000000"),
    (Decimal("1.10"), 1, "d609312e3130"),
    (Fraction(-1, 3), 1, "c7060a01000000ff03"),
    (UUID(int=5), 1, "d80b00000000000000000000000000000005"),
    (PurePosixPath("/a/b"), 1, "c7050c002f612f62"),
    (Rights.READ | Rights.RUN, 1, "c71c1594b363616368652e76616c7565733a526967687473ce02cc5d05c005"),
    (Colour.RED, 1, "c71e1593b363616368652e76616c7565733a436f6c6f7572ce02cc5d05a3524544"),
    (Pair(1, (2,)), 1, "c71d1594b163616368652e76616c7565733a50616972cec53bc45c01d5109102"),
    (Node("n", []), 1, "c71b1594b163616368652e76616c7565733a4e6f6465ce876e468da16e90"),
    (Record(first_part=1), 1, "c71c1594b363616368652e76616c7565733a5265636f7264ce625f5f260107"),
    (
        np.arange(3, dtype="<i2"),
        2,
        "0900000094a33c69329103c2c3000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001000200",
    ),
    (np.float32(0.5), 1, "c70b1792a33c6634c4040000003f"),
]

KEYS = [
    ("user:1", "73757365723a31"),
    ("\ud800", "73eda080"),
    (b"raw", "62726177"),
    (0, "6900"),
    (-129, "69ff7f"),
    (2**64, "69010000000000000000"),
    (None, "6e"),
    ((), "74"),
    (("a", 1, (None,)), "74000000027361000000026901000000067400000001" + "6e"),
]


@pytest.mark.parametrize(("value", "kind", "payload"), VALUES, ids=lambda part: type(part).__name__)
def test_payloads(value, kind, payload):
    assert Codec().pack(value) == (kind, bytes.fromhex(payload))
    assert same(Codec().unpack(kind, bytes.fromhex(payload)), value)


@pytest.mark.parametrize(("key", "encoding"), KEYS)
def test_keys(key, encoding):
    assert encode_key(key).hex() == encoding
    assert decode_key(bytes.fromhex(encoding)) == key


ENTRY = Entry(1, 0, 7, 1, 1_800_000_000_000, 1_700_000_000_000_000, b"\xc0")
PLAIN = (
    "9d700101" "00000000" "07000000" "02000000" "01000000" "00505c18a3010000" "00401e18240a0600" "736b" "c0"
    "32662f03dc250d86"
)  # fmt: skip
SIGNED = (
    "9d700101" "02000000" "07000000" "02000000" "01000000" "00505c18a3010000" "00401e18240a0600" "736b" "c0"
    "8099ef801e86991a"
    "e4c554bd4ce78688b93e6837e3de004c006b3bbfceecccd2bf9c786cd1ef5913"
)  # fmt: skip


def test_entries():
    secret = b"0123456789abcdef"
    assert seal(b"sk", ENTRY).hex() == PLAIN
    assert seal(b"sk", ENTRY, secret).hex() == SIGNED
    assert unseal(bytes.fromhex(PLAIN), b"sk") == ENTRY
    assert unseal(bytes.fromhex(SIGNED), b"sk", secret) == ENTRY._replace(flags=2)


def test_the_tree(tmp_path):
    with DiskCache(tmp_path, maxbytes="1MB") as cache:
        cache.set_many({"a": 1})
    with lmdb.open(str(tmp_path), lib_version=0) as environment, environment.begin() as txn:
        (name, number), (place, entry) = [pair for pair in txn.cursor() if pair[0] != b"\x00format"]
        assert txn.get(b"\x00format") == b"perfcore disk cache 1"
        assert name.hex() == "011703bbeed5010d09ee81f6598ff06fdd"
        assert number == place
        assert (place[:1], len(place)) == (b"\x02", 9)
        assert unseal(entry, b"sa")[6] == b"\x01"


def test_a_cache_written_byte_by_byte_is_read(tmp_path):
    with lmdb.open(str(tmp_path), lib_version=0) as environment, environment.begin(write=True) as txn:
        txn.put(b"\x00format", b"perfcore disk cache 1")
        txn.put(bytes.fromhex("011703bbeed5010d09ee81f6598ff06fdd"), b"\x02" + bytes(8))
        txn.put(b"\x02" + bytes(8), seal(b"sa", Entry(1, 0, 0, 1, 0, 0, b"\x05")))
    with DiskCache(tmp_path, maxbytes="1MB") as cache:
        assert dict(cache) == {"a": 5}
