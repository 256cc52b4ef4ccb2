"""A copy, and a pickle in another process, keep entries, order, the policy's knowledge and the time left."""

import copy
import pickle
import random
import subprocess
import sys

import pytest

from perfcore.cache import Cache

POLICIES = ["lru", "lfu", "random", "adaptive"]


class Clock:  # by name, so that it can be pickled
    now = 0.0

    def __call__(self):
        return type(self).now


def count_letters(key, value):
    return len(value)


def filled(policy="lru", **options):
    cache, rng = Cache(100, policy=policy, **options), random.Random(2)
    for _ in range(2000):
        key = f"key {rng.randrange(150)}"
        if cache.get(key) is None:
            cache[key] = [key]
    return cache


WAYS = {
    "pickle": lambda cache: pickle.loads(pickle.dumps(cache)),
    "pickle 2": lambda cache: pickle.loads(pickle.dumps(cache, 2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "method": lambda cache: cache.copy(),
}


@pytest.fixture(params=WAYS)
def duplicate(request):
    return WAYS[request.param]


@pytest.mark.parametrize("policy", POLICIES)
def test_entries_and_bounds_are_kept(policy, duplicate):
    cache = filled(policy)
    twin = duplicate(cache)
    twin._check()
    assert twin == cache
    assert (twin.policy, twin.maxsize) == (policy, 100)
    twin["new"] = 1
    assert "new" not in cache


class Renaming(Cache):
    """Means something else by the properties' names."""

    maxsize = maxweight = capacity = policy = "mine"


@pytest.mark.parametrize(
    "bound", [{"maxsize": 7}, {"maxweight": 7, "weigher": count_letters}, {"maxbytes": 700}]
)
def test_a_subclass_may_override_the_properties(bound, duplicate):
    twin = duplicate(Renaming(policy="lfu", **bound))
    assert Cache.capacity.__get__(twin) == next(iter(bound.values()))
    assert Cache.policy.__get__(twin) == "lfu"


def test_the_order_is_kept(duplicate):
    cache = filled()
    assert duplicate(cache).coldest(1000) == cache.coldest(1000)


@pytest.mark.parametrize("policy", ["lfu", "adaptive"])
def test_frequencies_are_kept(policy):
    cache = filled(policy)
    twin = cache.copy()
    pairs = [(cache.explain(key).frequency, twin.explain(key).frequency) for key in cache]
    assert sum(a == b for a, b in pairs) > 90


def test_the_remaining_time_is_kept(duplicate):
    Clock.now = 0
    cache = Cache(ttl=10, timer=Clock())
    cache["a"] = 1
    cache.set("b", 2, ttl=30, tti=4)
    cache.set("c", 3, ttl=1)
    Clock.now = 2
    twin = duplicate(cache)
    assert twin == {"a": 1, "b": 2}
    assert (twin.expires_in("a"), twin.expires_in("b")) == (8, 2)
    twin["b"]
    assert twin.expires_in("b") == 4


def test_weights_and_callables_go_by_name(duplicate):
    cache = Cache(maxweight=50, weigher=count_letters)
    cache.update(a="xxxx", b="yy")
    twin = duplicate(cache)
    assert (twin.weight, twin.maxweight) == (6, 50)
    by_bytes = duplicate(Cache(maxbytes=1000))
    assert by_bytes.maxweight == 1000


def test_a_callable_without_a_name_is_refused():
    with pytest.raises((pickle.PicklingError, AttributeError), match=r"lambda|local object"):
        pickle.dumps(Cache(on_remove=lambda *event: None))


class Named(Cache):
    def __init__(self, name):
        super().__init__(5)
        self.name = name


def test_subclasses_keep_their_attributes(duplicate):
    cache = Named("x")
    cache["a"] = 1
    twin = duplicate(cache)
    assert type(twin) is Named
    assert (twin.name, twin) == ("x", {"a": 1})


def test_a_cache_that_contains_itself(duplicate):
    cache = Cache(5)
    cache["self"] = cache
    twin = duplicate(cache)
    assert len(twin) == 1
    assert twin["self"] is (cache if duplicate in (copy.copy, WAYS["method"]) else twin)


def test_a_pickle_is_read_by_a_process_with_other_string_hashes():
    cache = filled("adaptive")
    code = (
        "import pickle, sys\n"
        "c = pickle.load(sys.stdin.buffer)\nc._check()\nprint(all(k in c for k in c), len(c))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(cache), capture_output=True, check=True
    )
    assert done.stdout.split() == [b"True", str(len(cache)).encode()]
