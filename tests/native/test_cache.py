"""What a user of Cache relies on."""

import gc
import math
import sys
from collections import UserDict
from collections.abc import MutableMapping
from datetime import timedelta

import pytest

from perfcore.cache import Cache


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_it_is_a_mutable_mapping_that_forgets_the_least_recently_used():
    cache = Cache(2, policy="lru")
    assert isinstance(cache, MutableMapping)
    cache["a"], cache["b"] = 1, 2
    assert cache["a"] == 1
    cache["c"] = 3
    assert dict(cache) == {"a": 1, "c": 3}
    assert "b" not in cache
    with pytest.raises(KeyError, match="'b'"):
        cache["b"]


def test_an_unbounded_cache_keeps_everything_through_many_growths():
    cache = Cache()
    for i in range(50_000):
        cache[i] = -i
    cache._check()
    assert len(cache) == 50_000
    assert all(cache[i] == -i for i in range(50_000))
    for i in range(0, 50_000, 2):
        del cache[i]
    cache._check()
    assert set(cache) == set(range(1, 50_000, 2))


def test_a_cache_of_size_zero_stores_nothing():
    cache = Cache(0)
    cache["a"] = 1
    assert not cache
    assert cache.stats().rejections == 1


def test_equal_keys_of_different_types_are_one_key():
    cache = Cache()
    cache[1] = "int"
    cache[1.0] = "float"
    cache[True] = "bool"
    assert dict(cache) == {1: "bool"}
    assert [type(key) for key in cache] == [int]  # the first key stays, as in a dict


def test_nan_is_found_by_identity_as_in_a_dict():
    cache, nan = Cache(), math.nan
    cache[nan] = 1
    assert cache[nan] == 1
    assert float("nan") not in cache


@pytest.mark.parametrize(
    "verb", [Cache.get, Cache.peek, Cache.__getitem__, Cache.__contains__, Cache.delete, Cache.pop]
)
def test_an_unhashable_key_is_a_type_error(verb):
    with pytest.raises(TypeError, match="unhashable"):
        verb(Cache(), [])


def test_none_is_a_value_like_any_other():
    cache = Cache()
    cache["a"] = None
    assert cache.get("a", 1) is None
    assert cache.get_or_set("a", lambda: 1) is None


def test_the_verbs_of_a_mapping():
    cache = Cache()
    assert cache.setdefault("a", 1) == 1
    assert cache.setdefault("a", 2) == 1
    cache.update({"b": 2}, c=3)
    cache.update([("d", 4)])
    cache.update(UserDict(e=5))
    assert cache == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    assert cache != {"a": 1}
    assert cache.pop("a") == 1
    assert cache.pop("a", None) is None
    with pytest.raises(KeyError):
        cache.pop("a")
    with pytest.raises(KeyError):
        del cache["a"]
    assert cache.popitem() == ("b", 2)
    assert ("c", 3) in cache.items()
    assert 4 in cache.values()
    assert "e" in cache.keys()  # noqa: SIM118
    cache.clear()
    assert cache == {}
    with pytest.raises(KeyError):
        cache.popitem()


def test_a_factory_that_raises_stores_nothing():
    cache = Cache()
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("a", lambda: 1 // 0)
    assert "a" not in cache
    assert cache.get_or_set("a", lambda: 5) == 5 == cache["a"]


def test_looking_is_no_use_and_using_is():
    cache = Cache(2, policy="lru")
    cache["a"] = cache["b"] = 1
    assert cache.peek("a") == 1
    assert "a" in cache
    assert list(cache.items()) == [("a", 1), ("b", 1)]
    cache["c"] = 1
    assert "a" not in cache
    assert cache.touch("b")
    cache["d"] = 1
    assert set(cache) == {"b", "d"}
    assert not cache.touch("a")


def test_stats_count_uses_and_only_uses():
    cache = Cache(1)
    cache["a"] = 1
    cache.get("a"), cache.get("b"), cache.peek("a"), "b" in cache
    cache["c"] = 2
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.evictions, stats.entries) == (1, 1, 1, 1)
    assert stats.hit_ratio == 0.5
    assert cache.stats() == stats
    cache.reset_stats()
    assert cache.stats()[:5] == (0, 0, 0, 0, 0)
    assert cache.stats().hit_ratio == 0


def test_missing_is_called_for_subclasses_only_on_a_miss():
    class Squares(Cache):
        def __missing__(self, key):
            self[key] = key * key
            return self[key]

    cache = Squares()
    assert cache[4] == 16
    assert cache.peek(4) == 16
    assert cache.get(5) is None


def test_a_subclass_that_forgets_init_has_an_unbounded_cache():
    class Forgetful(Cache):
        def __init__(self):
            self.extra = 1

    cache = Forgetful()
    cache["a"] = 1
    assert cache["a"] == cache.extra


def test_init_again_starts_anew():
    cache = Cache(5)
    cache["a"] = 1
    cache.__init__(1)
    assert not cache
    cache["a"] = cache["b"] = 1
    assert len(cache) == 1
    cache._check()


# --- weights ---


def test_weights_are_bounded():
    cache = Cache(maxweight=10, weigher=lambda key, value: len(value), policy="lru")
    cache["a"], cache["b"] = "xxxx", "xxxx"
    cache["c"] = "xxx"
    assert set(cache) == {"b", "c"}
    assert cache.weight == 7
    cache["b"] = "xxxxxxx"
    assert cache.weight == 10
    cache["b"] = "x"
    assert cache.weight == 4


def test_what_is_heavier_than_the_cache_is_refused_and_leaves_no_older_value():
    cache = Cache(maxweight=3, weigher=lambda key, value: value)
    cache["a"] = 1
    cache["a"] = 4
    cache["b"] = 5
    assert not cache
    assert cache.stats().rejections == 2


@pytest.mark.parametrize(
    ("weight", "error"),
    [(-1, ValueError), (1.5, TypeError), (2**32, ValueError), (True, TypeError), (None, TypeError)],
)
def test_a_weigher_that_lies_is_refused_and_changes_nothing(weight, error):
    weights = {"good": 1, "bad": weight}
    cache = Cache(maxweight=5, weigher=lambda key, value: weights[value])
    cache["a"] = "good"
    with pytest.raises(error, match="weigher"):
        cache["a"] = "bad"
    assert cache == {"a": "good"}
    with pytest.raises(KeyError):
        cache["b"] = "unknown"
    cache._check()


def test_a_weight_given_with_the_entry_counts_instead_of_the_weighers():
    cache = Cache(maxweight=10, weigher=lambda key, value: 4, policy="lru")
    cache.set("a", 1, weight=7)
    cache["b"] = 2
    assert cache == {"b": 2}
    assert cache.add("c", 3, weight=6)
    assert cache.weight == 10
    cache.set("c", 3, weight=1)
    assert cache.weight == 5
    cache.set("pinned", 4, weight=0)
    cache.set("too heavy", 5, weight=11)
    assert set(cache) == {"b", "c", "pinned"}
    cache._check()


@pytest.mark.parametrize(
    ("weight", "error"),
    [
        (-1, ValueError),
        (1.5, TypeError),
        (2**32, ValueError),
        (10**30, ValueError),
        (True, TypeError),
        ("1", TypeError),
    ],
)
def test_a_weight_that_is_none_is_refused_and_changes_nothing(weight, error):
    cache = Cache(maxweight=5, weigher=lambda key, value: 1)
    cache["a"] = 1
    for store in (cache.set, cache.add):
        with pytest.raises(error, match="weight must"):
            store("a", 2, weight=weight)
    assert cache == {"a": 1}
    cache._check()


def test_a_weight_needs_a_cache_that_weighs():
    cache = Cache(5)
    with pytest.raises(ValueError, match="weight is for caches with maxweight or maxbytes"):
        cache.set("a", 1, weight=2)
    assert not cache
    by_bytes = Cache(maxbytes=100)
    by_bytes.set("a", 1, weight=60)
    by_bytes.set("b", 1, weight=40)
    assert by_bytes.weight == 100


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_what_was_just_written_is_there_under_random(size):
    cache = Cache(size, policy="random")
    for i in range(500):
        cache[i] = i
        assert cache[i] == i
        if i % 7 == 0:
            cache.delete(i - 1)
    weighted = Cache(maxweight=10, weigher=lambda key, value: value, policy="random")
    for i in range(2000):
        weighted[i % 20] = 1 + i * 7 % 10
        assert i % 20 in weighted
    weighted._check()


# --- time ---


def test_an_entry_ends_after_its_ttl(clock):
    cache = Cache(ttl=10, timer=clock)
    cache["a"] = 1
    cache.set("b", 2, ttl=timedelta(seconds=3))
    assert cache.expires_in("b") == 3
    clock.now = 3
    assert "b" not in cache
    assert len(cache) == 1
    assert cache.expires_in("a") == 7
    clock.now = 10
    assert cache.get("a") is None
    assert cache.stats().expirations == 2
    with pytest.raises(KeyError):
        cache.expires_in("a")


def test_idle_time_is_granted_anew_by_a_use_up_to_the_ttl(clock):
    cache = Cache(ttl=10, tti=4, timer=clock)
    cache["a"] = 1
    for clock.now in (3, 6, 9):
        assert cache["a"] == 1
    clock.now = 10
    assert "a" not in cache
    cache["b"] = 1
    clock.now = 13
    assert cache.peek("b") == 1  # looking is no use
    clock.now = 14
    assert "b" not in cache


def test_a_write_and_a_touch_start_the_time_anew(clock):
    cache = Cache(ttl=10, timer=clock)
    cache["a"] = cache["b"] = 1
    clock.now = 9
    cache["a"] = 2
    cache.touch("b", ttl=5)
    clock.now = 13
    assert dict(cache) == {"a": 2, "b": 1}
    clock.now = 14
    assert dict(cache) == {"a": 2}


def test_ended_entries_are_not_iterated_and_noticing_one_is_no_change(clock):
    cache = Cache(timer=clock)
    cache.set("a", 1, ttl=1)
    cache["b"] = 2
    cache["c"] = 3
    keys = iter(cache)
    clock.now = 1
    assert cache.get("a") is None
    assert list(keys) == ["b", "c"]


def test_expire_removes_what_has_ended(clock):
    cache = Cache(timer=clock)
    for i in range(1, 100):
        cache.set(i, i, ttl=i)
    clock.now = 50
    assert cache.expire() == 50
    assert len(cache) == 49
    cache._check()


def test_entries_without_an_end_stay_when_others_get_one(clock):
    cache = Cache(timer=clock)
    for i in range(5000):
        cache[i] = i
    cache.set("x", 1, ttl=1)
    cache.set("y", 1, tti=1)
    clock.now = 5
    assert "x" not in cache
    assert "y" not in cache
    assert len(cache) == 5000
    assert cache.expires_in(17) is None


# --- iteration ---


def test_reading_during_iteration_is_fine_and_changing_is_a_runtime_error():
    cache = Cache()
    cache.update({i: i for i in range(10)})
    for key in cache:
        cache[key]
        cache[key] = -key  # a replaced value does not change the keys
    with pytest.raises(RuntimeError, match="changed during iteration"):
        for key in cache:
            del cache[key]
    with pytest.raises(RuntimeError):
        for key in cache:
            cache[-key - 1] = 0


def test_an_exhausted_iterator_stays_exhausted():
    cache = Cache()
    cache["a"] = 1
    keys = iter(cache)
    assert list(keys) == ["a"]
    cache["b"] = 1
    assert list(keys) == []


# --- the listener ---


def test_the_listener_hears_each_leaving_once_with_its_cause(clock):
    heard = []
    cache = Cache(2, policy="lru", timer=clock, on_remove=lambda *event: heard.append(event))
    cache["a"] = 1
    cache["a"] = 2
    cache.set("b", 3, ttl=1)
    clock.now = 1
    cache.get("b")
    cache["c"] = 4
    cache["d"] = 5
    cache.pop("c")
    cache.clear()
    assert heard == [
        ("a", 1, "replaced"),
        ("b", 3, "expired"),
        ("a", 2, "size"),
        ("c", 4, "explicit"),
        ("d", 5, "explicit"),
    ]


def test_a_listener_that_raises_is_reported_and_hurts_nobody(monkeypatch):
    reports = []
    monkeypatch.setattr(sys, "unraisablehook", reports.append)
    cache = Cache(1, on_remove=lambda *event: 1 // 0)
    cache["a"] = 1
    cache["b"] = 2
    cache["c"] = 3
    assert cache == {"c": 3}
    assert [report.exc_type for report in reports] == [ZeroDivisionError] * 2


def test_a_listener_may_use_the_cache():
    cache = Cache(
        3,
        on_remove=lambda key, value, cause: (
            cache.set(("gone", key), value) if key != "d" and len(cache) < 3 else None
        ),
    )
    for key in "abcd":
        cache[key] = key
        cache._check()
    cache.pop("d")
    cache._check()
    assert len(cache) <= 3


# --- arguments ---


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"maxsize": -1}, ValueError, "maxsize"),
        ({"maxsize": 1.5}, TypeError, "maxsize"),
        ({"maxsize": True}, TypeError, "maxsize"),
        ({"maxsize": "10"}, TypeError, "maxsize"),
        ({"maxweight": -1, "weigher": len}, ValueError, "maxweight"),
        ({"maxweight": 5}, ValueError, "weigher"),
        ({"weigher": len}, ValueError, "maxweight"),
        ({"maxsize": 1, "maxweight": 5, "weigher": len}, ValueError, "exclude each other"),
        ({"maxweight": 5, "weigher": 3}, TypeError, "weigher"),
        ({"ttl": 0}, ValueError, "ttl"),
        ({"ttl": -1}, ValueError, "ttl"),
        ({"ttl": math.nan}, ValueError, "ttl"),
        ({"ttl": math.inf}, ValueError, "ttl"),
        ({"ttl": "5"}, TypeError, "ttl"),
        ({"ttl": True}, TypeError, "ttl"),
        ({"tti": 0}, ValueError, "tti"),
        ({"timer": 5}, TypeError, "timer"),
        ({"on_remove": 5}, TypeError, "on_remove"),
    ],
)
def test_a_bad_argument_is_named_and_leaves_the_cache_unchanged(arguments, error, name):
    with pytest.raises(error, match=name):
        Cache(**arguments)
    cache = Cache(3)
    cache["a"] = 1
    with pytest.raises(error, match=name):
        cache.__init__(**arguments)
    assert cache == {"a": 1}
    assert cache.maxsize == 3


@pytest.mark.parametrize("maxsize", [-1, 1.5, True, "x"])
def test_a_bad_resize_changes_nothing(maxsize):
    cache = Cache(3)
    cache["a"] = 1
    with pytest.raises((TypeError, ValueError), match="maxsize"):
        cache.resize(maxsize)
    assert cache == {"a": 1}
    assert cache.maxsize == 3


@pytest.mark.parametrize("reading", [-1, math.nan, math.inf, "x", None])
def test_a_timer_that_lies_is_an_error_and_changes_nothing(reading):
    now = [0]
    cache = Cache(ttl=5, timer=lambda: now[0])
    cache["a"] = 1
    now[0] = reading
    with pytest.raises((TypeError, ValueError)):
        cache["b"] = 1
    now[0] = 1
    assert cache == {"a": 1}


def test_resize_evicts_down_and_makes_room_up():
    cache = Cache(10, policy="lru")
    cache.update({i: i for i in range(10)})
    cache.resize(3)
    assert set(cache) == {7, 8, 9}
    cache.resize(None)
    cache.update({i: i for i in range(100)})
    assert len(cache) == 100
    assert cache.maxsize is None


@pytest.mark.no_sanitizer
def test_sizeof_covers_the_structure():
    cache = Cache()
    empty = sys.getsizeof(cache)
    cache.update({i: i for i in range(100_000)})
    gc.collect()
    assert 40 < (sys.getsizeof(cache) - empty) / 100_000 < 64


def test_it_is_generic_at_run_time():
    assert Cache[str, int].__origin__ is Cache


@pytest.mark.parametrize("letter", ["x", "é", "Ж", "\U0001f600"])
def test_equal_strings_of_any_length_and_width_are_one_key(letter):
    cache = Cache()
    for length in range(40):
        cache[letter * length] = length
    for length in range(40):
        assert cache["".join([letter] * length)] == length
        assert ("".join([letter] * length) + "y") not in cache


def test_equal_integers_of_any_size_are_one_key():
    cache, sizes = Cache(), [0, 1, 2**15, 2**30 - 1, 2**30, 2**60, 2**61 - 1, 2**61, 2**200]
    keys = [sign * (size + step) for size in sizes for step in (-1, 0, 1) for sign in (1, -1)]
    for key in keys:
        cache[key] = key
    assert all(cache[int(str(key))] == key for key in keys)
    assert len(cache) == len(set(keys))
    assert all(cache[float(key)] == key for key in keys if abs(key) < 2**50)
