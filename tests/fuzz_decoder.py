"""Coverage-guided fuzzing of everything that reads foreign bytes: ``make fuzz`` (SECONDS=60 by default).

    python tests/fuzz_decoder.py CORPUS [libFuzzer's options]

The first byte says what the rest is given to. Whatever it is: a value, a key, or :exc:`CodecError`, in
bounded time and memory (libFuzzer watches both), and a value that came out goes in and comes out again.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path, PurePosixPath
from uuid import UUID
from zoneinfo import ZoneInfo

import atheris
import numpy as np
from xxhash import xxh3_64_digest

with atheris.instrument_imports():
    from perfcore._native.envelope import look_in
    from perfcore.cache import codec
    from perfcore.cache.codec.entry import Entry, expiry_of, key_of, seal, tags_of, unseal
    from perfcore.cache.compression import Compression
    from perfcore.cache.dictionary import Trainer
    from perfcore.cache.keys import decode_key, encode_key
    from perfcore.errors import CodecError


@codec.allow
@dataclass
class Row:
    number: int
    name: str


@codec.allow
class Colour(Enum):
    RED = 1


SEEDS = [
    {"a": [1, -1, None, True, 1.5, "text", b"bytes"], "b": {}},
    [(1, 2), {3}, frozenset({4}), bytearray(b"5"), 6j, 1 << 70, "\ud800"],
    {(1, 2): "pairs", None: 0},
    [(1, "row"), (2, "row")],
    [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")), date(2026, 1, 1)],
    [time(1, 2, 3), timedelta(days=1), Decimal("1.5"), Fraction(1, 3), UUID(int=7), PurePosixPath("a/b")],
    [Row(1, "a"), Colour.RED],
    np.arange(6, dtype="<f4").reshape(2, 3),
    [np.float64(1.5), np.array([(1, b"x")], dtype=[("n", "<i4"), ("s", "S3")]), np.str_("s")],
    b"raw",
]
KEY = encode_key("key")
COMPRESSION = Compression(lambda number: None, 1 << 24, Trainer(0))


def entry(data):
    """Bytes as they might lie in a file."""
    codec.decode(data, key=KEY)


def payload(data):
    """A payload under a checksum that fits: only the decoders stand between it and the user."""
    kind, payload = data[0] % 4, data[1:]
    value = codec.decode(seal(KEY, Entry(kind, 0, 0, len(payload), 0, 0, payload)), key=KEY)
    assert type(codec.decode(codec.encode(value))) is type(value)


def key(data):
    """A key has one spelling."""
    assert encode_key(decode_key(data)) == data


def frame(data):
    """A compressed payload and its declared length."""
    COMPRESSION.restore(data[4:], 0, int.from_bytes(data[:4], "little"))


def fields(data):
    """What is read of an entry before its checksum is; the quick reader finds no more than the careful."""
    key_of(data), expiry_of(data), len(data) > 4 and tags_of(data)
    found = look_in(data, key_of(data), 1 << 24)
    careful = unseal(data, key_of(data))
    assert found is None or bytes(found[1]) == bytes(careful[6])


def sealed(data):
    """The same under a checksum that fits."""
    fields(data + xxh3_64_digest(data))


TARGETS = (entry, payload, payload, payload, key, frame, fields, sealed)


def one(data):
    if len(data) < 3:
        return
    try:
        TARGETS[data[0] % len(TARGETS)](data[1:])
    except CodecError:
        pass
    except TypeError as error:
        if "cannot store" not in str(error):  # a foreign value may be one that is not written
            raise


def sow(corpus):
    """Give the fuzzer one of each kind of value to start from."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, value in enumerate(SEEDS):
        sealed = codec.encode(value, key=KEY)
        (corpus / f"entry-{number}").write_bytes(b"\0" + sealed)
        found = Entry._make(unseal(sealed, KEY))
        (corpus / f"payload-{number}").write_bytes(bytes([1, found.kind]) + bytes(found.payload))
    (corpus / "key").write_bytes(b"\4" + encode_key(("a", 1, None, b"x", ("y",))))
    (corpus / "frame").write_bytes(
        b"\5" + (500).to_bytes(4, "little") + COMPRESSION.shrink(b"ab" * 250, "on")[0]
    )


if __name__ == "__main__":
    sow(Path(sys.argv[1]))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
