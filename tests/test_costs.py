"""What the hot paths cost, beside what everybody knows the price of, in the same process: ratios, no times.

The bounds are two to three times what was measured: they let a slow machine pass and catch a path that lost
its native code, gained a lock or builds an object too many. The best of many short rounds that take turns
counts, by the clock of the thread; a miss is measured again until patience is at an end, as others may be at
work.
"""

import gc
from collections import deque
from functools import lru_cache as functools_lru_cache
from time import thread_time_ns

import pytest

from perfcore import Cache, lru_cache
from perfcore._native.build import build_info
from perfcore.cache import CacheManager
from perfcore.memory import BufferPool, ObjectPool
from perfcore.metrics import Counter, EventQueue, Gauge, Histogram, Registry, SampleRing, Timer

pytestmark = pytest.mark.skipif(build_info()["mode"] != "release", reason="what is shipped is measured")

KEYS = [f"user:{number}" for number in range(1000)]
TABLE = {key: number for number, key in enumerate(KEYS)}
CALLS = 2000
ROUNDS = 10
PATIENCE = 40  # times as many


def loop_over(function, arguments):
    def loop():
        for argument in arguments:
            function(argument)

    return loop


def again(function):
    def loop():
        for _ in range(CALLS):
            function()

    return loop


def calls(function):
    """Return a loop of calls with keys of the table."""
    return loop_over(function, KEYS * (CALLS // len(KEYS)))


def best(loop, others):
    begin = thread_time_ns()
    loop()
    return min(thread_time_ns() - begin, others)


def ratio(loop, reference, enough):
    """Return how many times as long ``loop`` takes: measured again while it is more than ``enough``."""
    ours = theirs = float("inf")
    gc.collect()
    gc.disable()
    try:
        for _ in range(PATIENCE):
            for _ in range(ROUNDS):
                theirs, ours = best(reference, theirs), best(loop, ours)
            if ours <= enough * theirs:
                break
    finally:
        gc.enable()
    print(f"{ours / theirs:.2f} of {enough}")
    return ours / theirs


LOOKUP = calls(TABLE.get)
REGISTRY = Registry()


@pytest.mark.parametrize("policy", ["lru", "lfu", "random", "adaptive"])
def test_a_hit_of_a_cache_costs_about_what_a_dict_takes(policy):
    cache = Cache(2 * len(KEYS), policy=policy)
    cache.update(TABLE)
    assert ratio(calls(cache.get), LOOKUP, 3) <= 3


def test_the_guard_finds_a_hit_that_takes_a_detour():
    cache = Cache(2 * len(KEYS))
    cache.update(TABLE)
    assert ratio(calls(lambda key: (cache.get(key), cache.get(key))[0]), LOOKUP, 3) > 3


def test_a_miss_costs_no_more_than_a_hit_may():
    cache = Cache(2 * len(KEYS))
    cache["another"] = 1
    assert ratio(calls(cache.get), LOOKUP, 3) <= 3


def test_a_time_to_live_makes_a_hit_little_dearer():
    cache = Cache(2 * len(KEYS), ttl=3600)
    cache.update(TABLE)
    assert ratio(calls(cache.get), LOOKUP, 4) <= 4


def test_many_keys_at_once_cost_no_more_than_one_after_the_other():
    cache = Cache(2 * len(KEYS))
    cache.update(TABLE)

    def at_once():
        for _ in range(CALLS // len(KEYS)):
            cache.get_many(KEYS)

    assert ratio(at_once, calls(cache.get), 2) <= 2


def test_storing_costs_a_few_times_what_a_dict_takes():
    def storing(mapping):
        def loop():
            for key in KEYS:
                mapping[key] = key

        return loop

    assert ratio(storing(Cache(len(KEYS) // 2)), storing({}), 8) <= 8


def test_a_hit_in_memory_through_all_tiers_costs_little_more_than_one_of_the_cache():
    cache = Cache(2 * len(KEYS))
    cache.update(TABLE)
    with CacheManager({"maxsize": 2 * len(KEYS)}) as manager:
        manager.set_many(TABLE.items())
        assert ratio(calls(manager.get), calls(cache.get), 3) <= 3


def test_a_hit_of_a_cached_function_costs_less_than_twice_what_functools_takes():
    ours, theirs = lru_cache(2 * len(KEYS))(TABLE.get), functools_lru_cache(2 * len(KEYS))(TABLE.get)
    assert ratio(calls(ours), calls(theirs), 2) <= 2


@pytest.mark.parametrize(
    ("record", "enough"),
    [
        (Counter("costs_counter", registry=REGISTRY).inc, 3),
        (Gauge("costs_gauge", registry=REGISTRY).inc, 4),
        (Histogram("costs_histogram", registry=REGISTRY).observe, 4),
        (SampleRing(1024).put, 6),
    ],
)
def test_recording_costs_about_what_a_lookup_takes(record, enough):
    loops = {"put": lambda: record(1, 0.5), "inc": record, "observe": lambda: record(0.5)}
    assert ratio(again(loops[record.__name__]), LOOKUP, enough) <= enough


def test_timing_a_block_costs_a_few_lookups():
    timer = Timer("costs_timer", registry=REGISTRY)

    def timed():
        with timer:
            pass

    assert ratio(again(timed), LOOKUP, 12) <= 12


def test_an_event_goes_through_the_queue_for_a_few_lookups():
    queue = EventQueue(1024)

    def through():
        queue.put(1)
        queue.get()

    assert ratio(again(through), LOOKUP, 8) <= 8


def test_a_pooled_buffer_costs_less_than_a_new_one():
    pool, size = BufferPool(), 1 << 18
    assert ratio(again(lambda: pool.acquire(size).release()), again(lambda: bytearray(size)), 1) <= 1


def test_a_pooled_object_costs_a_few_times_what_a_deque_takes():
    pool, spares = ObjectPool(list, max=4), deque([[]])

    def pooled():
        pool.release(pool.acquire())

    def by_hand():
        spares.append(spares.pop())

    assert ratio(again(pooled), again(by_hand), 5) <= 5
