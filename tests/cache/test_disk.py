"""What a disk cache does for its user when nothing goes wrong; what goes wrong is in test_disk_faults.py."""

import asyncio
import os
import random
import re
import threading
import time
from collections.abc import MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

import perfcore.cache.disk.structure
from perfcore.cache import Cache, DiskCache, codec
from perfcore.cache.codec import Codec
from perfcore.cache.disk import DiskStats
from perfcore.cache.disk.environment import DATA_FILE
from perfcore.errors import ConfigError
from perfcore.types import Closable, Store


@pytest.fixture
def cache(tmp_path):
    with DiskCache(tmp_path / "cache", maxbytes="16MB") as cache:
        yield cache


# --- options ------------------------------------------------------------------------------------------------


def test_the_default_directory_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with DiskCache(name="mine", maxbytes="1MB") as cache:
        cache["a"] = 1
    assert (tmp_path / "perfcore" / "mine" / DATA_FILE).exists()
    assert (tmp_path / "perfcore" / "mine").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "perfcore" / "mine" / DATA_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compression": "always"}, "compression: expected one of 'adaptive', 'on', 'off', got 'always'"),
        ({"durability": "fsync"}, "durability: expected one of 'relaxed', 'commit', 'sync', got 'fsync'"),
        ({"maxbytes": "10KB"}, "maxbytes: expected at least 65536 bytes, got '10KB'"),
        ({"name": "a/b", "path": None}, "name: expected a file name, got 'a/b'"),
        ({"name": "", "path": None}, "name: expected a file name, got ''"),
        ({"maxbytes": "much"}, "a size is"),
        ({"ttl": -1}, "a duration is finite"),
    ],
)
def test_an_option_it_does_not_know_is_refused_by_name(tmp_path, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        DiskCache(**{"path": tmp_path, **options})
    assert issubclass(ConfigError, ValueError)
    assert not list(tmp_path.iterdir())


def test_it_has_the_verbs_of_every_cache(cache):
    assert isinstance(cache, MutableMapping)
    assert isinstance(cache, Store)
    assert isinstance(cache, Closable)
    shared = {
        "get",
        "set",
        "add",
        "delete",
        "pop",
        "touch",
        "expires_in",
        "expire",
        "get_or_set",
        "clear",
        "stats",
    }
    assert shared <= set(dir(cache)) & set(dir(Cache()))


def test_it_tells_who_it_is_but_not_what_it_holds(cache):
    cache["secret"] = "value"
    assert repr(cache) == f"DiskCache({str(cache._store.directory)!r}, maxbytes=16777216)"


@pytest.mark.parametrize("key", [1.5, [1], object(), {"a"}, ("a", [])])
def test_a_key_it_cannot_keep_is_a_type_error(cache, key):
    for verb in (cache.get, cache.delete, cache.pop, cache.touch, cache.expires_in, cache.__contains__):
        with pytest.raises(TypeError, match="key"):
            verb(key)


@pytest.mark.parametrize("durability", ["relaxed", "commit", "sync"])
def test_a_value_it_cannot_keep_is_a_type_error_before_anything_changes(tmp_path, durability):
    with DiskCache(tmp_path, maxbytes="1MB", durability=durability) as cache:
        cache["a"] = 1
        for attempt in (
            lambda: cache.set("a", object()),
            lambda: cache.add("b", object()),
            lambda: cache.set_many({"a": 2, "c": object()}),
            lambda: cache.get_or_set("d", object),
        ):
            with pytest.raises(TypeError, match=r"cannot store a value of type builtins\.object"):
                attempt()
        assert dict(cache) == {"a": 1}


# --- mapping ------------------------------------------------------------------------------------------------


def test_it_is_a_mapping_in_order_of_writing(cache):
    cache.update({"a": 1, "b": 2}, c=3)
    cache.flush()
    cache["a"] = 4
    assert list(cache) == ["b", "c", "a"]
    assert list(reversed(cache)) == ["a", "c", "b"]
    assert dict(cache.items()) == {"b": 2, "c": 3, "a": 4}
    assert cache == {"b": 2, "c": 3, "a": 4}
    assert (len(cache), bool(cache), 4 in cache.values()) == (3, True, True)
    assert cache.setdefault("b", 9) == 2
    assert cache.setdefault("d", 9) == 9
    assert cache.popitem()[0] == "b"
    del cache["c"]
    with pytest.raises(KeyError):
        del cache["c"]
    with pytest.raises(KeyError):
        cache["c"]
    with pytest.raises(KeyError):
        cache.pop("c")


def test_changing_it_during_iteration_is_fine(cache):
    cache.set_many({number: number for number in range(2000)})
    seen = set()
    for number in cache:
        seen.add(number)
        cache.delete(number - 1)
        cache[number + 5000] = number
        if len(seen) > 1500:
            break
    assert set(range(1500)) <= seen


def test_a_value_comes_back_as_a_new_object_each_time(cache):
    cache["list"] = [1]
    cache["list"].append(2)
    cache.flush()
    cache["list"].append(2)
    assert cache["list"] == [1]


# --- time ---------------------------------------------------------------------------------------------------


def test_an_entry_lives_as_long_as_it_was_told_or_as_the_cache_says(tmp_path):
    with DiskCache(tmp_path, maxbytes="1MB", ttl=timedelta(minutes=1)) as cache:
        cache["default"] = 1
        cache.set("short", 1, ttl=0.05)
        cache.set("none", 1, ttl=0)
        assert 59 < cache.expires_in("default") <= 60
        assert cache.expires_in("short") <= 0.05
        assert cache.get("none") is None
        cache.flush()
        assert 59 < cache.expires_in("default") <= 60
        time.sleep(0.06)
        assert cache.get("short") is None
        assert "short" not in cache
        assert list(cache) == ["default"]
        assert cache.touch("short") is False
        assert cache.touch("default", ttl=5) is True
        assert cache.expires_in("default") <= 5
        cache.flush()
        assert cache.stats().entries == 1


def test_what_has_expired_can_be_removed_at_once(cache):
    cache.set_many({number: number for number in range(100)}, ttl=0.01)
    cache["kept"] = 1
    time.sleep(0.02)
    assert cache.expire() == 100
    assert (len(cache), cache.stats().expirations) == (1, 100)


# --- size ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[300], [3000], [40_000], [10, 500, 2100, 9000, 120_000]], ids=str)
def test_pages_and_file_stay_within_the_budget_under_churn(tmp_path, sizes):
    draw, budget = random.Random(1), 4 << 20
    with DiskCache(tmp_path, maxbytes=budget, compression="off") as cache:
        for step in range(12 * budget // (sum(sizes) // len(sizes) + 200)):
            cache[draw.randrange(20_000)] = draw.randbytes(draw.choice(sizes))
            if draw.random() < 0.05:
                cache.delete(draw.randrange(20_000))
            if step % 500 == 0:
                assert cache.stats().bytes <= budget
        cache.flush()
        stats = cache.stats()
        assert 0.7 * budget < stats.bytes <= budget
        assert stats.file_bytes <= 2 * budget
        assert stats.evictions > 0
        assert (stats.errors, stats.dropped) == (0, 0)
    assert (tmp_path / DATA_FILE).stat().st_size <= 2 * budget
    perfcore.cache.disk.structure.check(tmp_path / DATA_FILE)


def test_the_oldest_goes_first_but_what_was_read_stays(tmp_path):
    with DiskCache(tmp_path, maxbytes="1MB", compression="off") as cache:
        cache.set_many({number: os.urandom(1000) for number in range(500)})
        for number in range(100):
            assert cache.get(number) is not None
        for number in range(500, 1200):
            cache[number] = os.urandom(1000)
        cache.flush()
        found = [number for number in range(1200) if number in cache]
        assert set(range(100)) <= set(found)
        assert not set(range(100, 250)) & set(found)
        assert 1199 in found


def test_deleting_makes_room_that_is_used_again(tmp_path):
    with DiskCache(tmp_path, maxbytes="4MB", compression="off") as cache:
        cache.set_many({number: bytes(10_000) for number in range(300)})
        full = cache.stats()
        assert cache.delete_many(range(300)) == 300
        assert cache.stats().bytes < full.bytes / 20
        for number in range(2):  # what a transaction frees, the next but one can use
            cache.set_many({"small": number})
        cache.set_many({number: bytes(10_000) for number in range(300)})
        assert cache.stats().file_bytes <= 1.1 * full.file_bytes


@pytest.mark.parametrize("durability", ["relaxed", "commit"])
def test_a_value_too_large_is_refused_and_does_not_leave_the_older_one(tmp_path, durability):
    with DiskCache(tmp_path, maxbytes="1MB", durability=durability) as cache:
        for value in (os.urandom(600_000), bytes(2 << 20)):
            cache["a"] = "old"
            cache["a"] = value
            cache.flush()
            assert cache.get("a") is None
        assert cache.add("b", bytes(2 << 20)) is False
        assert cache.stats().rejections == 3


def test_a_smaller_budget_takes_effect_with_the_next_user(tmp_path):
    one = DiskCache(tmp_path, maxbytes="8MB", compression="off")
    one.set_many({number: os.urandom(10_000) for number in range(500)})
    two = DiskCache(tmp_path, maxbytes="1MB")
    one["a"] = 1
    one.flush()
    assert one.stats().bytes <= 1 << 20
    one.close()
    two.close()


def test_a_smaller_budget_can_be_asked_for_and_holds_from_the_next_write(tmp_path):
    with DiskCache(tmp_path, maxbytes="8MB", compression="off") as cache:
        cache.set_many({number: os.urandom(10_000) for number in range(500)})
        cache.resize("1MB")
        cache["a"] = 1
        cache.flush()
        assert cache.stats().bytes <= 1 << 20
        cache.resize("8MB")
        cache.set_many({number: os.urandom(10_000) for number in range(500)})
        assert len(cache) > 450
        with pytest.raises(ConfigError, match="maxbytes"):
            cache.resize("1KB")


def test_a_peek_is_not_counted_spares_nothing_and_removes_nothing(tmp_path):
    with DiskCache(tmp_path, maxbytes="1MB", compression="off") as cache:
        cache.set_many({number: os.urandom(1000) for number in range(500)})
        for number in range(100):
            assert cache.peek(number) is not None
        for number in range(500, 1200):
            cache[number] = os.urandom(1000)
        cache.flush()
        assert not {number for number in range(100) if number in cache}
        assert (cache.stats().hits, cache.stats().misses, cache.peek("none", 7)) == (0, 0, 7)
        cache.set("short", 1, ttl=0.01)
        cache.flush()
        time.sleep(0.02)
        assert cache.peek("short") is None
        assert cache.stats().expirations == 0


def test_vacuum_gives_the_free_pages_back(cache):
    cache.set_many({number: os.urandom(5000) for number in range(1000)})
    cache.delete_many(range(900))
    before = cache.stats().file_bytes
    assert cache.vacuum() > before / 2
    assert cache.stats().file_bytes < before / 2
    assert len(cache) == 100
    cache["after"] = 1
    cache.flush()
    assert cache["after"] == 1


def test_small_documents_share_a_dictionary(tmp_path):
    draw = random.Random(3)
    words = ["".join(draw.choices("abcdefgh", k=6)) for _ in range(100)]
    documents = {
        n: {"name": draw.choices(words, k=90), "user id": n, "place": draw.choices(words, k=30)}
        for n in range(6000)
    }
    raw = sum(len(repr(document)) for document in documents.values())
    with DiskCache(tmp_path, maxbytes="64MB") as cache:
        for number, document in documents.items():
            cache[number] = document
        cache.flush()
        assert cache.stats().bytes < raw / 2
    with DiskCache(tmp_path, maxbytes="64MB") as cache:
        assert dict(cache) == documents


# --- visibility ---------------------------------------------------------------------------------------------


def test_the_epochs_tell_other_processes_what_is_no_longer_valid(cache):
    cache["a"] = 1
    cache.flush()
    fresh = cache.epochs
    cache["b"] = 1
    cache.flush()
    assert cache.epochs == fresh
    cache["a"] = 2
    cache.flush()
    removals, replacements = cache.epochs
    assert (removals == fresh[0], replacements != fresh[1]) == (True, True)
    for change in (lambda: cache.delete("a"), lambda: cache.pop("b"), cache.clear):
        before = cache.epochs
        change()
        assert cache.epochs[0] != before[0]
    before = cache.epochs
    cache.delete("never there")
    assert cache.epochs == before


def test_one_thread_computes_and_the_others_wait(cache):
    calls, start = [], threading.Barrier(8)

    def compute():
        calls.append(1)
        time.sleep(0.1)
        return {"answer": 42}

    results = []

    def ask():
        start.wait()
        results.append(cache.get_or_set("k", compute))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [{"answer": 42}] * 8
    assert len(calls) == 1
    assert len({id(result) for result in results}) == 8


def test_a_computation_that_fails_fails_its_caller_only(cache):
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("k", lambda: 1 / 0)
    assert cache.get_or_set("k", lambda: 2) == 2


def test_computations_that_need_each_other_do_not_wait_for_ever(cache):
    both = threading.Barrier(2)

    def first():
        both.wait()
        return cache.get_or_set("b", lambda: 1) + 1

    def second():
        both.wait()
        return cache.get_or_set("a", lambda: 1) + 1

    threads = [
        threading.Thread(target=cache.get_or_set, args=("a", first), daemon=True),
        threading.Thread(target=cache.get_or_set, args=("b", second), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in threads)
    assert cache.get_or_set("self", lambda: cache.get_or_set("self", lambda: 5)) == 5


def test_of_tasks_and_threads_that_want_one_value_one_computes(cache):
    calls = []

    async def compute():
        calls.append(1)
        await asyncio.sleep(0.1)
        return {"answer": 42}

    async def ask():
        tasks = [asyncio.create_task(cache.aget_or_set("k", compute)) for _ in range(5)]
        await asyncio.sleep(0.02)
        threads = [asyncio.to_thread(cache.get_or_set, "k", lambda: calls.append("thread")) for _ in range(3)]
        return await asyncio.gather(*tasks, *threads, cache.aget_or_set("k", compute))

    assert asyncio.run(ask()) == [{"answer": 42}] * 9
    assert calls == [1]


def test_a_task_that_waits_for_a_thread_leaves_its_loop_free(cache):
    begun, end = threading.Event(), threading.Event()

    def compute():
        begun.set()
        end.wait(10)
        return "thread"

    async def ask():
        thread = asyncio.create_task(asyncio.to_thread(cache.get_or_set, "k", compute))
        await asyncio.to_thread(begun.wait)
        task = asyncio.create_task(cache.aget_or_set("k", never))
        await asyncio.sleep(0.01)
        end.set()
        return await asyncio.gather(task, thread)

    async def never():
        raise AssertionError

    assert asyncio.run(ask()) == ["thread", "thread"]


def test_when_the_task_that_computes_is_cancelled_or_fails_another_one_computes(cache):
    async def first():
        await asyncio.sleep(10)

    async def second():
        return "second"

    async def ask():
        leader = asyncio.create_task(cache.aget_or_set("k", first))
        await asyncio.sleep(0.01)
        waiter = asyncio.create_task(cache.aget_or_set("k", second))
        await asyncio.sleep(0.01)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        return await waiter

    assert asyncio.run(ask()) == "second"

    async def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(cache.aget_or_set("other", fails))
    assert asyncio.run(cache.aget_or_set("other", second)) == "second"


def test_a_task_abandoned_with_its_loop_keeps_nobody_waiting(cache):
    async def first():
        await asyncio.sleep(10)

    async def second():
        return "second"

    loop = asyncio.new_event_loop()
    task = loop.create_task(cache.aget_or_set("k", first))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    assert asyncio.run(cache.aget_or_set("k", second)) == "second"
    task.get_coro().close()
    task._log_destroy_pending = False


def test_tasks_that_need_each_other_do_not_wait_for_ever(cache):
    async def one():
        await asyncio.sleep(0.01)
        return await cache.aget_or_set("b", two)

    async def two():
        await asyncio.sleep(0.01)
        return await cache.aget_or_set("a", last)

    async def last():
        return 1

    async def both():
        return await asyncio.gather(cache.aget_or_set("a", one), cache.aget_or_set("b", two))

    assert asyncio.run(asyncio.wait_for(both(), 10)) == [1, 1]


def test_threads_on_one_cache_see_their_own_last_word(tmp_path):
    wrong = []
    with DiskCache(tmp_path, maxbytes="16MB") as cache:

        def use(seed):
            draw, last = random.Random(seed), {}
            for _ in range(1500):
                key = (seed, draw.randrange(20))
                kind = draw.random()
                if kind < 0.15:
                    if cache.delete(key) is not (last.pop(key, None) is not None):
                        wrong.append(("delete", key))
                elif kind < 0.5:
                    last[key] = draw.random()
                    cache[key] = last[key]
                elif kind < 0.55:
                    if cache.pop(key, None) != last.pop(key, None):
                        wrong.append(("pop", key))
                elif cache.get(key) != last.get(key):
                    wrong.append(("get", key))

        threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = cache.stats()
    assert not wrong
    assert (stats.errors, stats.damaged, stats.dropped) == (0, 0, 0)


def test_readers_do_not_notice_when_the_map_grows_or_commits_begin_to_wait_for_the_disk(tmp_path):
    with DiskCache(tmp_path, maxbytes="1MB") as cache:
        cache.set_many({number: str(number) * 50 for number in range(500)})
        wrong, stop = [], threading.Event()

        def read(seed):
            draw = random.Random(seed)
            while not stop.is_set():
                number = draw.randrange(500)
                if cache.get(number) != str(number) * 50:
                    wrong.append(number)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for size in (2, 4, 8, 16, 32):
            DiskCache(tmp_path, maxbytes=size << 20, durability="sync" if size == 8 else "relaxed").close()
            cache.vacuum()
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong
        assert cache.stats().errors == 0


# --- the rest -----------------------------------------------------------------------------------------------


def test_it_counts_what_happens(cache):
    cache["a"] = 1
    cache["b"] = 2
    cache.flush()
    cache.get("a"), cache.get("c"), cache.get_many(["a", "b", "c"]), cache.delete("b")
    stats = cache.stats()
    assert stats == DiskStats(
        hits=3, misses=2, writes=2, deletes=1, evictions=0, expirations=0, invalidations=0, rejections=0,
        dropped=0, damaged=0, unreadable=0, errors=0, entries=1, bytes=stats.bytes,
        file_bytes=stats.file_bytes, pending=0,
    )  # fmt: skip
    assert stats.hit_ratio == 0.6
    assert 0 < stats.bytes <= stats.file_bytes


def test_verify_finds_nothing_in_a_good_cache_and_removes_what_is_damaged(cache):
    cache.set_many({number: "x" * number for number in range(200)})
    assert cache.verify() == (200, 0, None)
    with cache._store.access.lock, cache._store.access.connection.environment.writing() as txn:
        for number, entry in list(cache._store.access.connection.ledger.after(txn, b""))[::10]:
            damaged = bytearray(entry)
            damaged[-1] ^= 1
            txn.put(number, bytes(damaged))
        txn.put(b"\x01" + bytes(16), b"\x02" + bytes(8))
    assert cache.verify() == (180, 21, None)
    assert cache.verify() == (180, 0, None)
    assert len(cache) == 180


def test_a_value_whose_class_this_process_does_not_know_is_a_miss_and_stays(tmp_path):
    known = codec.allow(NamedTuple("Deployed", [("a", int)]))
    with DiskCache(tmp_path, maxbytes="1MB") as cache:
        cache["a"] = known(1)
        cache.flush()
        codec.allow(NamedTuple("Deployed", [("a", int), ("b", int)]))
        assert cache.get("a") is None
        assert cache.get_many(["a"]) == [None]
        cache.flush()
        assert cache.stats()[9:11] == (0, 2), "nothing was damaged, two lookups could not be served"
        codec.allow(known)
        assert cache["a"] == known(1)


def test_a_call_too_deep_in_the_stack_to_make_a_value_does_not_remove_it(cache):
    cache["a"] = value = [{1: (2,)}] * 3
    cache.flush()
    found = []

    def dig():
        found.append(cache.get("a"))
        dig()

    with pytest.raises(RecursionError):
        dig()
    cache.flush()
    assert value in found
    assert cache["a"] == value


def test_signed_caches_and_others_do_not_read_each_other(tmp_path):
    signed = DiskCache(tmp_path, maxbytes="1MB", codec=Codec(secret=b"0123456789abcdef"))
    signed["a"] = 1
    signed.close()
    with DiskCache(tmp_path, maxbytes="1MB", codec=Codec(secret=b"fedcba9876543210")) as other:
        assert "a" not in other
        assert other.get("a") is None
        assert other.stats().damaged == 1
        other["b"] = 2
        other.touch("b", ttl=50)
        other.flush()
        assert other.touch("b", ttl=50)
        assert other["b"] == 2
    with DiskCache(tmp_path, maxbytes="1MB", codec=Codec(secret=b"0123456789abcdef")) as signed:
        assert signed.get("b") is None


def test_a_closed_cache_is_empty_and_ignores_writes(tmp_path):
    cache = DiskCache(tmp_path, maxbytes="1MB")
    cache["a"] = 1
    cache.close()
    cache["b"] = 2
    cache.set_many({"c": 3})
    assert (cache.get("a"), cache.get("b"), cache.get_many("abc"), len(cache), list(cache)) == (
        None, None, [None] * 3, 0, [],
    )  # fmt: skip
    assert (cache.delete("a"), cache.add("a", 1), cache.touch("a"), cache.expire(), cache.vacuum()) == (
        False, False, False, 0, 0,
    )  # fmt: skip
    assert cache.get_or_set("d", lambda: 4) == 4
    cache.flush()
    cache.clear()
    cache.close()
    with DiskCache(tmp_path, maxbytes="1MB") as cache:
        assert dict(cache) == {"a": 1}


def test_opening_reading_and_closing_leaves_no_thread_behind(tmp_path):
    DiskCache(tmp_path, maxbytes="1MB").close()
    before = {*threading.enumerate()}  # some of which, of other tests, may end meanwhile
    with DiskCache(tmp_path, maxbytes="1MB") as cache:
        cache.get("a")
        assert not {*threading.enumerate()} - before
        cache["a"] = 1
        assert len({*threading.enumerate()} - before) == 1
    assert not {*threading.enumerate()} - before


def test_paths_of_all_kinds_lead_to_one_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real").mkdir()
    with DiskCache("real", maxbytes="1MB") as one, DiskCache(tmp_path / "link", maxbytes="1MB") as two:
        one["a"] = 1
        assert two["a"] == 1


def test_verify_puts_a_file_aside_whose_structure_is_damaged_and_the_cache_goes_on(tmp_path):
    with DiskCache(tmp_path, maxbytes="8MB", compression="off") as cache:
        cache.set_many({number: os.urandom(500) for number in range(500)})
        cache.flush()
        with (tmp_path / DATA_FILE).open("r+b") as file:  # behind the back of the one that has it open
            size = file.seek(0, os.SEEK_END)
            file.seek(3 * 4096)
            file.write(bytes(size - 3 * 4096))
        found = cache.verify()
        assert found.structure and (found.entries, found.removed) == (0, 0)
        cache["new"] = 1
        cache.flush()
        assert cache["new"] == 1 and cache.get(7) is None
        assert cache.verify() == (1, 0, None)
    assert (tmp_path / f"{DATA_FILE}.damaged").exists()
