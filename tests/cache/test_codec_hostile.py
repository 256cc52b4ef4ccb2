"""Bytes from someone who can write to the store: a CodecError, in bounded time, and nothing runs."""

import os
import pickle
import time
import tracemalloc

import pytest
import zstandard
from cache.values import plain, same, values
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack
from xxhash import xxh3_64_digest

from perfcore.cache import codec
from perfcore.cache.codec import Codec
from perfcore.cache.codec.coder import ARRAY, MESSAGEPACK, PICKLE, RAW
from perfcore.cache.codec.entry import COMPRESSED, SIGNED, Entry, seal, unseal
from perfcore.cache.compression import Compression
from perfcore.cache.dictionary import Trainer
from perfcore.errors import CodecError

KEY = b"skey"
LIMIT = 8 << 20


def restorer(**options):
    return Compression(options.pop("load", lambda number: None), LIMIT, Trainer(0))


def unpack(kind, payload):
    return Codec().unpack(kind, payload)


def refuses(function, *arguments, seconds=1.0, memory=LIMIT * 2):
    """Check that ``function`` ends in a CodecError without taking much time or memory."""
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(CodecError):
            function(*arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - begin < seconds
    assert peak < memory


# --- damage -------------------------------------------------------------------------------------------------


@given(values, st.data())
def test_one_changed_byte_anywhere_is_found(value, data):
    sealed = bytearray(codec.encode(value, key=KEY))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CodecError):
        codec.decode(bytes(sealed), key=KEY)


@given(plain, st.data())
def test_a_shortened_or_lengthened_entry_is_found(value, data):
    sealed = codec.encode(value, key=KEY)
    with pytest.raises(CodecError):
        codec.decode(sealed[: data.draw(st.integers(0, len(sealed) - 1))], key=KEY)
    with pytest.raises(CodecError):
        codec.decode(sealed + data.draw(st.binary(min_size=1, max_size=50)), key=KEY)


@given(st.binary(max_size=200))
def test_noise_is_no_entry(data):
    with pytest.raises(CodecError):
        codec.decode(data, key=KEY)


@given(st.sampled_from([MESSAGEPACK, ARRAY, PICKLE, 4, 255]), st.binary(max_size=100))
def test_noise_under_a_good_checksum_is_a_value_or_a_codec_error(kind, payload):
    try:
        unpack(kind, payload)
    except CodecError:
        pass


@given(values, st.data())
def test_so_are_mutated_payloads(value, data):
    kind, payload = Codec().pack(value)
    mutated = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        if mutated:
            mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        unpack(kind, bytes(mutated))
    except CodecError:
        pass


def test_an_entry_answers_only_for_the_key_it_was_written_for():
    with pytest.raises(CodecError, match="another key"):
        codec.decode(codec.encode(1, key=b"sa"), key=b"sb")


@pytest.mark.parametrize(
    ("place", "byte"), [(0, 0), (2, 2), (4, 0x80), (7, 1)], ids=["magic", "version", "flag", "flag"]
)
def test_other_versions_and_unknown_flags_are_refused_even_with_a_good_checksum(place, byte):
    changed = bytearray(codec.encode(1, key=KEY)[:-8])
    changed[place] = byte
    with pytest.raises(CodecError, match="another version"):
        codec.decode(bytes(changed) + xxh3_64_digest(changed), key=KEY)


# --- forgery ------------------------------------------------------------------------------------------------


@given(plain, plain)
def test_without_the_secret_nothing_can_be_changed(value, other):
    ours = Codec(secret=b"s" * 16)
    signed, forged = ours.encode(value, key=KEY), codec.encode(other, key=KEY)
    entry = Entry._make(unseal(forged, KEY))
    for attempt in (
        forged,
        seal(KEY, entry, b"g" * 16),
        seal(KEY, entry._replace(flags=SIGNED)) + signed[-32:],
        forged[:4] + (SIGNED).to_bytes(4, "little") + forged[8:] + signed[-32:],
        ours.encode(value, key=b"sother"),
    ):
        with pytest.raises(CodecError):
            ours.decode(attempt, key=KEY)
    assert same(ours.decode(signed, key=KEY), value)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("bomb-went-off",)


def test_a_pickle_is_never_loaded_unasked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    payload = pickle.dumps(Bomb())
    for kind in (PICKLE, MESSAGEPACK, ARRAY, RAW, 9):
        try:
            unpack(kind, payload)
        except CodecError:
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:eval", "subprocess:Popen", "perfcore.cache.disk:DiskCache"]
)
def test_a_name_in_an_entry_is_looked_up_nowhere_but_on_the_allow_list(name):
    payload = msgpack.encode(msgpack.Ext(21, msgpack.encode([name, 0, "echo"])))
    refuses(unpack, MESSAGEPACK, payload)


@pytest.mark.parametrize("key", ["../../../etc/passwd", "/etc/passwd", "No/Where", "a\0b", "x" * 10_000])
def test_a_time_zone_is_looked_up_in_the_zone_database_only(key):
    fields = (2026).to_bytes(2, "little") + bytes([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    refuses(unpack, MESSAGEPACK, msgpack.encode(msgpack.Ext(7, fields + b"z" + key.encode())))


@pytest.mark.parametrize(
    "description",
    [
        "O",
        "|O",
        "T",
        "f8,O",
        "i4",
        ["array", "O", [2]],
        ["fields", ["a"], ["|O8"], [0], [None], 8, False],
        "V" * 99,
        7,
        None,
    ],
)
def test_no_dtype_from_an_entry_holds_objects(description):
    head = msgpack.encode((description, [1], False, True))
    payload = len(head).to_bytes(4, "little") + head + bytes(-(len(head) + 4) % 64) + bytes(8)
    refuses(unpack, ARRAY, payload)


# --- bombs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of 4 billion
        b"\xdf\xff\xff\xff\xff",  # a map of 4 billion
        b"\xdb\xff\xff\xff\xff",  # a str of 4 GB
        b"\xc6\xff\xff\xff\xff",  # bytes of 4 GB
        b"\xc9\xff\xff\xff\xff\x01",  # an extension of 4 GB
        b"\x91" * 200_000,  # 200 000 arrays in each other
        b"\x81\xa1a" * 100_000,
        b"\xdc\xff\xff" * 100_000,  # each says it has 65 535 items
        *(
            b"\xc7\x05" + bytes([code]) + b"\xdd\xff\xff\xff\xff"
            for code in (2, *range(4, 13), *range(16, 24))
        ),
    ],
    ids=lambda payload: payload[:8].hex(),
)
def test_declared_lengths_and_depths_are_not_believed(payload):
    refuses(unpack, MESSAGEPACK, payload)


@pytest.mark.parametrize("code", range(16, 22))
def test_extensions_in_extensions_end_somewhere(code):
    payload = b"\x01"
    for _ in range(2000):
        payload = msgpack.encode(msgpack.Ext(code, b"\x91" + payload))
    refuses(unpack, MESSAGEPACK, payload, seconds=3.0)


@pytest.mark.parametrize("shape", [[2**62], [2**31, 2**31, 2**31], [-1], [-1, -1], [2**40, 0], ["a"], 5])
def test_an_array_is_not_larger_than_its_data(shape):
    head = msgpack.encode(("<f8", shape, False, True))
    payload = len(head).to_bytes(4, "little") + head + bytes(-(len(head) + 4) % 64) + bytes(8)
    refuses(unpack, ARRAY, payload)


def test_a_fraction_cannot_keep_the_processor_busy_for_hours():
    part = b"\x7f" * (1 << 20)
    refuses(
        unpack, MESSAGEPACK, msgpack.encode(msgpack.Ext(10, len(part).to_bytes(4, "little") + part + part))
    )


def bomb(size):
    return zstandard.ZstdCompressor(level=19).compress(bytes(size))


def test_a_bomb_is_not_set_off():
    frame = bomb(64 << 20)
    refuses(restorer().restore, frame, 0, 64 << 20, memory=1 << 20)  # larger than ever restored
    refuses(restorer().restore, frame, 0, 100, memory=1 << 20)  # the header lies
    refuses(restorer().restore, frame[:40], 0, LIMIT, memory=1 << 20)  # more than a frame this small can hold


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_a_frame_is_restored_to_its_declared_length_or_not_at_all(payload, declared):
    frame = zstandard.ZstdCompressor().compress(payload)
    if declared != len(payload):
        with pytest.raises(CodecError):
            restorer().restore(frame, 0, declared)
    assert restorer().restore(frame, 0, len(payload)) == payload


@given(st.binary(max_size=100), st.integers(0, 1000))
def test_noise_does_not_decompress(frame, declared):
    try:
        restored = restorer().restore(frame, 0, declared)
    except CodecError:
        return
    assert len(restored) == declared


def test_an_unknown_dictionary_is_a_codec_error():
    refuses(restorer().restore, zstandard.ZstdCompressor().compress(b"a" * 100), 77, 100)


def test_a_compressed_entry_is_not_taken_for_its_payload():
    frame = zstandard.ZstdCompressor().compress(b"\x01")
    with pytest.raises(CodecError):
        codec.decode(seal(KEY, Entry(MESSAGEPACK, COMPRESSED, 0, 1, 0, 0, frame)), key=KEY)
