"""What is starved: for each room what makes a subject, what checks it, and its verbs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from starved import TOKENS

from perfcore import cached, lru_cache
from perfcore.cache import Cache
from perfcore.memory import BufferPool, ObjectPool
from perfcore.metrics import Counter, EventQueue, Gauge, Histogram, Registry, SampleRing, Timer

FEW = dict(zip(TOKENS[:50], TOKENS[50:100], strict=True))
MANY = dict(zip(TOKENS[100:], TOKENS[100:], strict=True))  # a table grows, entries are evicted
VALUES = np.arange(100, dtype=np.float64)


@dataclass
class Room:
    name: str
    make: Any
    verbs: dict
    check: Any = lambda subject: subject._check()


# --- caches -------------------------------------------------------------------------------------------------


def filled(**options):
    def make():
        cache = Cache(**options)
        cache.set_many(FEW)
        return cache

    return make


def check_cache(cache):
    cache._check()
    for key, value in cache.items():
        assert value in (FEW.get(key), MANY.get(key), TOKENS[0], TOKENS[399], [])


OLD, NEW = TOKENS[20], TOKENS[399]
CACHE_VERBS = {
    "set": lambda cache: cache.set(NEW, NEW),
    "replace": lambda cache: cache.set(OLD, NEW),
    "set with an end and tags": lambda cache: cache.set(NEW, NEW, ttl=50, tti=20, tags=TOKENS[:3]),
    "store": lambda cache: cache.__setitem__(NEW, NEW),
    "add": lambda cache: cache.add(NEW, NEW),
    "get": lambda cache: (cache.get(OLD), cache.get(NEW), cache.peek(OLD), OLD in cache),
    "get_many": lambda cache: cache.get_many(TOKENS[:60]),
    "set_many": lambda cache: cache.set_many(MANY, ttl=30),
    "update": lambda cache: cache.update(MANY),
    "delete": lambda cache: cache.delete(OLD),
    "delete_many": lambda cache: cache.delete_many(TOKENS[:30]),
    "pop": lambda cache: cache.pop(OLD, None),
    "popitem": lambda cache: cache.popitem(),
    "setdefault": lambda cache: cache.setdefault(NEW, NEW),
    "get_or_set": lambda cache: cache.get_or_set(NEW, list),
    "touch": lambda cache: (cache.touch(OLD, ttl=9), cache.expires_in(OLD), cache.expire()),
    "invalidate_tags": lambda cache: cache.invalidate_tags(TOKENS[0], TOKENS[1]),
    "resize": lambda cache: cache.resize(30),
    "another policy": lambda cache: setattr(cache, "policy", "lfu"),
    "copy": lambda cache: cache.copy()._check(),
    "views": lambda cache: (list(cache), list(cache.items()), list(cache.values()), repr(cache)),
    "looks": lambda cache: (cache.hottest(3), cache.coldest(3), cache.explain(OLD), cache.policy_state()),
    "stats": lambda cache: (cache.stats(), cache.reset_stats()),
    "equality": lambda cache: cache == FEW,
}


def caches():
    for policy in ("lru", "lfu", "random", "adaptive"):
        yield Room(policy, filled(maxsize=64, policy=policy, ttl=100), CACHE_VERBS, check_cache)
    verbs = {"clear": Cache.clear} | {
        name: CACHE_VERBS[name] for name in ("set", "set_many", "delete", "copy")
    }
    weighed = filled(maxweight=70, weigher=lambda key, value: 1, on_remove=lambda *left: None)
    yield Room("weighed", weighed, verbs, check_cache)
    make = {"make": lambda _: Cache(64, policy="adaptive")._check()}
    yield Room("a life", filled(maxsize=None, policy="random"), make | verbs, check_cache)


# --- functions ----------------------------------------------------------------------------------------------


def echo(*args, **kwargs):
    return args


def memoized(decorate):
    def make():
        memo = decorate(echo)
        for token in TOKENS[:40]:
            memo(token)
        return memo

    return make


def functions():
    verbs = {
        "a hit": lambda memo: memo(OLD),
        "a miss": lambda memo: memo(NEW),
        "several arguments": lambda memo: memo(NEW, OLD, a=NEW, b=OLD),
        "clear": lambda memo: memo.cache_clear(),
        "info": lambda memo: memo.cache_info(),
    }
    for name, decorate in (
        ("lru_cache", lru_cache(maxsize=50)),
        ("cached", cached(maxsize=50, ttl=100)),
    ):
        yield Room(name, memoized(decorate), verbs, lambda memo: memo.cache._check())


# --- metrics ------------------------------------------------------------------------------------------------


def full_ring():
    ring = SampleRing(64)
    ring.put_many(1, VALUES)
    return ring


def full_queue():
    queue = EventQueue(64)
    for token in TOKENS[:40]:
        queue.put(token)
    return queue


def rings():
    verbs = {
        "make": lambda _: SampleRing(4096)._check(),
        "put": lambda ring: (ring.put(3, 0.5), ring.put_at(5, 3, 2)),
        "put_many": lambda ring: ring.put_many(3, VALUES),
        "snapshot": lambda ring: ring.snapshot(),
        "drain": lambda ring: ring.drain(10),
    }
    yield Room("ring", full_ring, verbs)
    verbs = {
        "make": lambda _: EventQueue(4096)._check(),
        "put": lambda queue: queue.put(NEW),
        "get": lambda queue: queue.get(),
        "drain": lambda queue: queue.drain(),
    }
    yield Room("queue", full_queue, verbs)


def observed():
    histogram = Histogram("h", registry=Registry())
    histogram.observe_many(VALUES)
    return histogram


def check_histogram(histogram):
    whole = histogram.snapshot()
    assert whole.count == whole.zeros + whole.under + whole.over + whole.nan + int(whole.counts.sum())
    assert whole.count >= len(VALUES)


def histograms():
    other = observed()
    verbs = {
        "observe": lambda histogram: (histogram.observe(0.5), histogram.observe(7)),
        "observe_many": lambda histogram: histogram.observe_many(VALUES),
        "merge": lambda histogram: (histogram.merge(other), histogram.merge(other.snapshot())),
        "snapshot": lambda histogram: histogram.snapshot() + other.snapshot() - other.snapshot(),
        "read": lambda histogram: (histogram.quantile(0.5), histogram.count, histogram.sum),
        "export": lambda histogram: (histogram.snapshot().buckets(), bytes(histogram.snapshot())),
    }
    yield Room("histogram", observed, verbs, check_histogram)


def registry():
    made = Registry()
    Counter("c", labels=["x"], registry=made).labels("a").inc()
    return made


def check_registry(made):
    assert made.snapshot()["c"].samples[("a",)] >= 1


def life(kind, name):
    def verb(made):
        if name not in made:
            kind(name, registry=made)

    return verb


def registries():
    verbs = {
        "counter": life(Counter, "n"),
        "gauge": life(Gauge, "g"),
        "histogram": life(Histogram, "h"),
        "timer": life(Timer, "t"),
        "another registry": lambda _: registry(),
        "snapshot": lambda made: made.snapshot(),
    }
    yield Room("registry", registry, verbs, check_registry)
    labelled = {
        "a label": lambda counter: counter.labels("new").inc(),
        "an old label": lambda counter: counter.labels(x="a").inc(2**70),
    }

    def make():
        counter = Counter("c", labels=["x"], registry=Registry())
        counter.labels("a").inc()
        return counter

    yield Room("labels", make, labelled, lambda counter: counter.labels("a").value)


# --- pools --------------------------------------------------------------------------------------------------


def lend_buffers(pool):
    first, second = pool.acquire(5000), pool.acquire("16KB")
    memoryview(first)[:3] = b"abc"
    second.release()
    with pool.acquire(300_000):
        first.release()


def buffers():
    verbs = {
        "make": lambda _: BufferPool(initial=2)._check(),
        "lend": lend_buffers,
        "view": lambda pool: pool.acquire(4096).view(10),
        "array": lambda pool: pool.acquire(4096).array("f8"),
        "lose": lambda pool: pool.acquire(70_000) and None,
        "trim": lambda pool: pool.trim(),
        "tell": lambda pool: (pool.stats(), pool.idle(), pool.leaks(), repr(pool)),
    }
    for name, options in (("racks", {}), ("magazines", {"_per_thread": True})):
        make = lambda options=options: BufferPool(initial=1, leak_sampling=1, **options)  # noqa: E731
        yield Room(f"buffers, {name}", make, verbs, check_buffers)


def check_buffers(pool):
    pool._check()
    assert pool.stats().in_use == 0, pool.stats()


def lend_objects(pool):
    with pool.acquire(timeout=5) as first:
        assert first
        lease = pool.acquire()
        lease.release()
    pool.acquire().discard()


def check_objects(pool):
    pool._check()
    assert pool.stats().in_use == 0, pool.stats()


def objects():
    verbs = {
        "make": lambda _: ObjectPool(list, max=3)._check(),
        "lend": lend_objects,
        "try": lambda pool: pool.try_acquire().release(),
        "lose": lambda pool: pool.acquire() and None,
        "fill": lambda pool: pool.fill(),
        "shrink": lambda pool: pool.shrink(0),
        "tell": lambda pool: (pool.stats(), pool.leaks(), repr(pool)),
    }
    make = lambda: ObjectPool(lambda: [OLD], min=1, max=3, max_age=100, leak_sampling=0)  # noqa: E731
    yield Room("objects", make, verbs, check_objects)


ROOMS = {
    "caches": caches,
    "functions": functions,
    "rings": rings,
    "histograms": histograms,
    "registries": registries,
    "buffers": buffers,
    "objects": objects,
}
