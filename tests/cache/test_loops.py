"""An event loop goes on while the disk cannot be written: another process, or thread, is at it."""

import asyncio
import threading
from contextlib import contextmanager

import pytest

from perfcore.cache import CacheManager, DiskCache

PAUSE = 0.3


@contextmanager
def occupied(store):
    """A block in which no transaction can be begun by anybody else, for ``PAUSE`` seconds."""
    held, over = threading.Event(), threading.Event()

    def hold():
        with store.access.lock:
            held.set()
            over.wait(PAUSE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    try:
        yield
    finally:
        over.set()
        holder.join()


async def longest_pause(store, work):
    """How long the loop stood still at most while ``work`` went on and the disk was occupied."""
    loop, longest, done = asyncio.get_running_loop(), 0.0, False

    async def watch():
        nonlocal longest
        last = loop.time()
        while not done:
            await asyncio.sleep(0.001)
            now = loop.time()
            longest, last = max(longest, now - last), now

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    with occupied(store):
        await work
    done = True
    await watching
    return longest


async def value():
    return {"a": 1}


@pytest.mark.parametrize("durability", ["relaxed", "commit"])
async def test_a_value_that_is_computed_is_committed_elsewhere(tmp_path, durability):
    with DiskCache(tmp_path, maxbytes="8MB", durability=durability) as cache:
        cache["b"] = 1
        cache.flush()
        work = cache.aget_or_set("a", value, tags=["t"])
        assert await longest_pause(cache._store, work) < PAUSE / 2
        cache.flush()
        assert cache["a"] == {"a": 1}


@pytest.mark.parametrize("durability", ["relaxed", "commit"])
@pytest.mark.parametrize(
    "verb",
    [
        lambda manager: manager.aget_or_set("a", value),
        lambda manager: manager.aget_or_set("a", value, tags=["t"], depends_on=["b"]),
        lambda manager: manager.aset("a", 1, tags=["t"], depends_on=["c"]),
        lambda manager: manager.aset("a", 1, persistent=False),
        lambda manager: manager.aset_many({"a": 1, "b": 2}),
        lambda manager: manager.adelete("b"),
        lambda manager: manager.ainvalidate_tags("t"),
    ],
    ids=["get_or_set", "with conditions", "set", "in memory", "set_many", "delete", "tags"],
)
async def test_no_verb_of_a_manager_waits_for_it_on_the_loop(tmp_path, durability, verb):
    disk = DiskCache(tmp_path, maxbytes="8MB", durability=durability)
    with disk, CacheManager({"maxsize": 100}, disk) as manager:
        manager.set("b", 1)
        manager.flush()
        assert await longest_pause(disk._store, verb(manager)) < PAUSE / 2
