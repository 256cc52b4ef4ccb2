"""What makes no sense is refused when a function is decorated, by the names of the options."""

import pytest

from perfcore import Cache, cached, cached_method
from perfcore.compat.async_lru import alru_cache


async def agen():
    yield 1


def gen():
    yield 1


CONTRADICTIONS = [
    ({"stale_ttl": 5}, "stale_ttl needs ttl"),
    ({"refresh_ahead": 0.1}, "refresh_ahead needs ttl"),
    ({"stale_on_error": True}, "stale_on_error needs ttl"),
    ({"jitter": 0.1}, "jitter needs ttl"),
    ({"ttl": 10, "stale_ttl": 1, "soft_timeout": 2, "hard_timeout": 1}, "hard_timeout .* below soft_timeout"),
    ({"ttl": 10, "soft_timeout": 2}, "soft_timeout needs stale_ttl or stale_on_error"),
    ({"ttl": 10, "refresh_ahead": 10}, "refresh_ahead .* less than ttl"),
    ({"typed": True, "key": len}, "typed and key"),
    ({"single_flight": False, "hard_timeout": 1}, "hard_timeout needs single_flight"),
    ({"single_flight": False, "ttl": 5, "stale_ttl": 1}, "stale_ttl needs single_flight"),
    ({"cache": Cache(5), "maxsize": 5}, "maxsize and cache"),
    ({"cache": Cache(5), "policy": "lru"}, "policy and cache"),
    ({"ttl": 0}, "ttl must be more than 0"),
    ({"ttl": -1}, "ttl: .*not negative"),
    ({"hard_timeout": float("nan")}, "hard_timeout: "),
    ({"jitter": 2, "ttl": 1}, "jitter .* from 0 to 1"),
    ({"copy": "sideways"}, 'copy is False, "shallow", "deep" or a function'),
    ({"maxsize": -1}, "maxsize"),
    ({"policy": "mru"}, "policy"),
    ({"maxsize": 1, "maxbytes": 1}, "maxsize, maxweight and maxbytes"),
    ({"maxweight": 1}, "maxweight and weigher"),
]
WRONG_TYPES = [
    ({"ttl": "soon"}, "ttl: .* not a str"),
    ({"key": 5}, "key must be callable"),
    ({"timer": 5}, "timer must be callable"),
    ({"cache": 5}, "cache must be a Cache"),
    ({"cache_exceptions": [5]}, "cache_exceptions names exceptions"),
    ({"cache_exceptions": KeyboardInterrupt}, "cache_exceptions names exceptions"),
    ({"negative_ttl": {int: 5}}, "negative_ttl names exceptions"),
    ({"jitter": "much", "ttl": 1}, "jitter"),
    ({"tags": [[]]}, "unhashable"),
    ({"max_size": 5, "tll": 3}, "no option max_size, tll"),
]


@pytest.mark.parametrize(("options", "message"), CONTRADICTIONS)
def test_options_that_contradict_each_other_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        cached(**options)(abs)


@pytest.mark.parametrize(("options", "message"), WRONG_TYPES)
def test_options_of_the_wrong_type_are_named(options, message):
    with pytest.raises(TypeError, match=message):
        cached(**options)(abs)


@pytest.mark.parametrize("decorate", [cached, cached(ttl=5), cached_method, cached_method(maxsize=5)])
@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (5, "decorates functions, not an object of type int"),
        ("name", "not an object of type str"),
        (Cache(5), "not an object of type Cache"),
        (agen, "agen is an asynchronous generator function"),
        (gen, "gen is a generator function"),
    ],
)
def test_what_is_no_function_that_can_be_cached_is_refused(decorate, thing, message):
    with pytest.raises(TypeError, match=message):
        decorate(thing)


def test_a_method_cache_is_its_own():
    with pytest.raises(ValueError, match="takes no cache"):
        cached_method(cache=Cache(5))


def test_alru_cache_wants_coroutine_functions():
    with pytest.raises(RuntimeError, match="a coroutine function is required"):
        alru_cache(abs)
    with pytest.raises(NotImplementedError):
        alru_cache("maxsize")
