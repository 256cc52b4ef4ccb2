"""A million look-ups in memory through the tiers, and tags; a disk costs a hundred times as much a call."""

import tempfile

from flat import insist_flat

from perfcore.cache import Cache, CacheManager

EACH = 34_000  # thirty rounds of these are a million
KEYS = [f"key {number}" for number in range(500)]


def failing():
    raise ValueError


def lookups(manager):
    for i in range(EACH // 2):
        key = KEYS[i % 500]
        manager.get(key), manager.get(key, i)
        if i % 20 == 0:
            manager.get(("absent", i)), manager.get_or_set(key, list)
            try:
                manager.get_or_set(("failing", i), failing)
            except ValueError:
                pass


def changes(manager, number):
    for i in range(number):
        key = KEYS[i % 500]
        manager.set(key, [i, key], ttl=100, tags=[f"tag {i % 30}"]), manager.set(i % 1000, b"x" * 100)
        if i % 3 == 0:
            manager.delete(key)
        if i % 50 == 0:
            manager.invalidate_tags(f"tag {i // 50 % 30}")
    manager.set_many({key: key for key in KEYS})
    manager.get_many(KEYS)


def tags():
    cache = Cache(1000)
    for i in range(EACH):
        cache.set(i, i, tags=(i % 10, "all", str(i)))
        cache.get(i - 5)
        if i % 100 == 0:
            cache.invalidate_tags(i % 10, "unknown")
    cache.invalidate_tags("all")


with (
    tempfile.TemporaryDirectory() as folder,
    CacheManager({"maxsize": 400}) as memory,
    CacheManager({"maxsize": 400}, {"directory": folder, "maxbytes": "8MB"}) as both,
):

    def step():
        lookups(memory), lookups(both)
        changes(memory, EACH // 20), changes(both, EACH // 100)
        both.flush()
        tags()

    insist_flat(step)
