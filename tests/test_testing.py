"""What perfcore offers to the tests of programs that use it."""

import pytest

from perfcore.cache import Cache, CacheManager, cached
from perfcore.testing import FakeClock, isolated

pytest_plugins = ["pytester"]


def test_a_clock_moves_only_by_hand_and_only_forwards():
    clock = FakeClock(10)
    assert (clock(), clock(), clock.advance(2.5), clock()) == (10, 10, 12.5, 12.5)
    for backwards in (-1, float("nan")):
        with pytest.raises(ValueError, match="backwards"):
            clock.advance(backwards)
    assert repr(clock) == "FakeClock(12.5)"


def test_caches_are_empty_in_a_block_and_as_before_after_it():
    clock = FakeClock()
    cache = Cache(3, policy="lru", timer=clock)
    cache.set("a", 1, ttl=10)
    cache.set("b", 2, tags=["t"])
    cache.set("c", 3)
    assert cache["a"] == 1  # now b is the coldest
    with isolated(cache):
        assert len(cache) == 0
        cache["d"] = 4
    assert dict(cache.items()) == {"a": 1, "b": 2, "c": 3}
    assert cache.coldest(1) == ["b"] and cache.expires_in("a") == 10
    cache.invalidate_tags("t")
    assert "b" not in cache
    cache._check()


def test_what_a_cache_held_comes_back_after_an_error_too():
    cache = Cache(3)
    cache["a"] = 1
    with pytest.raises(LookupError), isolated(cache):
        raise LookupError
    assert cache["a"] == 1


def test_functions_compute_anew_in_a_block():
    calls = []

    @cached
    def double(number):
        calls.append(number)
        return 2 * number

    assert double(1) == 2
    with isolated(double):
        assert double(1) == 2
    assert double(1) == 2 and calls == [1, 1]


def test_only_caches_in_memory_can_be_isolated(tmp_path):
    with CacheManager(disk={"directory": tmp_path}) as manager:
        for thing in ({}, manager, len):
            with (
                pytest.raises(TypeError, match="expected a Cache in memory or a cached function"),
                isolated(thing),
            ):
                pass


def test_the_fixtures_come_with_a_line_in_conftest(pytester):
    pytester.makeconftest('pytest_plugins = ["perfcore.testing.plugin"]')
    pytester.makepyfile(
        """
        from perfcore.cache import Cache
        cache = Cache(10)
        cache["a"] = 1

        def test_one(fake_clock, isolated_caches):
            isolated_caches(cache)
            assert fake_clock.advance(1) == 1 and not cache
            cache["b"] = 2

        def test_two():
            assert dict(cache.items()) == {"a": 1}
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
