"""What a lookup costs through a cache manager, by the tier that answers. Ratios: manager_hit.py."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from perfcore.cache import Cache, CacheManager
from perfcore.cache.predictive import PredictiveCaching

COUNT = 10_000
KEYS = [f"user:{number:09d}" for number in range(COUNT)]
SHAPES = {
    "memory": {},
    "over disk": {"disk": True},
    "namespace": {"namespace": "shop"},
    "tags": {"tags": ["users"]},
}


def thousand(function, keys):
    """Return a loop of a thousand calls: a single one is too short for the clock."""

    def loop():
        for key in itertools.islice(keys, 1000):
            function(key)

    return loop


def shuffled():
    """Return equal keys that are other objects, in random order, without an end."""
    return itertools.cycle("".join(list(key)) for key in random.Random(1).sample(KEYS, COUNT))


@pytest.fixture(params=SHAPES)
def manager(request, tmp_path):
    options = dict(SHAPES[request.param])
    about = {"tags": options.pop("tags")} if "tags" in options else {}
    disk = {"directory": tmp_path} if options.pop("disk", False) else None
    with CacheManager({"maxsize": 2 * COUNT}, disk, warm_restart=False, **options) as manager:
        manager.set_many(zip(KEYS, KEYS, strict=True), **about)
        manager.flush()
        manager.get_many(KEYS)
        yield manager


def test_thousand_hits_of_a_manager(benchmark, manager):
    before = manager.stats().tiers["memory"].misses
    benchmark(thousand(manager.get, shuffled()))
    assert manager.stats().tiers["memory"].misses == before


def test_thousand_hits_of_get_or_set_of_a_manager(benchmark, manager):
    benchmark(thousand(lambda key: manager.get_or_set(key, dict), shuffled()))


def test_thousand_writes_of_a_manager(benchmark, manager):
    benchmark(thousand(lambda key: manager.set(key, key), shuffled()))


def test_thousand_awaited_hits_of_a_manager(benchmark):
    keys = shuffled()
    with CacheManager({"maxsize": 2 * COUNT}) as manager, asyncio.Runner() as runner:
        manager.set_many(zip(KEYS, KEYS, strict=True))

        async def hits():
            for key in itertools.islice(keys, 1000):
                await manager.aget(key)

        benchmark(lambda: runner.run(hits()))


def test_a_value_from_disk(benchmark, tmp_path):
    """Memory holds a hundredth, and the requests go round: nearly all are answered below."""
    with CacheManager({"maxsize": COUNT // 100}, {"directory": tmp_path}, warm_restart=False) as manager:
        manager.set_many(zip(KEYS, KEYS, strict=True))
        manager.flush()
        keys = itertools.cycle(KEYS)
        assert benchmark(lambda: manager.get(next(keys))) is not None


def test_thousand_requests_that_are_learnt_from(benchmark):
    cache = Cache(COUNT // 10)
    keys = itertools.cycle(KEYS[: COUNT // 2])
    with PredictiveCaching(cache) as prediction:
        benchmark(thousand(prediction.get, keys))
