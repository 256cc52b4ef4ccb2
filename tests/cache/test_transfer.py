"""The entries of a cache go to a file and come back, whatever they are; a forged file is not believed."""

import io

import pytest
import zstandard

from perfcore.cache import DiskCache
from perfcore.cache.codec.entry import COMPRESSED, Entry, key_of, seal, unseal
from perfcore.cache.disk.environment import DATA_FILE
from perfcore.cache.disk.transfer import Transferred, read_from, write_to
from perfcore.errors import CodecError

HEAD = b"perfcore cache export 1\n"


@pytest.fixture
def caches(tmp_path):
    with (
        DiskCache(tmp_path / "one", maxbytes="64MB") as one,
        DiskCache(tmp_path / "two", maxbytes="64MB") as two,
    ):
        yield one, two


def exported(cache):
    """Return what stands in the file of an export, an entry at a place."""
    file = io.BytesIO()
    write_to(cache._store, file)
    content = zstandard.ZstdDecompressor().decompressobj().decompress(file.getvalue())
    assert content.startswith(HEAD)
    found, at = [], len(HEAD)
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "little")
        found.append(content[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def file_of(*parts):
    return io.BytesIO(zstandard.compress(HEAD + b"".join(parts)))


def framed(entry):
    return len(entry).to_bytes(4, "little") + entry


def changed(data, **fields):
    """Return an entry that is as whole as the one it is made of, and says something else."""
    key = key_of(data)
    return seal(key, Entry._make(unseal(data, key))._replace(**fields))


def test_any_number_of_entries_arrives_compressed_or_not(caches):
    one, two = caches
    one.set_many({number: f"{number} " * (1 + number % 500) for number in range(2500)})
    file = io.BytesIO()
    assert write_to(one._store, file) == Transferred(2500, 0)
    assert not any(Entry._make(unseal(entry, key_of(entry))).flags & COMPRESSED for entry in exported(one))
    file.seek(0)
    assert read_from(two._store, file, "adaptive") == Transferred(2500, 0)
    assert dict(one) == dict(two)


def test_what_is_damaged_is_left_out_and_counted(tmp_path):
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        cache.set_many({"a": "this one is damaged", "b": "this one is whole"})
    data = bytearray((tmp_path / DATA_FILE).read_bytes())
    data[data.index(b"this one is damaged")] ^= 1
    (tmp_path / DATA_FILE).write_bytes(data)
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        assert write_to(cache._store, io.BytesIO()) == Transferred(1, 1)


@pytest.mark.parametrize(
    "forge",
    [
        lambda entry: changed(entry, flags=COMPRESSED),
        lambda entry: changed(entry, raw_length=1 << 31),
        lambda entry: changed(entry, expiry=1),
        lambda entry: entry[:-1] + bytes([entry[-1] ^ 1]),
        lambda entry: b"",
        lambda entry: bytes(100),
    ],
    ids=["compressed", "of another length", "expired", "damaged", "empty", "nothing"],
)
def test_an_entry_that_nobody_exports_is_skipped_and_the_rest_is_stored(caches, forge):
    one, two = caches
    one.set_many({"forged": "value", "whole": "value"})
    forged, whole = exported(one)
    file = file_of(framed(forge(forged)), framed(whole))
    assert read_from(two._store, file, "adaptive") == Transferred(1, 1)
    assert dict(two) == {"whole": "value"}


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ((1 << 31).to_bytes(4, "little") + b"x", "impossible length"),
        ((100).to_bytes(4, "little") + b"x", "ends early"),
        (b"\x01", "ends early"),
    ],
)
def test_a_file_that_is_no_longer_one_is_an_error_and_what_came_before_is_stored(caches, end, message):
    one, two = caches
    one["whole"] = "value"
    (whole,) = exported(one)
    with pytest.raises(CodecError, match=message):
        read_from(two._store, file_of(framed(whole), end), "adaptive")
    assert dict(two) == {"whole": "value"}
