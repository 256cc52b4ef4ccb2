"""What holds under every policy, and what each one promises."""

import random

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore.cache import Cache

POLICIES = ["lru", "lfu", "random", "adaptive"]

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 60), st.integers(0, 5)),
        st.tuples(st.just("get"), st.integers(0, 60)),
        st.tuples(st.just("delete"), st.integers(0, 60)),
        st.tuples(st.just("resize"), st.integers(0, 40)),
        st.tuples(st.just("policy"), st.sampled_from(POLICIES)),
        st.tuples(st.just("popitem")),
        st.tuples(st.just("copy")),
    ),
    max_size=300,
)


@pytest.mark.parametrize("weighted", [False, True])
@given(start=st.sampled_from(POLICIES), capacity=st.integers(0, 40), operations=OPERATIONS)
@settings(max_examples=effort(60), deadline=None)
def test_a_value_is_the_one_last_written_or_absent_and_the_bound_holds(weighted, start, capacity, operations):
    removed = []
    bound = (
        {"maxweight": capacity, "weigher": lambda key, value: value} if weighted else {"maxsize": capacity}
    )
    cache = Cache(**bound, policy=start, on_remove=lambda *event: removed.append(event))
    written = {}
    for name, *arguments in operations:
        if name == "set":
            cache[arguments[0]] = arguments[1]
            written[arguments[0]] = arguments[1]
        elif name == "get":
            found = cache.get(arguments[0])
            assert found is None or found == written[arguments[0]]
        elif name == "delete":
            assert cache.delete(arguments[0]) <= (arguments[0] in written)
            assert arguments[0] not in cache
        elif name == "resize":
            cache.resize(arguments[0])
        elif name == "policy":
            before = dict(cache)
            cache.policy = arguments[0]
            assert dict(cache) == before
            assert cache.policy == arguments[0]
        elif name == "popitem" and cache:
            key, value = cache.popitem()
            assert written[key] == value
        elif name == "copy":
            duplicate = cache.copy()
            duplicate._check()
            assert duplicate == cache
        cache._check()
        assert all(written[key] == value for key, value in cache.items())
        assert cache.weight <= cache.capacity
    counted = cache.stats()
    assert sum(cause == "size" for *_, cause in removed) == counted.evictions


@pytest.mark.parametrize("policy", POLICIES)
def test_one_seed_and_the_same_calls_give_the_same_victims(policy):
    def play():
        rng, cache = random.Random(1), Cache(100, policy=policy, _seed=7)
        for _ in range(5000):
            key = int(rng.paretovariate(0.8))
            if cache.get(key) is None:
                cache[key] = key
        return sorted(cache)

    assert play() == play()


@pytest.mark.parametrize("policy", ["lfu", "adaptive"])
def test_a_scan_does_not_push_out_what_is_asked_for_again_and_again(policy):
    cache = Cache(1000, policy=policy)
    hot = range(500)
    for _ in range(20):
        for key in hot:
            if cache.get(key) is None:
                cache[key] = key
    for key in range(10_000, 30_000):
        cache[key] = key
    assert sum(key in cache for key in hot) > 400


def test_adaptive_hits_in_a_loop_that_lru_never_hits_and_in_recency_that_lfu_misses():
    def hits(policy, keys, capacity):
        cache = Cache(capacity, policy=policy)
        for key in keys:
            if cache.get(key) is None:
                cache[key] = key
        return cache.stats().hit_ratio

    loop = [i % 1500 for i in range(60_000)]
    assert hits("lru", loop, 1000) == 0
    assert hits("adaptive", loop, 1000) > 0.5
    rng = random.Random(3)
    recent = [max(0, i // 4 - int(rng.expovariate(1 / 200))) for i in range(60_000)]
    assert hits("adaptive", recent, 1000) > 0.95 * hits("lru", recent, 1000)


def test_hottest_and_coldest_are_the_order_of_eviction():
    cache = Cache(5, policy="lru")
    cache.update({i: i for i in range(5)})
    cache[2]
    assert cache.coldest(2) == [0, 1]
    assert cache.hottest(2) == [2, 4]
    assert cache.coldest(99) == [0, 1, 3, 4, 2]
    assert cache.hottest(0) == []


@pytest.mark.parametrize("policy", POLICIES)
def test_ranked_keys_are_all_keys_once(policy):
    cache = Cache(200, policy=policy)
    rng = random.Random(5)
    for _ in range(3000):
        key = rng.randrange(400)
        if cache.get(key) is None:
            cache[key] = key
    assert sorted(cache.coldest(1000)) == sorted(cache) == sorted(cache.hottest(1000))


def test_the_state_tells_arm_window_scores_and_switches():
    cache = Cache(1000, policy="adaptive")
    for i in range(20_000):
        cache.get(i % 1500) or cache.set(i % 1500, i)
    state = cache.policy_state()
    assert state.policy == "adaptive"
    assert state.arm in state.hits
    assert set(state.hits) == {"lirs", "tiny20", "lru", "tiny1"}
    assert state.window + state.main == len(cache)
    assert state.sample_rate >= 1
    assert Cache(5, policy="lru").policy_state().hits == {}


def test_explain_tells_what_became_of_a_key():
    now = [0.0]
    cache = Cache(maxweight=2, weigher=lambda key, value: value, policy="lru", timer=lambda: now[0])
    cache["evicted"] = cache["gone"] = 1
    cache["present"] = 1
    cache.pop("gone")
    cache.set("ended", 1, ttl=5)
    assert cache.explain("ended").expires_in == 5
    now[0] = 5
    cache["heavy"] = 3
    states = {
        key: cache.explain(key).state for key in ("evicted", "gone", "present", "ended", "heavy", "never")
    }
    assert states == {
        "evicted": "evicted",
        "gone": "removed",
        "present": "present",
        "ended": "expired",
        "heavy": "rejected",
        "never": "unknown",
    }


def test_the_ghosts_remember_for_longer_and_tell_the_age():
    cache = Cache(200, policy="lfu", _seed=1)
    for i in range(400):
        cache[i] = i
    told = [cache.explain(i) for i in range(400) if i not in cache]
    assert sum(explanation.state == "evicted" for explanation in told) > 0.95 * len(
        told
    )  # others were overwritten
    assert sum(explanation.misses_ago is not None for explanation in told) > 100


@pytest.mark.parametrize("policy", ["LRU", "", None, 3, "fifo"])
def test_an_unknown_policy_is_refused_with_the_four_names(policy):
    with pytest.raises(ValueError, match="'lru', 'lfu', 'random', 'adaptive'"):
        Cache(5, policy=policy)
    cache = Cache(5, policy="lfu")
    with pytest.raises(ValueError, match="'lru', 'lfu', 'random', 'adaptive'"):
        cache.policy = policy
    assert cache.policy == "lfu"


def test_pinned_entries_stay_whatever_comes():
    cache = Cache(maxweight=10, weigher=lambda key, value: value)
    cache["pinned"] = 0
    for i in range(1000):
        cache[i] = 1 + i % 3
    assert "pinned" in cache
    assert cache.policy_state().pinned == 1


def test_bytes_are_bounded_by_the_built_in_sizer():
    cache = Cache(maxbytes="64KB")
    for i in range(1000):
        cache[i] = bytes(1000)
    assert 40 < len(cache) < 62
    assert cache.weight <= 65_536
    cache["huge"] = bytes(100_000)
    assert "huge" not in cache
    for text, error in [("64 parsecs", ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]:
        with pytest.raises(error, match="maxbytes"):
            Cache(maxbytes=text)


@pytest.mark.parametrize("policy", POLICIES)
def test_get_many_is_many_gets(policy):
    cache = Cache(300, policy=policy)
    cache.set_many({i: str(i) for i in range(300)})
    wanted = [random.Random(1).randrange(600) for _ in range(1000)]
    assert cache.get_many(wanted) == [str(key) if key < 300 else None for key in wanted]
    assert cache.get_many(iter(["x"]), 5) == [5]
    assert cache.get_many([]) == []
    hits = sum(key < 300 for key in wanted)
    assert (cache.stats().hits, cache.stats().misses) == (hits, 1001 - hits)
    with pytest.raises(TypeError):
        cache.get_many([[]])


def test_set_many_takes_mappings_and_pairs_and_a_ttl():
    now = [0.0]
    cache = Cache(timer=lambda: now[0])
    cache.set_many({"a": 1}, ttl=5)
    cache.set_many([("b", 2)])
    now[0] = 6
    assert cache == {"b": 2}


@pytest.mark.parametrize("policy", POLICIES)
def test_set_many_is_many_sets(policy):
    many, one, rng = Cache(300, policy=policy, _seed=1), Cache(300, policy=policy, _seed=1), random.Random(2)
    for options in ({}, {"ttl": 50}, {"tags": ["t"]}):
        pairs = [(rng.randrange(600), rng.random()) for _ in range(1000)]
        many.set_many(iter(pairs), **options)
        for key, value in pairs:
            one.set(key, value, **options)
        assert dict(many) == dict(one)
        many._check()


def test_set_many_gives_each_item_its_weight_and_all_the_tags():
    cache = Cache(maxweight=100, weigher=lambda key, value: 1, policy="lru")
    cache.set_many({i: i for i in range(20)}, weight=10, tags=iter(["t"]))
    assert set(cache) == set(range(10, 20))
    assert cache.weight == 100
    cache.invalidate_tags("t")
    assert not dict(cache)


def test_set_many_of_what_is_no_pairs_stores_nothing_and_a_bad_key_nothing_after_it():
    cache = Cache(500)
    for bad in ([("a", 1), "xyz"], [("a", 1), 7], iter([("a", 1), ()])):
        with pytest.raises((TypeError, ValueError)):
            cache.set_many(bad)
    assert not cache
    with pytest.raises(TypeError, match="unhashable"):
        cache.set_many([*((i, i) for i in range(100)), ([], 1), ("after", 2)])
    assert "after" not in cache
    for options in ({"weight": 1}, {"ttl": -1}, {"tags": "text"}, {"tti": True}):
        with pytest.raises((TypeError, ValueError), match=next(iter(options))):
            cache.set_many({"new": 1}, **options)
    assert "new" not in cache
    cache._check()


def test_jitter_spreads_the_ends():
    cache = Cache(ttl=100, jitter=0.5, timer=lambda: 0.0, _seed=1)
    cache.update({i: i for i in range(1000)})
    left = [cache.expires_in(i) for i in range(1000)]
    assert 50 <= min(left) < 55 < 95 < max(left) <= 100
    for jitter, error in [
        (-0.1, ValueError),
        (1, ValueError),
        (float("nan"), ValueError),
        ("x", TypeError),
        (True, TypeError),
    ]:
        with pytest.raises(error, match="jitter"):
            Cache(ttl=5, jitter=jitter)
