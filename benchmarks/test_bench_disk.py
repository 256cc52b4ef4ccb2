"""What one operation of the disk tier and of its codec costs. Beside other stores: rivals/disk.py."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from benchmarks.rivals.disk_stores import documents
from perfcore.cache import DiskCache, codec

COUNT = 2000


@codec.allow
@dataclass
class Row:
    number: int
    name: str
    at: datetime


ROWS = [Row(number, f"name {number}", datetime(2026, 1, 1, tzinfo=UTC)) for number in range(100)]
TABLE = [(number, f"name {number}", number / 3) for number in range(1000)]


@pytest.fixture
def cache(tmp_path):
    with DiskCache(tmp_path, maxbytes="1GB") as cache:
        yield cache


@pytest.fixture(params=["relaxed", "commit", "sync"])
def durable_cache(tmp_path, request):
    with DiskCache(tmp_path, maxbytes="1GB", durability=request.param) as cache:
        yield cache


def filled(cache, size):
    values = documents(COUNT, size)
    cache.set_many(values)
    return itertools.cycle(values.items())


@pytest.mark.parametrize("size", [1000, 64_000])
def test_disk_get(benchmark, cache, size):
    items = filled(cache, size)
    assert benchmark(lambda: cache.get(next(items)[0])) is not None


def test_disk_get_of_a_missing_key(benchmark, cache):
    filled(cache, 1000)
    assert benchmark(cache.get, "missing") is None


def test_disk_get_of_bytes_64_kb(benchmark, cache):
    cache.set_many({"a": bytes(range(256)) * 256})
    assert len(benchmark(cache.get, "a")) == 65_536


def test_disk_get_many_100_of_1_kb(benchmark, cache):
    items = filled(cache, 1000)
    assert None not in benchmark(lambda: cache.get_many([next(items)[0] for _ in range(100)]))


def test_disk_set_1_kb_as_the_caller_sees_it(benchmark, durable_cache):
    items = filled(durable_cache, 1000)
    benchmark(lambda: durable_cache.set(*next(items)))


def test_disk_set_1000_of_1_kb_until_committed(benchmark, cache):
    values = list(documents(1000, 1000).items())

    def write():
        for key, value in values:
            cache.set(key, value)
        cache.flush()

    benchmark(write)


def test_disk_delete(benchmark, cache):
    keys = itertools.count()
    cache.set_many({number: number for number in range(100_000)})
    benchmark(lambda: cache.delete(next(keys)))


@pytest.mark.parametrize(
    "value", [ROWS, TABLE, documents(1, 1000)["user:0"]], ids=["dataclasses", "tuples", "json"]
)
def test_codec_encode(benchmark, value):
    benchmark(codec.encode, value)


@pytest.mark.parametrize(
    "value", [ROWS, TABLE, documents(1, 1000)["user:0"]], ids=["dataclasses", "tuples", "json"]
)
def test_codec_decode(benchmark, value):
    assert benchmark(codec.decode, codec.encode(value)) == value
