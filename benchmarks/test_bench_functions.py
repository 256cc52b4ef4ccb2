"""Hot calls of cached functions; `python -m benchmarks.rivals.functions` sets them beside the rivals."""

import asyncio
import functools
import random

import pytest

import perfcore
from benchmarks.rivals.memory.workload import fresh, names
from perfcore.compat.functools import lru_cache

DECORATORS = {
    "functools": lambda size: functools.lru_cache(size),
    "perfcore": lambda size: lru_cache(size),
    "perfcore-ttl": lambda size: lru_cache(size, ttl=300),
    "perfcore-adaptive": lambda size: lru_cache(size, policy="adaptive"),
}


def function(key, number=0, other="", *, flag=False):
    return key


@pytest.mark.parametrize("size", [1_000, 100_000])
@pytest.mark.parametrize("name", DECORATORS)
def test_hit_of_one_argument(benchmark, name, size):
    cached = DECORATORS[name](size)(function)
    present = names(0, size)
    for key in present:
        cached(key)
    probes = fresh(random.Random(1).choices(present, k=10_000))

    def loop():
        for key in probes:
            cached(key)

    benchmark(loop)
    assert cached.cache_info().misses == size


@pytest.mark.parametrize("name", DECORATORS)
def test_hit_of_three_positionals_and_a_keyword(benchmark, name):
    cached = DECORATORS[name](1000)(function)
    present = names(0, 1000)
    for key in present:
        cached(key, 2, "x", flag=True)
    probes = fresh(random.Random(1).choices(present, k=10_000))

    def loop():
        for key in probes:
            cached(key, 2, "x", flag=True)

    benchmark(loop)
    assert cached.cache_info().misses == 1000


@pytest.mark.parametrize("name", DECORATORS)
def test_miss_that_evicts(benchmark, name):
    cached = DECORATORS[name](1000)(function)
    rounds = iter(range(0, 10**9, 10_000))

    def setup():
        return (names(next(rounds), 10_000),), {}

    def loop(keys):
        for key in keys:
            cached(key)

    benchmark.pedantic(loop, setup=setup, rounds=20)
    assert cached.cache_info().hits == 0


@pytest.mark.parametrize("options", [{}, {"ttl": 300}, {"single_flight": False}], ids=str)
@pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])
def test_thousand_hits_of_cached(benchmark, awaited, options):
    async def coroutine(key):
        return key

    cached = perfcore.cached(maxsize=1000, **options)(coroutine if awaited else function)
    present = names(0, 1000)

    def calls():
        for key in present:
            cached(key)

    async def awaits():
        for key in present:
            await cached(key)

    with asyncio.Runner() as runner:
        benchmark((lambda: runner.run(awaits())) if awaited else calls)
    assert cached.cache_info().misses == 1000
