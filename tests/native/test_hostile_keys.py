"""Keys, weighers and listeners that lie, raise, collide or are no keys at all, by every verb."""

import math
import random
import sys
import time
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest

from perfcore.cache import Cache

POLICIES = ["lru", "lfu", "random", "adaptive"]


class BoomError(Exception):
    pass


@pytest.fixture(params=POLICIES)
def policy(request):
    return request.param


@pytest.fixture
def reports(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: seen.append(report.exc_type))
    return seen


# --- keys that collide -----------------------------------------------------------------------------


def counting(kind, hash_of):
    """A subclass of ``kind`` that has the hashes of ``hash_of`` and counts its comparisons."""

    class Counted(kind):
        compared = 0

        def __hash__(self):
            return hash_of(self)

        def __eq__(self, other):
            Counted.compared += 1
            return kind.__eq__(self, other)

    return Counted


HASHES = {
    "all alike": lambda key: 1,
    "a hundred alike": lambda key: int(key) % 20,
    "alike in the low half": lambda key: int(key) << 32,
    "alike in the high half": lambda key: int(key) | 0x1234567 << 34,
    "alike but for the middle": lambda key: int(key) << 24,
}


@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize("alike", HASHES)
def test_colliding_keys_are_compared_about_as_often_as_in_a_dict(kind, alike):
    counts = []
    for mapping in ({}, Cache()):
        cls = counting(kind, HASHES[alike])
        for i in range(2000 if alike != "all alike" else 400):
            mapping[cls(i)] = i
        for i in range(0, 400, 7):
            assert mapping[cls(i)] == i
        counts.append(cls.compared)
    assert counts[1] <= 1.1 * counts[0] + 20


def strings_alike(count, share):
    """Strings whose hashes have bits in common, as an attacker who knows the seed finds them."""
    found = []
    for i in range(10**8):
        if share(hash(text := f"key {i}")):
            found.append(text)
            if len(found) == count:
                return found
    raise AssertionError("unlikely")


CRAFTED = {
    "ints of one hash": lambda: [i * (2**61 - 1) for i in range(1000)],
    "ints alike in the low half": lambda: [i << 32 for i in range(1000)],
    "ints alike in the low three quarters": lambda: [i << 48 for i in range(1000)],
    "ints 2**20 apart": lambda: [i << 20 for i in range(1000)],
    "multiples of a constant that hashes are mixed with": lambda: [
        i * 0x9E3779B97F4A7C15 % (2**61 - 1) for i in range(1000)
    ],
    "strs alike in the low bits": lambda: strings_alike(1000, lambda value: value & 0xFF == 7),
    "strs alike in the high bits": lambda: strings_alike(1000, lambda value: (value >> 56) & 0xFF == 7),
}


def seconds_to_find(mapping, keys):
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for key in keys:
            mapping.get(key)
        rounds.append(time.perf_counter() - start)
    return min(rounds)


@pytest.mark.parametrize("crafted", CRAFTED)
def test_crafted_keys_slow_lookups_down_no_more_than_in_a_dict(crafted):
    slower = []
    for mapping in ({}, Cache()):
        plain, bad = [f"plain {i}" for i in range(1000)], CRAFTED[crafted]()
        mapping.update(dict.fromkeys(plain))
        usual = seconds_to_find(mapping, plain)
        mapping.clear()
        mapping.update(zip(bad, bad, strict=True))
        assert all(mapping[key] == key for key in bad)
        slower.append(seconds_to_find(mapping, bad) / usual)
    assert slower[1] < 8 * max(1, slower[0])  # a walk along all of them would be hundreds of times


# --- keys that are equal, or not even to themselves ------------------------------------------------


def test_equal_keys_of_different_types_are_one_key_for_every_verb(policy):
    cache, model = Cache(50, policy=policy), {}
    for n in range(10):
        alike = [n, float(n), Fraction(n), Decimal(n), complex(n)] + ([bool(n)] if n < 2 else [])
        for key in alike:
            cache[key] = model[key] = (n, type(key))
        for key in alike:
            assert cache.get(key) == cache.peek(key) == cache.get_many([key])[0] == model[key]
            assert key in cache
            assert not cache.add(key, "other")
            assert cache.setdefault(key, "other") == model[key]
            assert cache.explain(key).state == "present"
    assert {key: type(key) for key in cache} == dict.fromkeys(model, int)
    assert cache.pop(Fraction(3)) == model.pop(3)
    assert cache.delete(4.0)
    assert 3 not in cache
    assert 4 not in cache
    cache._check()


def test_strings_and_bytes_of_the_same_letters_are_two_keys():
    cache = Cache()
    cache["a"], cache[b"a"] = "str", "bytes"
    assert (cache["a"], cache[b"a"], len(cache)) == ("str", "bytes", 2)


def test_nan_is_itself_and_nobody_elses_equal_for_every_verb(policy):
    cache = Cache(1000, policy=policy)
    nans = [math.nan, *(float("nan") for _ in range(99))]
    for i, nan in enumerate(nans):
        cache[nan] = i
        cache[(nan, "tuple")] = i
    assert len(cache) == 200
    assert cache.get_many(nans) == list(range(100))
    assert cache.get_many([(nan, "tuple") for nan in nans]) == list(range(100))
    assert float("nan") not in cache
    assert not cache.delete(float("nan"))
    for nan in nans:
        assert cache.delete(nan)
        assert nan not in cache
    assert len(cache) == 100
    cache._check()


class Never:
    """Equal to nothing, not even to itself, by ``==``; ``is`` finds it all the same, as in a dict."""

    def __eq__(self, other):
        return False

    def __hash__(self):
        return 1


def test_keys_that_are_never_equal_are_found_by_identity_and_evicted():
    cache = Cache(10)
    keys = [Never() for _ in range(100)]
    for i, key in enumerate(keys):
        cache[key] = i
        cache._check()
    assert len(cache) == 10
    assert all(cache.get(key, i) == i for i, key in enumerate(keys))


class Truthless:
    """Its comparisons give something that has no truth."""

    def __eq__(self, other):
        return self

    def __hash__(self):
        return 1

    def __bool__(self):
        raise BoomError


VERBS = {
    "get": lambda cache, key: cache.get(key),
    "getitem": lambda cache, key: cache[key],
    "contains": lambda cache, key: key in cache,
    "peek": lambda cache, key: cache.peek(key),
    "get_many": lambda cache, key: cache.get_many([1, key]),
    "set": lambda cache, key: cache.set(key, 1),
    "setitem": lambda cache, key: cache.__setitem__(key, 1),
    "set with ttl": lambda cache, key: cache.set(key, 1, ttl=5),
    "set with tags": lambda cache, key: cache.set(key, 1, tags=["t"]),
    "set_many": lambda cache, key: cache.set_many([(key, 1)]),
    "set_many with ttl": lambda cache, key: cache.set_many([(key, 1)], ttl=5),
    "update": lambda cache, key: cache.update([(key, 1)]),
    "add": lambda cache, key: cache.add(key, 1),
    "setdefault": lambda cache, key: cache.setdefault(key, 1),
    "get_or_set": lambda cache, key: cache.get_or_set(key, lambda: 1),
    "delete": lambda cache, key: cache.delete(key),
    "delitem": lambda cache, key: cache.__delitem__(key),
    "delete_many": lambda cache, key: cache.delete_many([key]),
    "pop": lambda cache, key: cache.pop(key, None),
    "touch": lambda cache, key: cache.touch(key),
    "expires_in": lambda cache, key: cache.expires_in(key),
    "explain": lambda cache, key: cache.explain(key),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("key", [[], {}, set(), ([],), (1, ({},))], ids=repr)
def test_an_unhashable_key_is_a_type_error_and_changes_nothing(verb, key):
    cache = Cache(10)
    cache["a"] = 1
    with pytest.raises(TypeError, match="unhashable"):
        VERBS[verb](cache, key)
    assert dict(cache) == {"a": 1}
    cache._check()


@pytest.mark.parametrize("verb", VERBS)
def test_a_comparison_without_truth_comes_out_and_changes_nothing(verb):
    cache, stored = Cache(10), Truthless()
    cache[stored] = 1
    with pytest.raises(BoomError):
        VERBS[verb](cache, Truthless())
    assert cache[stored] == 1
    assert len(cache) == 1
    cache._check()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("answer", ["text", 1.5, None, BoomError])
def test_a_hash_that_is_none_comes_out_and_changes_nothing(verb, answer):
    class Odd:
        def __hash__(self):
            if answer is BoomError:
                raise BoomError
            return answer

    cache = Cache(10)
    cache["a"] = 1
    with pytest.raises((TypeError, BoomError)):
        VERBS[verb](cache, Odd())
    assert dict(cache) == {"a": 1}
    cache._check()


# --- weighers --------------------------------------------------------------------------------------

STORING = [
    "set", "setitem", "set with ttl", "set with tags", "set_many", "set_many with ttl", "update", "add",
    "setdefault", "get_or_set",
]  # fmt: skip


@pytest.mark.parametrize("verb", STORING)
def test_a_weigher_that_raises_comes_out_and_changes_nothing(verb, policy):
    def weigher(key, value):
        if key == "bomb":
            raise BoomError
        return 2

    cache = Cache(maxweight=10, weigher=weigher, policy=policy)
    cache.set_many([(i, i) for i in range(5)])
    before, weight = dict(cache), cache.weight
    with pytest.raises(BoomError):
        VERBS[verb](cache, "bomb")
    assert (dict(cache), cache.weight) == (before, weight)
    cache._check()


@pytest.mark.parametrize("verb", STORING)
@pytest.mark.parametrize("lie", [-1, 2**32, 10**30, 1.5, math.nan, None, "1", True], ids=repr)
def test_a_weigher_that_gives_no_weight_is_named_and_changes_nothing(verb, lie):
    cache = Cache(maxweight=10, weigher=lambda key, value: lie if key == "bomb" else 2)
    cache.set_many([(i, i) for i in range(5)])
    before = dict(cache)
    with pytest.raises((TypeError, ValueError), match="weigher"):
        VERBS[verb](cache, "bomb")
    assert dict(cache) == before
    cache._check()


def test_a_weigher_that_never_gives_the_same_weight_keeps_the_bound(policy):
    rng = random.Random(1)
    cache = Cache(
        maxweight=100,
        weigher=lambda key, value: rng.choice([0, 1, 7, 60, 100, 101, 2**32 - 1]),
        policy=policy,
    )
    for i in range(3000):
        cache[i % 40] = i
        assert cache.weight <= 100
        if i % 50 == 0:
            cache._check()
        if i % 700 == 0:
            cache.clear()  # the pinned ones fill it
    cache._check()


# --- listeners -------------------------------------------------------------------------------------


def test_a_listener_that_raises_for_every_cause_is_reported_and_hurts_nobody(policy, reports):
    now, causes = [0.0], []

    def listener(key, value, cause):
        causes.append(cause)
        raise BoomError(key)

    cache = Cache(10, policy=policy, ttl=100, timer=lambda: now[0], on_remove=listener)
    for i in range(30):
        cache[i] = i
        cache._check()
    last = next(iter(cache))
    cache[last] = "replaced"
    assert cache.pop(last) == "replaced"
    now[0] = 200
    assert cache.expire() == 9
    cache._check()
    assert not cache
    assert Counter(causes) == {"size": 20, "replaced": 1, "explicit": 1, "expired": 9}
    assert reports == [BoomError] * 31


def test_a_listener_that_reenters_and_then_raises(policy, reports):
    heard = []

    def listener(key, value, cause):
        cache._check()
        heard.append(key)
        if len(heard) < 1000:  # each of these makes another one leave
            cache[("again", len(heard))] = value
            cache.get(key)
            cache.delete(next(iter(cache), None))
        raise BoomError

    cache = Cache(8, policy=policy, on_remove=listener)
    for i in range(200):
        cache[i] = i
    cache._check()
    assert len(heard) == len(set(heard)) > 1000
    assert not set(heard) & set(cache)
    assert len(cache) == 8
    assert len(reports) == len(heard)


@pytest.mark.parametrize("meddling", ["clear", "resize", "init", "policy"])
def test_a_listener_that_turns_the_cache_upside_down(policy, meddling, reports):
    done = {
        "clear": lambda: cache.clear(),
        "resize": lambda: cache.resize(random.Random(len(heard)).randrange(20)),
        "init": lambda: cache.__init__(10, on_remove=listener),
        "policy": lambda: setattr(cache, "policy", POLICIES[len(heard) % 4]),
    }
    heard, inside = [], []

    def listener(key, value, cause):
        heard.append((key, value))
        if len(heard) % 5 == 0 and not inside:
            inside.append(1)
            done[meddling]()
            inside.clear()

    cache = Cache(10, policy=policy, on_remove=listener)
    for i in range(500):
        cache[i] = i
        cache.get(i - 3)
        cache._check()
    assert len(heard) == len(set(heard))
    assert not reports
