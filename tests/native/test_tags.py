"""Entries with tags: invalidation costs one number, and what was invalidated is absent everywhere."""

import copy
import gc
import pickle
import sys
import threading

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore._native import labels
from perfcore.cache import Cache

LOOKS = {
    "get": lambda cache, key: cache.get(key) is not None,
    "getitem": lambda cache, key: bool([1 for _ in [0] if cache[key]]),
    "peek": lambda cache, key: cache.peek(key) is not None,
    "contains": lambda cache, key: key in cache,
    "get_many": lambda cache, key: cache.get_many([key]) != [None],
    "pop": lambda cache, key: cache.pop(key, None) is not None,
    "delete": lambda cache, key: cache.delete(key),
    "touch": lambda cache, key: cache.touch(key),
    "iteration": lambda cache, key: key in list(cache),
    "items": lambda cache, key: (key, 1) in cache.items(),
    "items, walked": lambda cache, key: (key, 1) in list(cache.items()),
    "values": lambda cache, key: 1 in cache.values(),
    "coldest": lambda cache, key: key in cache.coldest(9),
    "copy": lambda cache, key: key in cache.copy(),
    "add": lambda cache, key: not cache.add(key, 2),
    "explain": lambda cache, key: cache.explain(key).state == "present",
}


@pytest.mark.parametrize("look", LOOKS)
def test_an_entry_is_there_until_one_of_its_tags_is_invalidated(look):
    def present():
        try:
            return LOOKS[look](cache, "key")
        except KeyError:
            return False

    for tag in ("users", 7):
        cache = Cache()
        cache.set("key", 1, tags=["users", 7])
        cache.invalidate_tags("others", "key")
        assert present()
        cache.set("key", 1, tags=["users", 7])
        cache.invalidate_tags(tag)
        assert not present()
        cache._check()


def test_what_is_written_after_the_invalidation_is_valid():
    cache = Cache()
    cache.set("a", 1, tags=["t"])
    cache.invalidate_tags("t")
    cache.set("a", 2, tags=["t"])
    assert cache["a"] == 2
    cache.invalidate_tags("t", "u")
    cache["a"] = 3  # without tags
    cache.invalidate_tags("t")
    assert cache["a"] == 3


def test_an_invalidated_entry_is_a_miss_and_leaves_when_it_is_looked_at():
    heard = []
    cache = Cache(on_remove=lambda *event: heard.append(event))
    cache.set("a", 1, tags=["t"])
    cache.invalidate_tags("t")
    assert (len(cache), heard) == (1, [])
    assert cache.get("a") is None
    assert (len(cache), heard) == (0, [("a", 1, "explicit")])
    assert (cache.stats().hits, cache.stats().misses, cache.stats().evictions) == (0, 1, 0)
    assert cache.explain("a").state == "invalidated"


def test_expire_removes_what_was_invalidated():
    cache = Cache()
    cache.set_many({i: i for i in range(10)}, tags=["even"])
    cache.set_many({i: i for i in range(1, 10, 2)})
    cache.invalidate_tags("even")
    assert cache.expire() == 5
    assert sorted(cache) == [1, 3, 5, 7, 9]
    assert cache.popitem()[0] in range(1, 10, 2)


def test_iteration_over_invalidated_entries_is_no_change():
    cache = Cache()
    for i in range(10):
        cache.set(i, i, tags=[i % 2])
    walk = iter(cache)
    cache.invalidate_tags(0)
    assert cache.get(4) is None
    assert list(walk) == [1, 3, 5, 7, 9]


def test_a_value_that_was_computed_from_what_has_been_invalidated_meanwhile_is_not_kept():
    cache = Cache()

    def load():
        cache.invalidate_tags("row")
        return "old"

    cache.set("other", 1, tags=["row"])
    assert cache.get_or_set("key", load, tags=["row"]) == "old"
    assert "key" not in cache


async def test_nor_one_that_was_awaited():
    cache = Cache()

    async def load():
        cache.invalidate_tags("row")
        return "old"

    assert await cache.aget_or_set("key", load, tags=["row"]) == "old"
    assert "key" not in cache


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))])
def test_copies_keep_the_tags_and_are_invalidated_on_their_own(twin):
    cache = Cache()
    cache.set("a", 1, tags=["t", ("u", 1)])
    cache.set("stale", 1, tags=["v"])
    cache["plain"] = 1
    cache.invalidate_tags("v")
    other = twin(cache)
    assert other == {"a": 1, "plain": 1}
    other.invalidate_tags(("u", 1))
    assert other == {"plain": 1}
    assert cache["a"] == 1
    other._check()


@pytest.mark.parametrize("tags", ["users", b"users", 7])
def test_tags_are_an_iterable_of_names_and_not_one_name(tags):
    cache = Cache()
    cache["a"] = 1
    with pytest.raises(TypeError):
        cache.set("a", 2, tags=tags)
    with pytest.raises(TypeError):
        cache.set("a", 2, tags=[["unhashable"]])
    assert cache == {"a": 1}
    cache.set("a", 2, tags=[])
    assert cache == {"a": 2}


def test_weigher_and_listener_see_values_and_no_labels():
    seen = []
    cache = Cache(
        maxweight=3,
        weigher=lambda key, value: seen.append(value) or value,
        on_remove=lambda *e: seen.append(e[1]),
    )
    cache.set("a", 2, tags=["t"])
    cache.set("a", 3, tags=["t"])
    cache.set("b", 1, tags=["t"])
    cache.clear()
    assert set(map(type, seen)) == {int}


def test_tags_that_nobody_bears_are_forgotten():
    class Name:
        pass

    cache, name = Cache(10), Name()
    before = sys.getrefcount(name)
    for i in range(100):
        cache.set(i, i, tags=[name, i])
    cache.clear()
    gc.collect()
    assert sys.getrefcount(name) == before


def test_cycles_through_a_tag_are_collected():
    import weakref

    class Name:
        pass

    name = Name()
    name.cache = Cache()
    name.cache.set("a", name, tags=[name])
    alive = weakref.ref(name)
    del name
    gc.collect()
    assert alive() is None


def test_a_tag_whose_hash_changes_the_cache():
    class Meddling:
        def __hash__(self):
            cache.clear()
            return 1

    cache = Cache()
    cache["a"] = 1
    cache.set("b", 1, tags=[Meddling()])
    cache.invalidate_tags(Meddling())
    cache._check()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.integers(0, 9), st.lists(st.integers(0, 3), max_size=3)),
            st.tuples(st.just("invalidate"), st.lists(st.integers(0, 3), max_size=2)),
            st.tuples(st.just("get"), st.integers(0, 9)),
            st.tuples(st.just("copy")),
        ),
        max_size=100,
    ),
    st.sampled_from(["lru", "lfu", "random", "adaptive"]),
)
@settings(max_examples=effort(100), deadline=None)
def test_it_is_as_if_the_entries_were_deleted_at_once(steps, policy):
    cache, model = Cache(policy=policy), {}
    for number, (name, *arguments) in enumerate(steps):
        if name == "set":
            key, tags = arguments
            cache.set(key, number, tags=tags)
            model[key] = (number, tags)
        elif name == "invalidate":
            cache.invalidate_tags(*arguments[0])
            model = {key: held for key, held in model.items() if not set(held[1]) & set(arguments[0])}
        elif name == "get":
            assert cache.get(arguments[0]) == model.get(arguments[0], [None])[0]
        else:
            cache = cache.copy()
        assert dict(cache.items()) == {key: number for key, (number, _) in model.items()}
        cache._check()


def test_threads_never_read_what_they_have_invalidated():
    cache, errors = Cache(50), []

    def work(thread):
        try:
            for i in range(3000):
                cache.set((thread, i % 7), i, tags=[thread, "all"])
                if i % 3 == 0:
                    cache.invalidate_tags(thread)
                    assert cache.get((thread, i % 7)) is None
                if i % 50 == 0:
                    cache.invalidate_tags("all")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    cache._check()


def test_a_label_that_is_made_before_its_value_ends_with_what_is_invalidated_in_between():
    cache = Cache(10)
    assert labels.label(cache, ()) is None
    label, other = labels.label(cache, ["t", "u"]), labels.label(cache, ["v"])
    assert labels.holds(cache, label)
    cache.invalidate_tags("u")
    assert not labels.holds(cache, label) and labels.holds(cache, other)
    labels.put(cache, "a", 1, None, label)
    labels.put(cache, "b", 2, 60, other)
    assert "a" not in cache and cache["b"] == 2
    assert cache.expires_in("b") > 59
    for wrong in (None, 5):
        with pytest.raises(TypeError):
            labels.put(cache, "a", 1, None, wrong)
        with pytest.raises(TypeError):
            labels.holds(cache, wrong)
    cache._check()
