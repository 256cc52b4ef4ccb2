"""What servers were asked for on behalf of a call stands in its profile."""

from perfcore.cache import CacheManager
from perfcore.metrics.instrument import watched


async def test_hits_and_misses_are_noted_sync_and_async(make):
    async with make() as cache:
        cache.set("a", 1)
        with watched() as operations:
            assert (cache.get("a"), cache.get("b")) == (1, None)
            assert cache.get_many(["a", "b", "c"]) == [1, None, None]
            assert await cache.aget("a") == 1
        assert operations == {"remote.hit": 3, "remote.miss": 3}


async def test_a_manager_says_that_a_server_had_it(where):
    async with CacheManager(remote={"prefix": "noted", "timeout": 5} | where) as manager:
        manager.set("a", 1, hot=False)
        await manager.aset("b", 1, hot=False)
        manager.flush()
        with watched() as operations:
            assert manager.get("a") == await manager.aget("b") == 1
            assert manager.get("none") is await manager.aget("none") is None
        assert operations == {
            "memory.miss": 4, "remote.hit": 2, "remote.miss": 2, "cache.hit": 2, "cache.miss": 2,
        }  # fmt: skip
