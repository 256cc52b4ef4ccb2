from flat import insist_flat

from perfcore.cache import Cache

cache = Cache(1000, ttl=1000)


def step():
    for i in range(20_000):
        cache[f"key {i}"] = bytes(200)
        cache.get(f"key {i - 10}")
        cache.set(("t", i), i, ttl=5, tti=2)
    cache.clear()


insist_flat(step)
