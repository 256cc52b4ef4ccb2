"""What PerfcoreCache does beyond what Django's own tests ask of every backend (tests/conformance)."""

import asyncio
import gc
import subprocess
import sys
import threading
from datetime import date
from uuid import uuid4

import pytest
from django.core.cache.backends.base import CacheKeyWarning
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore.cache.codec import Codec
from perfcore.errors import ConfigError
from perfcore.integrations.django import PerfcoreCache
from perfcore.integrations.django.opening import _opened
from perfcore.integrations.django.values import Values


class Row:
    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return self.number == other.number

    __hash__ = None


def made(location=None, **params):
    return PerfcoreCache(location or uuid4().hex, params)


@pytest.fixture(params=["memory", "disk"])
def cache(request, tmp_path):
    return made(None if request.param == "memory" else tmp_path)


@pytest.fixture(autouse=True)
def closed():
    yield
    while _opened:
        _opened.popitem()[1].manager.close()
    gc.collect()


# --- values -------------------------------------------------------------------------------------------------


def test_callers_cannot_change_what_is_cached_nor_what_others_got(cache):
    row = {"scores": [1]}
    cache.set("row", row)
    row["scores"].append(2)
    cache.get("row")["scores"].append(3)
    cache.get_many(["row"])["row"]["scores"].append(4)
    assert cache.get("row") == {"scores": [1]}


simple = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=effort(100))
@given(value=simple, pickle=st.booleans())
def test_what_is_cached_comes_back_equal_and_of_the_same_type(value, pickle):
    values = Values(Codec(pickle=pickle))
    found = values.unpack(values.pack(value), "miss")
    assert found == value and type(found) is type(value)


@given(held=simple)
def test_what_others_have_put_there_is_a_miss(held):
    kept = {str, bytes, int, float, bool, type(None)}
    assert Values(Codec()).unpack(held, "miss") == (held if type(held) in kept else "miss")


def test_memory_keeps_all_that_can_be_pickled():
    cache = made()
    cache.set("row", Row(1))
    assert cache.get("row") == Row(1)


def test_a_disk_keeps_what_cannot_run_code_unless_told_otherwise(tmp_path):
    strict, lenient = made(tmp_path), made(tmp_path, OPTIONS={"PICKLE": True})
    with pytest.raises(TypeError, match="Row"):
        strict.set("row", Row(1))
    assert strict.get("row") is None
    lenient.set("row", Row(1), None)
    lenient._manager.flush()
    assert lenient.get("row") == Row(1)
    assert strict.get("row", "miss") == "miss" and not strict.has_key("row")
    assert strict.get_many(["row"]) == {}


def test_another_secret_sees_nothing(tmp_path):
    ours = made(tmp_path, OPTIONS={"SECRET": "a" * 16})
    ours.set("day", date(2026, 1, 31))
    ours._manager.flush()
    assert made(tmp_path, OPTIONS={"SECRET": "b" * 16}).get("day") is None
    assert ours.get("day") == date(2026, 1, 31)


# --- settings -----------------------------------------------------------------------------------------------


def test_threads_and_aliases_of_one_place_share_it_and_others_do_not():
    one, same, other = made("a"), made("a", KEY_PREFIX=""), made("b")
    one.set("key", 1)
    assert same.get("key") == 1 and other.get("key") is None


def test_max_entries_bounds_memory_and_keeps_the_newest_in():
    cache = made(OPTIONS={"MAX_ENTRIES": 30})
    for number in range(200):
        cache.set(f"key{number}", number)
        assert cache.get(f"key{number}") == number
    assert len(cache.get_many(f"key{number}" for number in range(200))) == 30


@pytest.mark.parametrize(
    ("location", "options", "said"),
    [
        ("", {"MAXENTRIES": 3}, "MAXENTRIES"),
        ("", {"DISK": "/tmp"}, "DISK"),
        (3, {}, "LOCATION"),
        ("", {"MEMORY": {"strategy": "magic"}}, "magic"),
    ],
)
def test_settings_that_make_no_sense_are_refused(location, options, said):
    with pytest.raises(ConfigError, match=said):
        PerfcoreCache(location, {"OPTIONS": options})


def test_closing_at_the_end_of_a_request_closes_nothing(cache):
    cache.set("key", 1)
    cache.close()
    assert cache.get("key") == 1


def test_a_server_that_is_gone_is_a_miss():
    cache = made("redis://127.0.0.1:1/", OPTIONS={"REMOTE": {"timeout": 0.05, "backplane": None}})
    cache.set("key", [1])
    assert cache.get("key", "miss") in ([1], "miss") and cache.get("other") is None


# --- counting -----------------------------------------------------------------------------------------------


def test_counting_leaves_what_is_left_of_the_time(cache):
    cache.set("hits", 1, 1000)
    cache.incr("hits")
    left = cache._left(cache.make_key("hits"))
    assert 0 < left <= 1000
    cache.set("hits", 1, None)
    assert cache.decr("hits", 5) == -4 and cache._left(cache.make_key("hits")) is None


def test_threads_lose_no_count_and_one_of_them_adds(cache):
    cache.set("hits", 0)
    added, switch = [], sys.getswitchinterval()

    def work():
        for number in range(50):
            cache.incr("hits")
            added.append(cache.add(f"lock{number}", 1))

    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert cache.get("hits") == 200 and sum(added) == 50


COUNTING = """
import sys
from perfcore.integrations.django import PerfcoreCache
cache = PerfcoreCache(sys.argv[1], {})
for _ in range(40):
    cache.incr("hits")
print(sum(cache.add(f"lock{number}", 1) for number in range(20)))
"""


def test_processes_on_a_directory_lose_no_count_and_one_of_them_adds(tmp_path):
    cache = made(tmp_path)
    cache.set("hits", 0)
    cache._manager.flush()
    command = [sys.executable, "-c", COUNTING, str(tmp_path)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    added = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    assert cache.get("hits") == 120 and sum(added) == 20


# --- event loops --------------------------------------------------------------------------------------------


async def test_every_verb_has_an_asynchronous_form(cache):
    await cache.aset("a", [1])
    assert await cache.aget("a") == [1] and await cache.ahas_key("a")
    assert not await cache.aadd("a", 2) and await cache.aadd("b", 2)
    assert await cache.aincr("b") == 3 and await cache.adecr("b", 2) == 1
    assert await cache.atouch("b", 100) and not await cache.atouch("c")
    assert await cache.aset_many({"c": 1, "d": None}) == []
    assert await cache.aget_many(["b", "c", "d", "e"]) == {"b": 1, "c": 1, "d": None}
    assert await cache.aget_or_set("e", lambda: (1, 2)) == (1, 2)
    assert await cache.aincr_version("e") == 2 and await cache.aget("e", version=2) == (1, 2)
    await cache.adelete_many(["c", "d"])
    assert await cache.adelete("a") and not await cache.adelete("a")
    await cache.aclear()
    assert await cache.aget("b", "miss") == "miss"


async def test_tasks_lose_no_count(cache):
    await cache.aset("hits", 0)
    await asyncio.gather(*(cache.aincr("hits") for _ in range(50)))
    assert await cache.aget("hits") == 50


async def test_a_key_that_others_would_refuse_is_warned_of(cache):
    with pytest.warns(CacheKeyWarning):
        await cache.aget("with spaces")
    with pytest.warns(CacheKeyWarning):
        await cache.aget_many(["with spaces"])
