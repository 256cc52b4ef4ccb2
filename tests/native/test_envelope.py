"""The envelope in one pass, against the careful reader and a writer of a few lines of struct."""

import struct
import sys

import pytest
import zstandard
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_digest

from perfcore._native.envelope import look_in, wrap
from perfcore.cache.codec.entry import COMPRESSED, unseal

LARGEST = 1 << 20
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
KEYS = st.binary(max_size=40)
PAYLOADS = st.binary(max_size=300) | st.integers(0, 9000).map(lambda size: bytes(size))


def written(kind, flags, dictionary, raw_length, expiry, generation, key, tags, payload):
    head = struct.pack(
        "<3sBIIIIQQ", b"\x9dp\x01", kind, flags, dictionary, len(key), raw_length, expiry, generation
    )
    whole = head + key + tags + payload
    return whole + xxh3_64_digest(whole)


def plain(payload, key=b"key", expiry=0):
    return wrap(1, 0, 0, len(payload), expiry, 7, key, b"", payload)


def framed(raw, key=b"key", number=0, declared=None):
    frame = zstandard.ZstdCompressor(3).compress(raw)
    return wrap(1, COMPRESSED, number, len(raw) if declared is None else declared, 0, 7, key, b"", frame)


@given(st.tuples(st.integers(0, 255), U32, U32, U32, U64, U64, KEYS, st.binary(max_size=25), PAYLOADS))
@settings(max_examples=effort(200))
def test_it_writes_the_format_of_the_document(fields):
    *head, payload = fields
    assert wrap(*fields) == written(*fields) == wrap(*head, memoryview(payload))


@given(PAYLOADS, KEYS, U64)
@settings(max_examples=effort(100))
def test_it_finds_what_was_written(payload, key, expiry):
    kind, found, dictionary, until = look_in(plain(payload, key, expiry), key, LARGEST)
    assert (kind, bytes(found), dictionary, until) == (1, payload, None, expiry)


@given(
    st.binary(max_size=300) | st.integers(0, 70_000).map(lambda size: b"a" * size), st.sampled_from([0, 9])
)
@settings(max_examples=effort(100))
def test_it_knows_how_much_a_frame_holds(raw, number):
    _, frame, dictionary, _ = look_in(framed(raw, number=number), b"key", LARGEST)
    assert dictionary == number
    assert zstandard.ZstdDecompressor().decompress(bytes(frame)) == raw


@given(st.binary(max_size=80), PAYLOADS, st.booleans(), st.data())
@settings(max_examples=effort(300))
def test_what_it_finds_in_damage_the_careful_reader_finds_too(raw, payload, compressed, data):
    entry = bytearray(framed(raw) if compressed else plain(payload))
    for _ in range(data.draw(st.integers(1, 3))):
        entry[data.draw(st.integers(0, len(entry) - 1))] = data.draw(st.integers(0, 255))
    entry = bytes(entry[: data.draw(st.integers(0, len(entry)))])
    if data.draw(st.booleans()) and len(entry) >= 8:  # under a checksum that fits
        entry = entry[:-8] + xxh3_64_digest(entry[:-8])
    found = look_in(entry, b"key", LARGEST)
    if found is not None:
        kind, _flags, dictionary, raw_length, expiry, _, careful, tags = unseal(entry, b"key")
        assert (found[0], bytes(found[1]), found[3], tags) == (kind, bytes(careful), expiry, b"")
        if found[2] is None:
            assert raw_length == len(careful)
        else:
            assert found[2] == dictionary
            assert raw_length == zstandard.frame_content_size(bytes(careful)) <= LARGEST


def test_anything_but_the_common_kind_needs_a_closer_look():
    entry = plain(b"\x01")
    assert look_in(entry, b"key", LARGEST) is not None
    for key in (b"", b"kez", b"keys", b"k" * 5000):
        assert look_in(entry, key, LARGEST) is None
    for cut in range(len(entry)):
        assert look_in(entry[:cut], b"key", LARGEST) is None
    assert look_in(wrap(1, 4, 0, 1, 0, 0, b"key", bytes(9), b"\x01"), b"key", LARGEST) is None  # tagged
    assert (
        look_in(wrap(1, 2, 0, 1, 0, 0, b"key", b"", b"\x01") + bytes(32), b"key", LARGEST) is None
    )  # signed
    assert (
        look_in(wrap(1, 8, 0, 1, 0, 0, b"key", b"", b"\x01"), b"key", LARGEST) is None
    )  # of another version
    assert look_in(wrap(1, 0, 0, 2, 0, 0, b"key", b"", b"\x01"), b"key", LARGEST) is None  # of another length


def test_declared_lengths_are_not_believed():
    bomb = zstandard.ZstdCompressor(3).compress(bytes(LARGEST + 1))
    assert look_in(wrap(1, 1, 0, LARGEST + 1, 0, 0, b"key", b"", bomb), b"key", LARGEST) is None
    assert look_in(framed(b"abc", declared=4), b"key", LARGEST) is None
    forged = b"\x28\xb5\x2f\xfd\xe0" + (1 << 60).to_bytes(8, "little") + b"\x01\0\0"
    assert look_in(wrap(1, 1, 0, 0, 0, 0, b"key", b"", forged), b"key", 1 << 63) is None
    for cut in range(len(forged)):
        assert look_in(wrap(1, 1, 0, 9, 0, 0, b"key", b"", forged[:cut]), b"key", LARGEST) is None


def test_a_number_that_its_field_does_not_hold_is_refused():
    with pytest.raises(OverflowError):
        wrap(1, 0, 0, 1 << 32, 0, 0, b"", b"", b"")
    with pytest.raises(OverflowError):
        wrap(1, 0, 0, 0, 1 << 64, 0, b"", b"", b"")
    with pytest.raises(TypeError):
        wrap(1, 0, 0, 0, 0, 0, b"", b"", "text")


def test_it_leaves_the_references_as_they_were():
    for size in (10, 9000):
        payload, key = bytes(bytearray(range(10))) * (size // 10), b"k" * 20
        entry = plain(payload, key)
        before = sys.getrefcount(payload), sys.getrefcount(key), sys.getrefcount(entry)
        for _ in range(100):
            wrap(1, 0, 0, 10, 0, 0, key, b"", payload)
            look_in(entry, key, LARGEST)
            look_in(entry, b"other", LARGEST)
        assert (sys.getrefcount(payload), sys.getrefcount(key), sys.getrefcount(entry)) == before
