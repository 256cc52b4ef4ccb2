"""A million operations of each kind on caches of all policies, in thirty rounds."""

import pickle

from flat import insist_flat

from perfcore.cache import Cache

EACH = 34_000  # thirty rounds of these are a million
KEYS = [f"key {number}" for number in range(2000)]


class Default(Cache):
    def __missing__(self, key):
        return [key]


def failing():
    raise ValueError


def lookups(cache):
    for i in range(EACH // 4):
        key = KEYS[i % 2000]
        cache.get(key), cache.get(key, i), cache.peek(key), key in cache
        cache.get_or_set(key, list), cache.setdefault(key, i)
        try:
            cache[key]
            cache.get_or_set(("absent", i), failing)
        except (KeyError, ValueError):
            pass


def changes(cache):
    for i in range(EACH // 4):
        key = KEYS[i % 2000]
        cache[key] = [i]
        cache.set((key, i), i, ttl=50, tti=20), cache.add(key, i), cache.touch(key), cache.expires_in(key)
        cache.pop(key, None), cache.delete((key, i))
        cache[i] = (i,)
        try:
            del cache[key]
        except KeyError:
            pass
        if i % 100 == 0:
            cache.popitem(), cache.expire()


def several(cache):
    for i in range(EACH // 400):
        some = KEYS[i % 19 * 100 :][:100]
        cache.get_many(some), cache.set_many(dict.fromkeys(some, i), ttl=30)
        cache.update({key: [i] for key in some})
        list(cache), list(cache.items()), list(cache.values())
        try:
            for key in cache:
                cache.delete(key)
        except RuntimeError:
            pass
        cache.resize(100 + i), repr(cache), cache.stats(), cache.policy_state(), cache.explain(some[0])
        if i % 10 == 0:
            pickle.loads(pickle.dumps(cache)), cache.copy(), cache == cache.copy()
    cache.clear()


def weighing(size):
    cache = Cache(maxweight=10 * size, weigher=lambda key, value: value, on_remove=lambda *left: None)
    for i in range(EACH):
        cache[i] = i % size
        try:
            cache.set(i, "not a weight")
        except TypeError:
            pass


CACHES = [Cache(500, policy=policy, ttl=1000) for policy in ("lru", "lfu", "random", "adaptive")]
CACHES.append(Default(500))


def step():
    for cache in CACHES:
        lookups(cache), changes(cache), several(cache)
    weighing(100)


insist_flat(step)
