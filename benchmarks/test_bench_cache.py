"""What one operation of the memory cache costs. Beside dict and the other caches: rivals/memory."""

from __future__ import annotations

import itertools
import random
from array import array
from datetime import timedelta

import pytest

from perfcore import Cache, simulate

SIZE = 10_000
KEYS = [f"user:{number:09d}" for number in range(SIZE)]
POLICIES = ["lru", "lfu", "random", "adaptive"]


def shuffled(keys=KEYS):
    """Return equal keys that are other objects, in random order, without an end."""
    return itertools.cycle("".join(list(key)) for key in random.Random(1).sample(keys, len(keys)))


def filled(**options):
    cache = Cache(SIZE, **options)
    cache.update(zip(KEYS, KEYS, strict=True))
    return cache


@pytest.fixture(params=POLICIES)
def cache(request):
    return filled(policy=request.param)


@pytest.fixture
def timed():
    return filled(ttl=3600)


def thousand(function, keys):
    """Return a loop of a thousand calls: a single one is too short for the clock."""

    def loop():
        for key in itertools.islice(keys, 1000):
            function(key)

    return loop


def test_thousand_hits(benchmark, cache):
    benchmark(thousand(cache.get, shuffled()))
    assert cache.stats().misses == 0


def test_thousand_hits_by_index(benchmark, cache):
    benchmark(thousand(cache.__getitem__, shuffled()))


def test_thousand_misses(benchmark, cache):
    benchmark(thousand(cache.get, shuffled([f"absent:{number}" for number in range(SIZE)])))
    assert cache.stats().hits == 0


def test_thousand_evicting_inserts(benchmark, cache):
    def store(number):
        cache[number] = None

    benchmark(thousand(store, itertools.count()))
    stats = cache.stats()
    assert stats.evictions + stats.rejections > 0 and len(cache) == SIZE


def test_thousand_overwrites(benchmark, cache):
    def store(key):
        cache[key] = None

    benchmark(thousand(store, shuffled()))
    assert len(cache) == SIZE


def test_thousand_hits_under_a_ttl(benchmark, timed):
    benchmark(thousand(timed.get, shuffled()))
    assert timed.stats().misses == 0


def test_thousand_inserts_that_expire(benchmark):
    clock = itertools.count()
    cache = Cache(SIZE, ttl=timedelta(seconds=5000), timer=lambda: float(next(clock)))

    def store(number):
        cache[number] = None

    benchmark(thousand(store, itertools.count()))


def test_thousand_evicting_inserts_by_bytes(benchmark):
    cache = Cache(maxbytes="1MB")

    def store(number):
        cache[number] = "some value"

    benchmark(thousand(store, itertools.count()))


def test_thousand_hits_of_get_or_set(benchmark, cache):
    benchmark(thousand(lambda key: cache.get_or_set(key, dict), shuffled()))


def test_thousand_deletes_and_inserts(benchmark, cache):
    def replace(key):
        cache.delete(key)
        cache[key] = None

    benchmark(thousand(replace, shuffled()))


def test_get_many_of_64(benchmark, cache):
    keys = shuffled()
    groups = itertools.cycle([list(itertools.islice(keys, 64)) for _ in range(100)])
    assert None not in benchmark(lambda: cache.get_many(next(groups)))


def test_a_switch_of_the_policy_and_back(benchmark):
    cache = filled(policy="lru")

    def switch():
        cache.policy = "adaptive"
        cache.policy = "lru"

    benchmark(switch)


def test_a_copy_of_ten_thousand(benchmark, cache):
    assert len(benchmark(cache.copy)) == SIZE


def test_iteration_over_ten_thousand(benchmark, cache):
    assert len(benchmark(lambda: list(cache.items()))) == SIZE


@pytest.mark.parametrize("policy", POLICIES)
def test_simulate_a_hundred_thousand_requests(benchmark, policy):
    draw = random.Random(1)
    trace = array("I", (int(draw.paretovariate(0.8)) % 50_000 for _ in range(100_000)))
    benchmark(simulate, trace, 1000, policy)
