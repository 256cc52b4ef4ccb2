"""What the remote tier costs: its codec, and a server on this machine. Beside others: rivals/remote.py."""

from __future__ import annotations

import asyncio
import itertools
import shutil

import pytest

pytest.importorskip("valkey")

from benchmarks.rivals.disk_stores import documents
from benchmarks.servers import server
from perfcore.cache import RemoteCache
from perfcore.cache.codec import Codec
from perfcore.cache.keys import encode_key

COUNT = 500
VALUES = documents(COUNT, 1000)
KEY = "user:0"


@pytest.fixture(scope="module")
def port():
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with server() as port:
        yield port


@pytest.fixture(params=[{}, {"secret": b"0" * 32}], ids=["plain", "signed"])
def codec(request):
    return Codec(**request.param)


@pytest.fixture
def remote(port):
    cache = RemoteCache(f"redis://127.0.0.1:{port}")
    cache.set_many(VALUES)
    yield cache
    cache.close()


def test_an_entry_encoded(benchmark, codec):
    key = encode_key(KEY)
    benchmark(lambda: codec.encode(VALUES[KEY], key=key))


def test_an_entry_decoded(benchmark, codec):
    key = encode_key(KEY)
    data = codec.encode(VALUES[KEY], key=key)
    assert benchmark(lambda: codec.decode(data, key=key)) == VALUES[KEY]


def test_a_key_encoded(benchmark):
    benchmark(encode_key, ("user", 12_345, "orders"))


def test_remote_get(benchmark, remote):
    keys = itertools.cycle(VALUES)
    assert benchmark(lambda: remote.get(next(keys))) is not None


def test_remote_get_of_a_missing_key(benchmark, remote):
    assert benchmark(remote.get, "missing") is None


def test_remote_get_many_100(benchmark, remote):
    keys = list(VALUES)[:100]
    assert len(benchmark(remote.get_many, keys)) == 100


def test_remote_set(benchmark, remote):
    items = itertools.cycle(VALUES.items())
    benchmark(lambda: remote.set(*next(items)))


def test_remote_aget(benchmark, port):
    with asyncio.Runner() as runner:
        cache = RemoteCache(f"redis://127.0.0.1:{port}", prefix="async")
        runner.run(cache.aset(KEY, VALUES[KEY]))

        async def hundred():
            for _ in range(100):
                await cache.aget(KEY)

        benchmark(lambda: runner.run(hundred()))
        runner.run(cache.aclose())
