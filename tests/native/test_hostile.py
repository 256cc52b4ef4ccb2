"""Keys, values, weighers and listeners that do their worst: no crash, no leak, a valid structure."""

import gc
import itertools
import random
import sys
import threading
import time
import weakref

import pytest

from perfcore.cache import Cache


class BoomError(Exception):
    pass


class Key:
    """A key that collides with all others of its kind and calls back when it is compared."""

    def __init__(self, name, on_eq=None):
        self.name, self.on_eq = name, on_eq

    def __hash__(self):
        return 7

    def __eq__(self, other):
        for key in (self, other):
            if getattr(key, "on_eq", None):
                key.on_eq()
        return isinstance(other, Key) and self.name == other.name


VERBS = {
    "get": lambda cache, key: cache.get(key),
    "getitem": lambda cache, key: cache[key],
    "set": lambda cache, key: cache.set(key, 1),
    "add": lambda cache, key: cache.add(key, 1),
    "contains": lambda cache, key: key in cache,
    "delete": lambda cache, key: cache.delete(key),
    "pop": lambda cache, key: cache.pop(key, None),
    "touch": lambda cache, key: cache.touch(key),
    "setdefault": lambda cache, key: cache.setdefault(key, 1),
    "get_or_set": lambda cache, key: cache.get_or_set(key, lambda: 1),
    "expires_in": lambda cache, key: cache.expires_in(key),
}


@pytest.fixture(params=VERBS)
def verb(request):
    return VERBS[request.param]


def test_an_eq_that_raises_comes_out_and_changes_nothing(verb):
    cache = Cache(10)
    cache[Key("a")] = 1

    def boom():
        raise BoomError

    with pytest.raises(BoomError):
        verb(cache, Key("b", boom))
    cache._check()
    assert len(cache) == 1


def test_a_hash_that_raises_comes_out(verb):
    class Unhashable:
        def __hash__(self):
            raise BoomError

    cache = Cache(10)
    with pytest.raises(BoomError):
        verb(cache, Unhashable())
    assert not cache


@pytest.mark.parametrize("change", ["clear", "grow", "shrink", "delete", "init"])
def test_an_eq_that_changes_the_cache_once(verb, change):
    cache = Cache(50)
    keys = [Key(i) for i in range(20)]
    for key in keys:
        cache[key] = key.name
    fired = []

    def meddle():
        if fired:
            return
        fired.append(1)
        if change == "clear":
            cache.clear()
        elif change == "grow":
            for i in range(1000):
                cache[i] = i
        elif change == "shrink":
            cache.resize(1)
        elif change == "delete":
            for key in list(cache):
                cache.delete(key)
        else:
            cache.__init__(5)

    try:
        verb(cache, Key(19, meddle))
    except KeyError:
        pass
    cache._check()
    assert fired
    gc.collect()


def test_a_key_that_dies_in_its_own_comparison():
    cache = Cache(10)

    class Suicidal(Key):
        __hash__ = Key.__hash__

        def __eq__(self, other):
            cache.clear()
            return True

    cache[Suicidal("x")] = 1
    assert cache.get(Key("x")) is None
    cache._check()


def test_a_finalizer_of_a_victim_may_use_the_cache():
    cache = Cache(4)
    counter = itertools.count()

    class Value:
        def __del__(self):
            n = next(counter)
            if n < 3000:
                cache[("again", n)] = Value() if n % 3 == 0 else n
                cache.get(("again", n - 1))
                if n % 50 == 0:
                    cache.clear()

    for i in range(500):
        cache[i] = Value()
        cache._check()
    cache.clear()
    cache._check()
    assert len(cache) <= 4


def test_a_finalizer_that_runs_while_many_leave_at_once():
    cache = Cache(1000)
    seen = []

    class Value:
        def __del__(self):
            cache._check()
            seen.append(len(cache))
            cache.get(3)

    for i in range(1000):
        cache[i] = Value()
    cache.resize(10)
    assert len(seen) == 990
    cache._check()
    cache.clear()
    assert len(seen) == 1000


def test_a_listener_that_clears_or_reenters_hears_each_entry_once():
    heard, fresh = [], itertools.count()

    def listener(key, value, cause):
        cache._check()
        heard.append(key)
        if len(heard) % 7 == 0:
            cache.clear()
        if len(heard) < 200:
            cache[("new", next(fresh))] = 1

    cache = Cache(5, on_remove=listener)
    for i in range(100):
        cache[i] = i
    live = set(cache)
    assert len(heard) == len(set(heard))
    assert not live & set(heard)
    cache._check()


def test_a_weigher_that_changes_the_cache():
    def weigher(key, value):
        if key == "bomb":
            cache.clear()
            cache["other"] = 1
        return 1

    cache = Cache(maxweight=3, weigher=weigher)
    cache["a"] = 1
    cache["bomb"] = 2
    cache._check()
    assert set(cache) == {"other", "bomb"}


def test_a_timer_that_changes_the_cache():
    now = [0.0]

    def timer():
        if now[0] == 5:
            now[0] = 6
            cache.clear()
        return now[0]

    cache = Cache(ttl=100, timer=timer)
    cache["a"] = 1
    for verb in VERBS.values():
        now[0] = 5
        try:
            verb(cache, "a")
        except KeyError:
            pass
        cache._check()
    cache["a"] = 1
    keys = iter(cache)
    now[0] = 5
    with pytest.raises(RuntimeError):
        next(keys)


def test_collections_in_the_middle_of_everything():
    cache = Cache(64)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for i in range(3000):
            node = [i]
            node.append(node)
            cache[(i % 100, "x")] = node
            cache.get((i % 37, "x"))
            if i % 100 == 0:
                list(cache.items())
                cache._check()
    finally:
        gc.set_threshold(*threshold)
    cache._check()


def test_cycles_through_the_cache_are_collected():
    class Node:
        pass

    by_value, by_key = Node(), Node()
    by_value.cache, by_key.cache = Cache(), Cache()
    by_value.cache["self"] = by_value
    by_key.cache[by_key] = 1
    listening = Cache()
    listening["x"] = Cache(on_remove=lambda *event, held=listening: held)
    alive = [weakref.ref(by_value), weakref.ref(by_key), weakref.ref(listening)]
    del by_value, by_key, listening
    gc.collect()
    assert [ref() for ref in alive] == [None] * 3


def test_a_cleared_cache_in_a_dead_cycle_may_still_be_used_by_finalizers():
    class Node:
        def __del__(self):
            self.cache["late"] = 1
            self.cache.get("x")

    node = Node()
    node.cache = Cache(2)
    node.cache["x"] = node
    node.cache["y"] = Node.__new__(Node)
    node.cache["y"].cache = node.cache
    del node
    gc.collect()


def test_a_long_chain_of_caches_dies_without_exhausting_the_stack():
    chain = Cache()
    for _ in range(100_000):
        outer = Cache()
        outer["inner"] = chain
        chain = outer
    del chain, outer


def test_reference_counts_are_flat():
    key, value, default = ("key",), object(), object()
    before = sys.getrefcount(key), sys.getrefcount(value), sys.getrefcount(default)
    for _ in range(50):
        cache = Cache(3, ttl=100)
        cache[key] = value
        cache[key] = value
        cache.get(key, default), cache.get("x", default), cache.peek(key), key in cache
        list(cache.items()), list(cache), list(cache.values())
        cache.pop(key)
        cache.pop(key, default)
        cache.setdefault(key, value)
        cache.popitem()
        cache.add(key, value)
        cache.add(key, value)
        cache.touch(key)
        cache.delete(key)
        for i in range(10):
            cache[(i, key)] = value
        cache.clear()
        cache[key] = value
    del cache
    assert (sys.getrefcount(key), sys.getrefcount(value), sys.getrefcount(default)) == before


def test_eight_threads_never_see_a_wrong_value():
    cache = Cache(500)
    errors, stop = [], time.monotonic() + 1.5

    class Slow(Key):
        __hash__ = Key.__hash__

        def __eq__(self, other):
            time.sleep(0)  # lets another thread in, in the middle of a search
            return super().__eq__(other)

    def work(seed):
        rng = random.Random(seed)
        try:
            while time.monotonic() < stop:
                i = rng.randrange(1000)
                key = Slow(i % 5) if i % 50 == 0 else i
                name = key.name if isinstance(key, Slow) else key
                found = cache.get(key)
                assert found is None or found == ("value of", name)
                cache[key] = ("value of", name)
                assert len(cache) <= 500
                if i % 97 == 0:
                    cache.delete(rng.randrange(1000))
                if i == 13 and rng.random() < 0.05:
                    cache.clear()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    cache._check()


def test_lookups_among_colliding_keys_stay_linear_as_in_a_dict():
    class Collide(int):
        def __hash__(self):
            return 1

    cache, compared = Cache(), {}
    keys = [Collide(i) for i in range(300)]
    for key in keys:
        cache[key] = int(key)
        compared[key] = int(key)
    assert all(cache[Collide(i)] == i for i in range(300))
    cache._check()
