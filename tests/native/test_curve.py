"""A live cache can be observed: miniatures play along and tell what other sizes would do."""

import random
import threading
from statistics import median

import pytest

from perfcore import simulate
from perfcore._native.curve import SIZES, observe, observed, unobserve
from perfcore.cache import Cache, cached


def play(cache, keys):
    for key in keys:
        if cache.get(key) is None:
            cache.set(key, key)


def zipf(count, keys, seed=1):
    """Return keys of which the n-th is asked for in proportion to 1/n."""
    weights = [1 / (place + 1) for place in range(keys)]
    return random.Random(seed).choices(range(keys), weights, k=count)


def miss_ratios(counts):
    return [sum(pair) / 2 / counts.expected for pair in zip(*counts.misses, strict=True)]


@pytest.mark.parametrize("policy", ["lru", "lfu", "random", "adaptive"])
def test_a_live_cache_knows_its_curve_about_as_well_as_a_simulation(policy):
    keys, curves = zipf(120_000, 20_000), []
    for _ in range(5):  # each watches a part of the keys, by a hash of its own
        cache = Cache(2000, policy=policy)
        observe(cache, 2000)
        play(cache, keys)
        counts = observed(cache)
        assert counts.requests == len(keys)
        curves.append(miss_ratios(counts))
    for size, ratios in zip(SIZES, zip(*curves, strict=True), strict=False):
        truth = 1 - simulate(keys, int(2000 * size), policy).hit_ratio
        assert abs(median(ratios) - truth) < 0.05


def test_observing_changes_nothing_that_the_cache_does():
    keys = zipf(30_000, 5_000)
    plain, watched = Cache(500, policy="lru"), Cache(500, policy="lru")
    observe(watched, 500)
    for cache in (plain, watched):
        play(cache, keys)
    assert plain.stats() == watched.stats()
    assert list(plain) == list(watched)
    watched._check()
    unobserve(watched)
    assert observed(watched) is None


def test_calls_of_cached_functions_are_observed_too():
    @cached(maxsize=100)
    def function(number):
        return number

    observe(function.cache, 100)
    for number in (1, 2, 1, 1):
        function(number)
    assert observed(function.cache).requests == 4


@pytest.mark.parametrize("entries", [0, -1, True, 1.5, "many", None])
def test_only_a_positive_number_of_entries_can_be_observed(entries):
    with pytest.raises(ValueError, match="entries must be a positive int"):
        observe(Cache(10), entries)


def test_observing_again_begins_anew_and_not_observing_counts_nothing():
    cache = Cache(100)
    assert observed(cache) is None
    observe(cache, 100)
    play(cache, range(10))
    observe(cache, 50)
    counts = observed(cache)
    assert (counts.requests, counts.entries) == (0, 50)
    unobserve(cache)
    unobserve(cache)
    assert observed(cache) is None


def test_a_key_whose_hash_raises_is_not_observed():
    class Hostile:
        def __hash__(self):
            raise RuntimeError("hash")

    cache = Cache(10)
    observe(cache, 10)
    with pytest.raises(RuntimeError, match="hash"):
        cache.get(Hostile())
    assert observed(cache).requests == 0


def test_threads_observe_one_cache_and_look_meanwhile():
    cache = Cache(200)
    observe(cache, 200)
    keys = zipf(5_000, 1_000)
    ends = []

    def use():
        play(cache, keys)
        ends.append(1)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    turn = 0
    while len(ends) < 4:
        counts = observed(cache)
        assert counts is None or 0 <= counts.requests <= 4 * len(keys)
        turn += 1
        if turn % 7 == 0:
            (observe if turn % 2 else unobserve)(cache, *([200] if turn % 2 else []))
    for thread in threads:
        thread.join()
    cache._check()
