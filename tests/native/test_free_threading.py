"""Threads see what they wrote and never more than the bound, with the GIL and without it."""

import subprocess
import sys
import sysconfig
import threading
import time

import pytest
from effort import effort

from perfcore._native.build import build_info
from perfcore.cache import Cache
from perfcore.metrics import Counter, Registry

GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
POLICIES = ["lru", "lfu", "random", "adaptive"]
BOUND = 400


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"),
    reason="a build with the GIL; `make free-threaded` has one",
)
def test_importing_keeps_the_gil_off():
    code = "import sys, perfcore._native.cache, perfcore._native.build; print(sys._is_gil_enabled())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


class Worker:
    """Writes values that no other write shares, under keys of its own and under keys that all share."""

    def __init__(self, thread, caches):
        self.thread, self.caches, self.round = thread, caches, 0

    def step(self):
        self.round += 1
        cache = self.caches[self.round % len(self.caches)]
        self.use_own_key(cache)
        self.use_shared_key(cache)
        assert len(cache) <= BOUND
        if self.round % 500 < len(self.caches):
            self.look_around(cache)
        if self.round % 3001 == 0:
            cache.clear()

    def use_own_key(self, cache):
        key = (self.thread, self.round % 30)
        value = (key, self.round)
        cache[key] = value
        found = cache.get(key)
        assert found is None or found is value, (found, value)

    def use_shared_key(self, cache):
        cache[self.round % 200] = (self.round % 200, self.thread, self.round)
        asked = self.round * 7 % 200
        found = cache.get(asked)
        assert found is None or found[0] == asked, (found, asked)

    def look_around(self, cache):
        cache.expire()
        cache.hottest(5)
        try:
            cache.copy()
        except RuntimeError as error:
            assert "while it was copied" in str(error)


def test_eight_threads_lose_no_update_and_get_no_wrong_value():
    caches = [Cache(BOUND, policy=policy, ttl=ttl) for policy in POLICIES for ttl in (None, 0.05)]
    errors, end = [], time.monotonic() + effort(3)  # a minute in `make prove`

    def work(thread):
        worker = Worker(thread, caches)
        try:
            while time.monotonic() < end and not errors:
                worker.step()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for cache in caches:
        cache._check()


def seconds_of_two(calls, count=100_000):
    """Return their processor time: waiting for the other's cache belongs to it, the machine's load not."""
    barrier, took = threading.Barrier(2), []

    def work(call):
        barrier.wait()
        start = time.thread_time()
        for _ in range(count):
            call()
        took.append(time.thread_time() - start)

    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(took)


@pytest.mark.skipif(GIL, reason="one thread counts at a time; `make free-threaded` has two")
@pytest.mark.skipif(build_info()["mode"] != "release", reason="a ratio of an unoptimised build")
def test_two_threads_on_one_counter_are_not_in_each_others_way():
    """The bound of the benchmark is 0.85, by the clock on the wall (rivals/metrics_sharing.py)."""
    registry = Registry()
    one, two = Counter("one", registry=registry), Counter("two", registry=registry)
    apart, shared = [], []
    for _ in range(20):
        apart.append(seconds_of_two([one.inc, two.inc]))
        shared.append(seconds_of_two([one.inc, one.inc]))
        if len(shared) >= 3 and min(apart) / min(shared) >= 0.5:
            break
    assert min(apart) / min(shared) >= 0.5
    assert one.value == 100_000 * (len(apart) + 2 * len(shared))
