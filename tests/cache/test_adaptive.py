"""Caches that change themselves: what they know of their use, what they do, and what they take back."""

import itertools
import logging
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcore._native.curve import SIZES
from perfcore.cache import AdaptiveCacheStrategy, Cache, CacheBudget, CacheManager
from perfcore.cache.adaptive import MissRatioCurve
from perfcore.cache.adaptive.damper import Damper


def play(cache, keys):
    for key in keys:
        if cache.get(key) is None:
            cache.set(key, key)


def zipf(count, keys, seed=1):
    """Return keys of which the n-th is asked for in proportion to 1/n."""
    weights = [1 / (place + 1) for place in range(keys)]
    return random.Random(seed).choices(range(keys), weights, k=count)


def scan(count, start=10_000_000):
    return range(start, start + count)


# --- curves ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [Cache(None), Cache(0)], ids=["unbounded", "nothing"])
def test_a_cache_without_a_bound_or_of_nothing_has_no_curve(cache):
    with pytest.raises(ValueError, match="only a cache with a bound"):
        AdaptiveCacheStrategy(cache)


@given(
    ratios=st.lists(st.floats(0, 1), min_size=7, max_size=7),
    entries=st.integers(4, 10**6),
    size=st.floats(0, 10**7),
)
def test_between_the_sizes_that_were_played_a_curve_is_between_their_ratios(ratios, entries, size):
    sizes = tuple(max(1, round(entries * share)) for share in SIZES)
    curve = MissRatioCurve(sizes, tuple(ratios), 0.0, 1, entries, 0.0, 0.0)
    assert min(*ratios, 1.0) - 1e-9 <= curve.at(size) <= 1.0 + 1e-9
    assert curve.at(0) == 1.0
    assert curve.at(sizes[-1] + 1) == ratios[-1]


# --- analysis -----------------------------------------------------------------------------------------------


def analysis_of(keys, entries, policy="lru"):
    with AdaptiveCacheStrategy(Cache(entries, policy=policy)) as strategy:
        play(strategy._cache, keys)
        return strategy.analyze_access_patterns()


def test_what_was_asked_for_last_is_temporal_locality():
    keys = [key + step for step in range(0, 60_000, 10) for key in range(20)]
    assert analysis_of(keys, 500).temporal_locality > 0.95


def test_what_is_asked_for_often_is_locality_of_frequency():
    often, once = itertools.cycle(range(300)), iter(scan(1_000_000))
    keys = [next(often) if turn % 4 == 0 else next(once) for turn in range(200_000)]
    found = analysis_of(keys, 600, policy="lfu")
    assert found.frequency_locality > 0.9
    assert found.temporal_locality < 0.6  # the last 600 are mostly what never comes back


def test_keys_that_follow_each_other_are_spatial_locality():
    assert analysis_of([*range(3000)] * 20, 500).spatial_locality > 0.95
    shuffled = random.Random(2).choices(range(3000), k=60_000)
    assert analysis_of(shuffled, 500).spatial_locality < 0.2


def test_without_lookups_there_is_nothing_to_say():
    found = analysis_of([], 100)
    assert (found.curve, found.requests, found.l1_hit_rate, found.temporal_locality) == (None, 0, 0.0, 0.0)


def test_each_tier_is_told_with_what_it_earns(tmp_path):
    with CacheManager({"maxsize": 100}, {"directory": tmp_path}) as manager:
        manager.set("a", 1)
        assert manager.get("a") == 1
        with AdaptiveCacheStrategy(manager) as strategy:
            tiers = strategy.analyze_access_patterns().tiers
        assert [*tiers] == ["memory", "disk"] and tiers["memory"].hits == 1
        assert tiers["memory"].hits_per_megabyte > 0


# --- adapting: size -----------------------------------------------------------------------------------------


def test_a_cache_that_misses_grows_within_its_budget_and_the_effect_is_measured():
    cache = Cache(200, policy="lru")
    with AdaptiveCacheStrategy(cache, budget=1000, evidence=5_000) as strategy:
        decided = []
        for seed in range(6):
            play(cache, zipf(20_000, 3_000, seed))
            decided += strategy.adapt_cache()
    grown = [step for step in decided if step.outcome == "applied"]
    assert grown[0].kind == "size" and grown[0].before == 200 and grown[0].predicted > 0
    assert 200 < cache.capacity <= 1000
    kept = [step for step in decided if step.outcome == "kept"]
    assert kept and abs(kept[0].measured - grown[0].predicted) < 0.1
    assert "wanted are 0.8" in grown[0].reason


def test_a_cache_that_does_as_well_with_less_shrinks():
    cache = Cache(4000, policy="lru")
    with AdaptiveCacheStrategy(cache, evidence=5_000) as strategy:
        for seed in range(3):
            play(cache, [key % 500 for key in zipf(20_000, 3_000, seed)])
            strategy.adapt_cache()
        assert cache.capacity < 4000
        play(cache, [key % 500 for key in range(2000)])
        assert cache.stats().hit_ratio > 0.9


def test_more_room_that_gains_nothing_is_not_taken():
    cache = Cache(200, policy="lru")
    with AdaptiveCacheStrategy(cache, budget=800, evidence=5_000) as strategy:
        play(cache, scan(30_000))
        assert strategy.adapt_cache() == []
        assert cache.capacity == 200


def test_advice_changes_nothing():
    cache = Cache(200, policy="lru")
    with AdaptiveCacheStrategy(cache, budget=1000, apply=False, evidence=5_000) as strategy:
        play(cache, zipf(20_000, 3_000))
        (step,) = strategy.adapt_cache()
        assert step.outcome == "advised" and step.after > 200
        assert cache.capacity == 200 and strategy.steps() == [step]


def test_of_few_lookups_nothing_is_concluded():
    cache = Cache(200, policy="lru")
    with AdaptiveCacheStrategy(cache, budget=1000) as strategy:
        play(cache, zipf(9_000, 3_000))
        assert strategy.adapt_cache() == []


def test_sizes_in_bytes_are_adapted_in_bytes():
    cache = Cache(maxbytes=50_000, policy="lru")
    with AdaptiveCacheStrategy(cache, budget=400_000, evidence=5_000) as strategy:
        for seed in range(4):
            for key in zipf(20_000, 3_000, seed):
                if cache.get(key) is None:
                    cache.set(key, bytes(100))
            strategy.adapt_cache()
        assert 50_000 < cache.capacity <= 400_000


# --- adapting: policy ---------------------------------------------------------------------------------------


def frequent_among_scans(count):
    often, once = itertools.cycle(range(300)), iter(scan(count))
    return [next(often) if turn % 4 == 0 else next(once) for turn in range(count)]


def test_a_fixed_policy_follows_the_guides_rule():
    cache = Cache(600, policy="lru")
    with AdaptiveCacheStrategy(cache, evidence=5_000, target=0.1) as strategy:
        play(cache, frequent_among_scans(100_000))
        strategy.adapt_cache()
        assert cache.policy == "lfu"


def test_an_adaptive_policy_is_left_to_decide_for_itself():
    cache = Cache(600, policy="adaptive")
    with AdaptiveCacheStrategy(cache, evidence=5_000, least=600) as strategy:
        play(cache, frequent_among_scans(100_000))
        assert strategy.adapt_cache() == []
        assert cache.policy == "adaptive"


def test_a_step_that_did_harm_is_taken_back_and_waits_before_it_is_tried_again():
    cache = Cache(600, policy="lru")
    with AdaptiveCacheStrategy(cache, evidence=5_000, least=600) as strategy:
        play(cache, frequent_among_scans(100_000))
        strategy.adapt_cache()
        assert cache.policy == "lfu"
        # the workload turns: now only what was asked for last comes again, and LFU keeps the wrong things
        moving = [(turn // 2000) * 10_000 + turn % 550 for turn in range(60_000)]
        play(cache, moving)
        (judged,) = strategy.adapt_cache()
    assert (judged.kind, judged.outcome, cache.policy) == ("policy", "rolled back", "lru")
    assert judged.measured < 0


def test_a_knob_that_does_harm_each_time_is_turned_ever_more_rarely():
    damper, allowed = Damper(), 0
    for _ in range(200):
        if damper.allows("a", "b"):
            allowed += 1
            damper.judged("a", "b", harmful=True)
    assert 3 <= allowed <= 9


def test_a_step_back_has_to_wait_once():
    damper = Damper()
    assert [damper.allows("a", "b"), damper.allows("b", "a"), damper.allows("b", "a")] == [True, False, True]


# --- adapting: preloads and failures ------------------------------------------------------------------------


def test_preloads_are_asked_for_when_lookups_miss_and_nothing_else_helps():
    calls = []
    cache = Cache(200, policy="adaptive")
    with AdaptiveCacheStrategy(cache, evidence=5_000, preload=lambda: calls.append(1)) as strategy:
        play(cache, scan(20_000))
        (step,) = strategy.adapt_cache()
    assert step.kind == "preload" and calls == [1]


def test_a_step_that_fails_is_told_and_leaves_the_cache_as_it_was(caplog):
    cache = Cache(200, policy="adaptive")
    with AdaptiveCacheStrategy(cache, evidence=5_000, preload=lambda: 1 / 0) as strategy:
        play(cache, scan(20_000))
        with caplog.at_level(logging.WARNING, "perfcore"):
            (step,) = strategy.adapt_cache()
    assert step.outcome == "failed" and "ZeroDivisionError" in step.reason
    assert "could not change" in caplog.text


@pytest.mark.parametrize(
    ("options", "error"),
    [({"target": 0}, ValueError), ({"target": 1.5}, ValueError), ({"least": 300, "budget": 200}, ValueError)],
)
def test_options_that_make_no_sense_are_refused(options, error):
    with pytest.raises(error):
        AdaptiveCacheStrategy(Cache(100), **options)


def test_only_a_cache_can_be_adapted():
    with pytest.raises(TypeError, match="expected a Cache or a CacheManager, got dict"):
        AdaptiveCacheStrategy({})


# --- a budget -----------------------------------------------------------------------------------------------


def test_room_moves_to_the_cache_that_can_use_it():
    caches = {"busy": Cache(500, policy="lru"), "idle": Cache(500, policy="lru")}
    with CacheBudget(caches, 1000, evidence=5_000) as budget:
        for seed in range(8):
            play(caches["busy"], zipf(10_000, 2_000, seed))
            play(caches["idle"], [key % 20 for key in range(2_000)])
            budget.divide()
        assert budget.sizes()["busy"] > 700
        assert sum(cache.capacity for cache in caches.values()) <= 1000
        (first, *_) = [division for division in budget.divisions() if division.applied]
        assert first.predicted > 0 and first.before != first.after


def test_a_budget_never_exceeds_its_total_and_leaves_everybody_the_least():
    caches = {str(number): Cache(100, policy="lru") for number in range(3)}
    with CacheBudget(caches, 900, least=50, evidence=1_000) as budget:
        for seed in range(6):
            for number, cache in enumerate(caches.values()):
                play(cache, zipf(3_000, 200 * (number + 1), seed))
            budget.divide()
            sizes = budget.sizes().values()
            assert sum(sizes) <= 900 and min(sizes) >= 50


def test_without_evidence_nothing_moves():
    caches = {"a": Cache(50), "b": Cache(50)}
    with CacheBudget(caches, 100) as budget:
        play(caches["a"], range(100))
        assert budget.divide() is None
        assert budget.sizes() == {"a": 50, "b": 50}


@pytest.mark.parametrize(
    ("caches", "total", "least"),
    [
        ({"a": Cache(10)}, 100, None),
        ({"a": Cache(10), "b": Cache(maxbytes=1000)}, 100, None),
        ({"a": Cache(10), "b": Cache(10)}, 100, 60),
        ({"a": Cache(10), "b": Cache(10)}, 100, 0),
    ],
)
def test_budgets_that_make_no_sense_are_refused(caches, total, least):
    with pytest.raises(ValueError, match=r"budget|enough"):
        CacheBudget(caches, total, least=least)
