"""What caches do on behalf of a call stands in its profile, and nobody else's."""

import asyncio
import contextvars
import threading

import pytest

from perfcore._native.watching import WATCHERS
from perfcore.cache import CacheManager, DiskCache
from perfcore.metrics.instrument import watched
from perfcore.monitor import PerformanceProfiler


@pytest.fixture
def manager(tmp_path):
    with CacheManager({"maxsize": 100}, {"directory": str(tmp_path)}, warm_restart=False) as manager:
        yield manager


@pytest.fixture
def below(manager):
    """The manager with "a" on disk alone."""
    manager.set("a", "x" * 1000, hot=False)
    manager.flush()
    return manager


def noted(call):
    with watched() as operations:
        call()
    return dict(operations)


def test_a_manager_says_which_tier_had_it(below):
    found = noted(lambda: below.get("a"))
    assert found.pop("disk.read_bytes") > 20
    assert found == {"memory.miss": 1, "disk.hit": 1, "cache.hit": 1}
    assert noted(lambda: below.get("a")) == {"memory.hit": 1, "cache.hit": 1}
    assert noted(lambda: below.get("b")) == {"memory.miss": 1, "disk.miss": 1, "cache.miss": 1}
    assert noted(lambda: "a" in below) == {"memory.hit": 1, "cache.hit": 1}


def test_many_keys_and_values_that_are_computed(below):
    below.set("c", 3)
    found = noted(lambda: below.get_many(["a", "b", "c"], None))
    assert found.pop("disk.read_bytes") > 20
    assert found == {
        "memory.hit": 1, "memory.miss": 2, "disk.hit": 1, "disk.miss": 1, "cache.hit": 2, "cache.miss": 1,
    }  # fmt: skip
    assert noted(lambda: below.get_or_set("c", int)) == {"memory.hit": 1, "cache.hit": 1}
    assert noted(lambda: below.get_or_set("d", int))["cache.miss"] >= 1


def test_being_watched_changes_no_answer(below):
    below.set("stale", 1, ttl=0.001)
    below.set("tagged", 2, tags=["t"])
    below.invalidate_tags("t")
    for key in ("a", "b", "stale", "tagged", ("t", 1)):
        plain = below.get(key, "none")
        with watched():
            assert below.get(key, "none") == plain
    with watched(), pytest.raises(TypeError):
        below.get(1.5)


def test_a_disk_cache_by_itself(tmp_path):
    with DiskCache(tmp_path / "d", durability="commit") as disk:
        disk.set("a", 1)
        assert noted(lambda: (disk.get("a"), disk.get("b")))["disk.hit"] == 1
        found = noted(lambda: disk.get_many(["a", "b", "c"]))
        assert (found["disk.hit"], found["disk.miss"]) == (1, 2)


async def test_profiles_of_tasks_and_threads_have_their_own(manager):
    manager.set("a", 1)
    profiler = PerformanceProfiler(1.0)

    @profiler.profiled
    async def hits(n):
        for _ in range(n):
            await manager.aget("a")
            await asyncio.sleep(0)

    @profiler.profiled
    def thread(n):
        for _ in range(n):
            manager.get("a")

    threads = [threading.Thread(target=thread, args=(n,)) for n in (3, 30)]
    for one in threads:
        one.start()
    await asyncio.gather(hits(1), hits(10), hits(100))
    for one in threads:
        one.join()
    profiles = profiler.get_profiles()
    found = {name: sorted(p.operations["cache.hit"] for p in profiles if p.name.endswith(name))
             for name in ("hits", "thread")}  # fmt: skip
    assert found == {"hits": [1, 10, 100], "thread": [3, 30]}
    assert WATCHERS.number == 0, "and nobody is asked any more"


def test_a_profile_that_ends_elsewhere_no_longer_watches():
    async def waits():
        await asyncio.sleep(0)

    def begin():
        coroutine = PerformanceProfiler(1.0).profile("waits", waits)
        coroutine.send(None)
        return coroutine

    coroutine = contextvars.copy_context().run(begin)
    assert WATCHERS.number == 1
    coroutine.close()
    assert WATCHERS.number == 0
