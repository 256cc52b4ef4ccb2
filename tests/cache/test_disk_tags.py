"""Tags on disk: one invalidation, and whatever carried the tag before is a miss for everybody."""

import random

import lmdb
import pytest
from cache.processes import run
from effort import effort

from perfcore.cache import DiskCache, clock
from perfcore.cache.disk import tags as tags_module


@pytest.fixture
def cache(tmp_path):
    with DiskCache(tmp_path / "cache", maxbytes="16MB") as cache:
        yield cache


@pytest.mark.parametrize("flushed", [True, False])
def test_what_carries_the_tag_is_gone_and_the_rest_stays(cache, flushed):
    cache.set("a", 1, tags=["red", "big"])
    cache.set("b", 2, tags=["blue"])
    cache["c"] = 3
    if flushed:
        cache.flush()
    cache.invalidate_tags("red")
    assert cache.get_many("abc") == [None, 2, 3]
    assert ("a" in cache, cache.peek("a"), cache.touch("a"), cache.delete("a")) == (False, None, False, False)
    assert list(cache) == ["b", "c"]
    cache.set("a", 4, tags=["red"])
    assert cache["a"] == 4
    cache.flush()
    assert cache["a"] == 4
    cache.invalidate_tags("blue", "red", "never used")
    assert dict(cache) == {"c": 3}
    assert cache.expire() + cache.stats().invalidations >= 2
    assert len(cache) == 1


@pytest.mark.parametrize("verb", ["set", "add", "set_many", "get_or_set", "offer"])
def test_every_verb_that_stores_takes_tags(cache, verb):
    for _ in range(2):
        if verb == "set_many":
            cache.set_many({"k": 1}, tags=("t",))
        elif verb == "get_or_set":
            cache.get_or_set("k", lambda: 1, tags=["t"])
        else:
            cache.offer("k", 0)
            getattr(cache, verb)("k", 1, tags={"t"})
            if verb == "add":
                cache.delete("k")
                assert cache.add("k", 1, tags=["t"])
    assert cache["k"] == 1
    cache.invalidate_tags("t")
    assert cache.get("k") is None
    assert cache.pop("k", "gone") == "gone"


def test_a_value_begun_before_an_invalidation_is_stale_when_it_arrives(cache):
    def compute():
        cache.invalidate_tags("t")  # what this is computed from changes meanwhile
        return "old"

    assert cache.get_or_set("k", compute, tags=["t"]) == "old"
    assert cache.get("k") is None
    before = cache.moment
    cache.invalidate_tags("t")
    cache.set("k", "old", tags=["t"], since=before)
    assert cache.get("k") is None
    cache.flush()
    assert cache.get("k") is None
    assert not cache.valid_since(["t"], before)
    cache.set("k", "new", tags=["t"], since=cache.moment)
    assert cache["k"] == "new"


def test_a_renewed_life_does_not_outlive_the_tags(cache):
    for flushed in (True, False):
        cache.set("k", 1, ttl=10, tags=["t"])
        if flushed:
            cache.flush()
        assert cache.touch("k", ttl=50)
        assert cache["k"] == 1
        cache.invalidate_tags("t")
        assert cache.get("k") is None


def test_a_clock_set_back_brings_nothing_back(cache, monkeypatch):
    now = clock.now_us()
    for at in (now, now - 10**10, now + 10**10, now - 10**12):
        monkeypatch.setattr(clock, "now_us", lambda at=at: at)
        cache.set("k", at, tags=["t"])
        cache.flush()
        assert cache["k"] == at
        cache.invalidate_tags("t")
        assert cache.get("k") is None


def test_clearing_refuses_what_was_begun_before(cache):
    cache.set("a", 1, tags=["t"])
    before = cache.moment
    cache.clear()
    cache.set("a", 1, tags=["t"], since=before)
    cache.flush()
    assert cache.get("a") is None
    cache.set("a", 2, tags=["t"])
    cache.flush()
    assert cache["a"] == 2


def test_more_tags_than_are_remembered_cost_hits_and_never_bring_anything_back(tmp_path, monkeypatch):
    monkeypatch.setattr(tags_module, "_MOST_LINES", 256)
    draw, stale, found = random.Random(3), set(), 0
    with DiskCache(tmp_path, maxbytes="4MB") as cache:
        for step in range(effort(1500)):
            tag = draw.randrange(800)
            if draw.random() < 0.3:
                cache.invalidate_tags(tag)
                stale.add(tag)
            elif draw.random() < 0.5:
                cache.set(tag, step, tags=[tag, "all"])
                stale.discard(tag)
            probe = draw.randrange(800)
            value = cache.get(probe)
            assert value is None or probe not in stale
            found += value is not None
        assert found > 50
        assert len(cache) == sum(1 for _ in cache) + cache.expire()
        cache.invalidate_tags("all")
        assert list(cache) == []


def test_damage_to_the_tags_makes_misses_not_hits(tmp_path):
    draw = random.Random(5)
    for _ in range(20):
        with DiskCache(tmp_path / "c", maxbytes="1MB") as cache:
            for number in range(20):
                cache.set(number, number, tags=[number])
            cache.flush()
            cache.invalidate_tags(*range(0, 20, 2))
        with (
            lmdb.open(str(tmp_path / "c"), map_size=1 << 22, lib_version=0) as env,
            env.begin(write=True) as txn,
        ):
            for key, line in list(txn.cursor()):
                if key.startswith((b"\x00\xff", b"\x00tags")) and draw.random() < 0.3:
                    if draw.random() < 0.3:
                        txn.delete(key)
                    else:
                        place = draw.randrange(len(line))
                        txn.put(key, line[:place] + bytes([line[place] ^ 4]) + line[place + 1 :])
        with DiskCache(tmp_path / "c", maxbytes="1MB") as cache:
            values = cache.get_many(range(20))
            assert values[::2] == [None] * 10
            assert all(value in (None, number) for number, value in enumerate(values))


def test_other_processes_learn_of_it_at_once(tmp_path):
    with DiskCache(tmp_path, maxbytes="1MB") as cache:
        cache.set("a", 1, tags=["t"])
        cache.flush()
        epoch = cache.epochs[0]
        run("invalidate", tmp_path, "t")
        assert cache.epochs[0] != epoch
        assert cache.get("a") is None


def test_what_cannot_be_written_down_is_not_forgotten(tmp_path):
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        cache.set("a", 1, tags=["t"])
        cache.flush()
        cache.set("b", 1, tags=["t"])
        access = cache._store.access
        with access.lock:
            access.connection.suspend(OSError("unplugged"))
        cache.invalidate_tags("t")
        access.connection.retry_at = 0
        assert (cache.get("a"), cache.get("b")) == (None, None)
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        assert (cache.get("a"), cache.get("b")) == (None, None)


@pytest.mark.parametrize(
    ("tags", "message"),
    [("red", "several tags"), ([1.5], "integer"), ([object()], "a key is"), (range(300), "at most 255")],
)
def test_what_is_no_list_of_tags_is_a_type_error_before_anything_changes(cache, tags, message):
    cache["k"] = 1
    with pytest.raises(TypeError, match=message):
        cache.set("k", 2, tags=tags)
    assert cache["k"] == 1


def test_an_offer_is_taken_the_second_time_and_never_leaves_an_older_value(cache):
    assert [cache.offer("k", number) for number in range(3)] == [False, True, True]
    assert cache["k"] == 2
    cache.flush()
    cache["old"] = 1
    cache.flush()
    assert cache.offer("old", 2)
    assert cache["old"] == 2
    assert cache.peek("never") is None
