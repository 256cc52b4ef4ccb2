"""A remote cache does what a disk cache does, on a server and on a cluster, in threads and on event loops."""

import asyncio
import threading
import time

import pytest
import redis
import redis.asyncio
import redis.cluster
import valkey
import valkey.asyncio
import valkey.cluster
from cache.values import same, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfcore.cache import RemoteCache
from perfcore.cache.keys import digest, encode_key
from perfcore.cache.remote import within
from perfcore.errors import ConfigError

KEYS = ["text", b"bytes", 7, None, ("user", 1), "a{b}c", "x" * 500, ""]


def test_what_is_set_is_there_and_what_is_deleted_is_not(cache):
    for key in KEYS:
        assert cache.get(key, "none") == "none"
        cache.set(key, [key, 1.5])
        assert cache.get(key) == [key, 1.5]
        assert key in cache
        assert cache.delete(key)
        assert not cache.delete(key)
        assert key not in cache


def test_one_and_true_are_one_key_as_in_a_dict(cache):
    cache[1] = "one"
    assert (cache[True], cache[1.0], cache.get("1")) == ("one", "one", None)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_values_come_back_equal_and_of_the_same_type(cache, value):
    cache["value"] = value
    assert same(cache["value"], value)


def test_many_keys_at_once_come_back_in_their_order(cache):
    cache.set_many({f"k{number}": number for number in range(500)})
    wanted = [f"k{number}" for number in (499, 3, 700, 3)]
    assert cache.get_many(wanted, default="none") == [499, 3, "none", 3]
    assert cache.delete_many(wanted) == 2
    assert cache.get_many(wanted) == [None] * 4
    assert cache.get_many([]) == []
    cache.set_many([])
    assert len(set(cache.keys())) == 498


def test_add_stores_where_there_is_nothing_valid(cache):
    assert cache.add("key", 1)
    assert not cache.add("key", 2)
    cache.set("tagged", 1, tags=["t"])
    cache.invalidate_tags("t")
    assert cache.add("tagged", 2, tags=["t"])
    assert (cache["key"], cache["tagged"]) == (1, 2)


def test_pop_and_the_errors_of_a_mapping(cache):
    cache["key"] = 1
    assert cache.pop("key") == 1
    assert cache.pop("key", "none") == "none"
    for lookup in (cache.pop, cache.__getitem__, cache.__delitem__, cache.expires_in):
        with pytest.raises(KeyError):
            lookup("key")


def test_an_entry_ends_with_its_ttl_and_the_server_forgets_it(cache, make):
    cache.set("short", 1, ttl=0.15)
    cache.set("touched", 1, ttl=0.15)
    cache.set("long", 1)
    assert cache.touch("touched", ttl=100)
    assert not cache.touch("missing", ttl=100)
    assert 0 < cache.expires_in("short") <= 0.15
    assert 90 < cache.expires_in("touched") <= 100
    assert cache.expires_in("long") is None
    time.sleep(0.2)
    assert cache.get_many(["short", "touched", "long"]) == [None, 1, 1]
    assert sorted(cache.keys()) == ["long", "touched"]
    assert make(ttl=60).touch("long")
    assert 50 < cache.expires_in("long") <= 60


def test_large_values_are_compressed_and_small_ones_are_not(cache, server, where):
    cache["large"] = b"abcd" * 100_000
    cache["noise"] = bytes(range(256)) * 2
    assert cache["large"] == b"abcd" * 100_000
    if "url" in where:
        raw = valkey.Valkey(port=server.port)
        sizes = {len(raw.get(name)) for name in raw.scan_iter(f"{cache._prefix}:*:s*")}
        assert len(sizes) == 2
        assert min(sizes) < 200  # 400 000 bytes before
        assert max(sizes) > 512


def test_tags_end_entries_for_all_processes_at_once(cache, make):
    other = make()
    cache.set("a", 1, tags=["one", "two"])
    cache.set("b", 2, tags=["two"])
    cache.set("c", 3)
    assert other.get_many("abc") == [1, 2, 3]
    other.invalidate_tags("one")
    assert cache.get_many("abc") == [None, 2, 3]
    other.invalidate_tags("two", "unknown")
    assert cache.get_many("abc") == [None, None, 3]
    cache.set("a", 4, tags=["one"])
    assert other.get("a") == 4
    assert cache.stats().invalidations == 3


def test_what_was_begun_before_an_invalidation_ends_with_it(cache):
    begun = cache.begin(["t"])
    cache.invalidate_tags("t")
    cache.set("key", "computed from old data", tags=["t"], since=begun)
    assert cache.get("key") is None


def test_a_tag_whose_stamp_is_lost_is_a_miss_and_never_an_older_value(cache, cluster, server, where):
    cache.set("key", 1, tags=["t"])
    place = cache._store.names.tag(digest(encode_key("t")))
    client = (
        valkey.Valkey(port=server.port)
        if "url" in where
        else valkey.cluster.ValkeyCluster("127.0.0.1", cluster.servers[0].port)
    )
    assert client.delete(place) == 1
    assert cache.get("key") is None
    cache.set("other", 2, tags=["t"])
    assert cache.get_many(["key", "other"]) == [None, 2]
    client.close()


def test_clear_removes_all_of_its_prefix_and_nothing_else(cache, make):
    neighbour = make(prefix="neighbour")
    neighbour["key"] = cache["key"] = 1
    other = make(epoch_window=0.01)
    assert other["key"] == 1
    cache.clear()
    assert cache.get("key") is None
    time.sleep(0.02)
    assert other.get("key") is None
    assert neighbour["key"] == 1
    other["key"] = 2
    assert cache.get("key") == 2


def test_bad_arguments_are_refused_before_anything_happens(cache):
    with pytest.raises(TypeError, match="key"):
        cache.get(["no key"])
    with pytest.raises(TypeError, match="cannot store"):
        cache.set("key", object())
    with pytest.raises(TypeError):
        cache.set_many({"good": 1, "bad": object()})
    with pytest.raises(TypeError, match="several tags"):
        cache.set("key", 1, tags="tag")
    assert cache.get_many(["key", "good"]) == [None, None]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "redis://a", "nodes": ["b"]},
        {"url": "http://a"},
        {"nodes": "a:1"},
        {"nodes": ["redis://a"]},
        {"nodes": ["user:secret@a:1"]},
        {"url": "redis://a", "prefix": "{a}"},
        {"url": "redis://a", "timeout": 0},
        {"url": "redis://a", "replication_factor": 0},
        {"url": "redis://a", "compression": "much"},
        {"url": "redis://a", "connection": {"host": "b"}},
        {"client": object()},
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options):
    with pytest.raises(ConfigError) as refusal:
        RemoteCache(**options)
    assert "secret" not in str(refusal.value)


def test_no_password_is_ever_shown():
    cache = RemoteCache("redis://user:secret@127.0.0.1:1/", timeout=0.05)
    cache.get("key")
    assert "secret" not in f"{cache!r} {cache.problems()} {cache.stats()}"
    with pytest.raises(ConfigError) as refusal:
        RemoteCache("redis://:secret@host:port:1")
    assert "secret" not in str(refusal.value)


def clients(library, asynchronous):
    return [
        lambda server, cluster: (
            library.Redis(port=server.port)
            if library.__name__ == "redis"
            else library.Valkey(port=server.port)
        ),
        lambda server, cluster: asynchronous.from_url(server.url),
    ]


@pytest.mark.parametrize("client", clients(valkey, valkey.asyncio) + clients(redis, redis.asyncio))
async def test_any_client_of_this_shape_will_do(client, server, cluster):
    cache = RemoteCache(client=client(server, cluster), prefix="clients", timeout=5)
    cache["key"] = 1
    assert await cache.aget("key") == 1
    await cache.aclose()


@pytest.mark.parametrize("kind", [valkey.cluster.ValkeyCluster, redis.cluster.RedisCluster])
def test_a_cluster_client_will_do(kind, cluster):
    client = kind(host="127.0.0.1", port=cluster.servers[0].port)
    with RemoteCache(client=client, prefix="clients", timeout=5) as cache:
        cache.set_many({number: number for number in range(50)})
        assert cache.get_many(range(50)) == list(range(50))
    client.close()


async def test_the_asynchronous_verbs_do_the_same(make):
    async with make() as cache:
        await cache.aset("key", 1, ttl=60, tags=["t"])
        assert await cache.aget("key") == 1
        assert not await cache.aadd("key", 2)
        assert await cache.atouch("key", ttl=100)
        await cache.aset_many({number: number for number in range(300)})
        assert await cache.aget_many(range(300)) == list(range(300))
        assert await asyncio.gather(*(cache.aget(number) for number in range(100))) == list(range(100))
        begun = await cache.abegin(["t"])
        await cache.ainvalidate_tags("t")
        await cache.aset("late", 1, tags=["t"], since=begun)
        assert await cache.aget_many(["key", "late"]) == [None, None]
        assert await cache.adelete(0)
        assert await cache.adelete_many([1, 2, 0]) == 2
        await cache.aclear()
        assert await cache.aget(5) is None


async def test_a_cancelled_call_does_not_leave_its_answer_to_the_next_one(make):
    async with make() as cache:
        await cache.aset_many({number: number for number in range(50)})
        for number in range(50):
            task = asyncio.ensure_future(cache.aget(number))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            assert await cache.aget((number + 1) % 50) == (number + 1) % 50


def test_threads_share_a_cache_and_get_their_own_answers(cache):
    cache.set_many({number: number for number in range(64)})
    wrong = []

    def read(start):
        for step in range(200):
            number = (start + step) % 64
            if cache.get(number) != number:
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_budget_around_calls_shortens_them_and_never_lengthens_them(make):
    cache = make(timeout=1)
    cache["key"] = 1
    with within(30):
        assert cache["key"] == 1
    with within(0):
        assert cache.get("key") is None  # no time, no answer, no exception
    assert cache["key"] == 1
    assert cache.stats().unavailable >= 1


def test_stats_tell_what_happened(cache):
    cache.set_many({"a": 1, "b": 2})
    cache.get_many(["a", "b", "c"])
    cache.get("d")
    cache.delete("a")
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.writes, stats.deletes, stats.unavailable) == (2, 2, 2, 1, 0)
    assert stats.hit_ratio == 0.5
    assert all(node.serving and not node.failures for node in stats.nodes.values())


text = st.sampled_from("abc")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["set", "tagged", "delete", "move", "add", "clear", "many"]),
            text,
            st.integers(0, 9),
        )
    )
)
def test_two_caches_on_one_server_behave_as_one_dict(make, steps):
    one, other = make(epoch_window=0), make(epoch_window=0)
    one.clear()
    model, tags = {}, {}
    for number, (verb, key, value) in enumerate(steps):
        cache = (one, other)[number % 2]
        if verb in {"set", "tagged"}:
            cache.set(key, value, tags=["t"] if verb == "tagged" else [])
            model[key], tags[key] = value, verb == "tagged"
        elif verb == "add":
            assert cache.add(key, value) == (key not in model)
            if key not in model:
                model[key], tags[key] = value, False
        elif verb == "delete":
            assert cache.delete(key) == (key in model) or tags.get(key)
            model.pop(key, None)
            tags.pop(key, None)
        elif verb == "move":
            cache.invalidate_tags("t")
            for ended in [key for key, tagged in tags.items() if tagged]:
                model.pop(ended, None)
                # its entry is still on the server, and a delete will find it
        elif verb == "clear":
            cache.clear()
            model.clear()
            tags.clear()
        else:
            cache.set_many({key: value, "d": value})
            model.update({key: value, "d": value})
            tags.update({key: False, "d": False})
        assert (one, other)[value % 2].get_many("abcd") == [model.get(name) for name in "abcd"]
