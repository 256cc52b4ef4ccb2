"""A cache manager: what its verbs do on its tiers, what ends a value, and what is refused before anything
changes.
"""

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from cache.values import same

from perfcore import ConfigError
from perfcore.cache import Cache, CacheManager, DiskCache


@pytest.fixture
def manager(tmp_path):
    with CacheManager(
        memory={"maxsize": 1000}, disk={"directory": tmp_path / "disk", "max_size": "64MB"}
    ) as manager:
        yield manager


@pytest.fixture
def other(tmp_path, manager):
    """Another manager on the same directory."""
    with CacheManager(
        memory={"maxsize": 1000}, disk={"directory": tmp_path / "disk", "max_size": "64MB"}
    ) as other:
        yield other


class Refused:
    """A value that no codec knows."""


# --- tiers --------------------------------------------------------------------------------------------------


def test_a_value_is_found_again_on_every_tier(manager):
    manager.set("a", {"x": (1, 2)})
    assert manager.get("a") == {"x": (1, 2)}
    where = manager.explain("a")
    assert (where.memory.state, where.below) == ("present", {"disk": None})
    assert manager.get("b", "none") == "none"
    assert manager.has("a") and "a" in manager and not manager.has("b")


def test_a_value_found_below_is_brought_up_with_the_time_it_has_left(manager):
    manager.set("a", 1, hot=False, ttl=50)
    assert manager.explain("a").memory.state != "present"
    assert manager.get("a") == 1
    assert manager.explain("a").memory.state == "present"
    assert 49 < manager.explain("a").memory.expires_in <= 50


def test_what_comes_up_lives_in_memory_no_longer_than_memorys_own_ttl(tmp_path):
    with CacheManager(memory={"ttl": 10}, disk={"directory": tmp_path, "ttl": 100}) as manager:
        manager.set("a", 1, hot=False)
        assert manager.get("a") == 1
        assert 9 < manager.explain("a").memory.expires_in <= 10
        manager.set("b", 1, ttl=30)  # said for the entry: the same everywhere
        where = manager.explain("b")
        assert 29 < where.memory.expires_in <= 30
        assert 29 < where.below["disk"] <= 30


def test_each_value_goes_where_it_is_told_to_and_leaves_no_older_one_elsewhere(manager):
    manager.set("a", "old")
    manager.set("a", "memory", persistent=False)
    assert (manager.get("a"), manager.explain("a").below) == ("memory", {})
    manager.set("a", "disk", hot=False)
    assert manager.explain("a").memory.state != "present"
    assert manager.get("a") == "disk"
    manager.set("a", "nowhere", hot=False, persistent=False)
    assert manager.get("a") is None


@pytest.mark.parametrize("key", ["a", b"a", 7, -1, 2**70, None, ("a", 1, None, ("b",)), True, 2.0])
def test_keys_are_one_on_all_tiers_that_are_one_in_a_dict(manager, key):
    manager.set(key, "value")
    manager._memory.clear()
    assert manager.get(key) == "value"
    assert manager.delete(key)
    assert manager.get(key) is None


def test_equal_numbers_are_one_key(manager):
    manager.set(1, "one")
    assert manager.get(1.0) == manager.get(True) == "one"
    manager._memory.clear()
    assert manager.get_many([1.0, True]) == ["one", "one"]


@pytest.mark.parametrize("key", [["a"], 1.5, object(), frozenset(), ("a", [1])])
def test_what_cannot_be_a_key_is_refused_by_every_verb_and_nothing_changes(manager, key):
    manager.set("a", 1)
    verbs = [
        lambda: manager.get(key),
        lambda: manager.set(key, 2),
        lambda: manager.delete(key),
        lambda: manager.get_many(["a", key]),
        lambda: manager.set_many([("a", 2), (key, 2)]),
        lambda: manager.delete_many(["a", key]),
        lambda: manager.set("a", 2, tags=[key]),
        lambda: manager.set("a", 2, depends_on=[key]),
        lambda: manager.get_or_set(key, lambda: 2),
        lambda: manager.explain(key),
    ]
    for verb in verbs:
        with pytest.raises(TypeError):
            verb()
    assert manager.get("a") == 1
    manager._memory.clear()
    assert manager.get("a") == 1


def test_a_manager_of_memory_alone_refuses_the_same_keys():
    manager = CacheManager()
    with pytest.raises(TypeError):
        manager.set(1.5, 1)
    with pytest.raises(TypeError):
        manager.get(frozenset())


def test_a_value_that_cannot_be_stored_is_refused_before_any_tier_has_changed(manager):
    manager.set("a", "old", tags=["t"])
    for refused in (Refused(), [Refused()], lambda: 1):
        with pytest.raises(TypeError, match="cannot store"):
            manager.set("a", refused)
        with pytest.raises(TypeError, match="cannot store"):
            manager.set_many({"b": 1, "a": refused})
        assert manager.get("a") == "old"
        assert manager.get("b") is None
    value = Refused()
    manager.set("a", value, persistent=False)  # memory takes anything
    assert manager.get("a") is value


def test_a_bad_ttl_is_refused_before_any_tier_has_changed(manager):
    manager.set("a", "old")
    for ttl in (-1, 0, float("nan"), float("inf")):
        with pytest.raises(ValueError):
            manager.set("a", "new", ttl=ttl)
    with pytest.raises(TypeError):
        manager.set("a", "new", ttl="soon")
    assert manager.get("a") == "old"
    manager._memory.clear()
    assert manager.get("a") == "old"


def test_a_ttl_ends_a_value_on_every_tier_and_may_be_a_timedelta(manager):
    manager.set("a", 1, ttl=timedelta(milliseconds=80))
    manager.set("b", 1, ttl=0.08, hot=False)
    assert manager.get("a") == manager.get("b") == 1
    time.sleep(0.1)
    assert manager.get("a") is manager.get("b") is None


def test_many_keys_are_asked_for_at_once(manager):
    manager.set_many({number: str(number) for number in range(100)}, ttl=60)
    manager._memory.clear()
    before = manager.stats().tiers["disk"].hits
    assert manager.get_many([5, "none", 7, 5], "-") == ["5", "-", "7", "5"]
    assert manager.get_many(range(100)) == [str(number) for number in range(100)]
    assert (
        manager.stats().tiers["disk"].hits - before == 2 + 1 + 98
    )  # 5 twice in one call; then only the rest
    assert manager.get_many(range(100)) == [str(number) for number in range(100)]
    assert manager.stats().tiers["disk"].hits - before == 101
    assert manager.delete_many([1, 2, "none"]) == 2
    assert manager.get_many([1, 2, 3]) == [None, None, "3"]


def test_namespaces_and_versions_do_not_see_each_other(tmp_path):
    disk = DiskCache(tmp_path, maxbytes="64MB")
    memory = Cache(100)
    spaces = [("", None), ("shop", None), ("shop", 1), ("shop", 2), ("", 1), ("other", "1")]
    managers = [
        CacheManager(memory, disk, namespace=name, version=version, warm_restart=False)
        for name, version in spaces
    ]
    for number, manager in enumerate(managers):
        manager.set("a", number, tags=["t"])
    memory_first = [manager.get("a") for manager in managers]
    memory.clear()
    assert memory_first == [manager.get("a") for manager in managers] == list(range(6))
    managers[2].invalidate_tags("t")
    assert [manager.get("a") for manager in managers] == [0, 1, None, 3, 4, 5]
    managers[3].clear()
    assert [manager.get("a") for manager in managers] == [0, 1, None, None, 4, 5]
    disk.close()


def test_a_manager_without_a_namespace_has_the_keys_of_its_disk(tmp_path):
    with DiskCache(tmp_path, maxbytes="64MB") as disk, CacheManager(disk=disk) as manager:
        manager.set("a", [1])
        assert disk.get("a") == [1]
        disk["b"] = 2
        assert manager.get("b") == 2
        disk["b"] = 3
        disk.flush()
        assert manager.get("b") == 3
        del disk["b"]
        assert manager.get("b") is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        (1, [2]),
        b"x" * 100_000,
        np.arange(10.0),
        ("\x9dperfcore guarded", ((), (), 0, None), 1),
    ],
    ids=repr,
)
def test_values_come_back_as_they_were_with_and_without_conditions(manager, value):
    manager.set("plain", value)
    manager.set("tagged", value, tags=["t"], source="test")
    for _ in range(2):
        for key in ("plain", "tagged"):
            assert manager.has(key)
            assert same(manager.get(key, "none"), value)
        manager._memory.clear()


def test_none_is_a_value(manager):
    manager.set("a", None)
    assert manager.get("a", "none") is None
    assert manager.get_or_set("a", lambda: 1) is None


def test_tiers_may_be_left_out(tmp_path):
    with CacheManager(memory=None, disk={"directory": tmp_path}) as manager:
        manager.set("a", 1, tags=["t"])
        assert manager.get("a") == 1
        manager.invalidate_tags("t")
        assert manager.get("a") is None
    with CacheManager(memory=None) as manager:
        manager.set("a", 1)
        assert manager.get("a") is None
        assert manager.get_or_set("a", lambda: 2) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"memory": 5},
        {"memory": {"max_size": "lots"}},
        {"memory": {"colour": 1}},
        {"memory": {"maxbytes": 1, "max_size": 1}},
        {"disk": "path"},
        {"disk": {"colour": 1}},
        {"namespace": 5},
        {"version": 1.5},
        {"warmup": "boiling"},
    ],
    ids=repr,
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ConfigError):
        CacheManager(**options)


# --- what ends a value --------------------------------------------------------------------------------------


def test_a_tag_ends_all_that_carry_it_on_every_tier(manager):
    for number in range(50):
        manager.set(number, number, tags=["even" if number % 2 == 0 else "odd", "number"], hot=number < 25)
    manager.invalidate_tags("even")
    assert manager.get_many(range(50)) == [None if n % 2 == 0 else n for n in range(50)]
    manager.set(0, "new", tags=["even"])
    assert manager.get(0) == "new"
    manager.invalidate_tags("number", "unknown")
    assert [n for n in manager.get_many(range(50)) if n is not None] == ["new"]


def test_invalidating_one_of_many_tags_ends_only_its_own(manager):
    for number in range(2000):
        manager.set(number, number, tags=[("user", number)])
    for number in range(0, 2000, 2):
        manager.invalidate_tags(("user", number))
    assert [n for n in range(2000) if manager.get(n) == n] == list(range(1, 2000, 2))


@pytest.mark.parametrize("disk", [True, False])
def test_a_key_that_changes_ends_what_depends_on_it_however_far(tmp_path, disk):
    with CacheManager(disk={"directory": tmp_path} if disk else None) as manager:
        for change in (
            lambda: manager.set("a", 2),
            lambda: manager.delete("a"),
            lambda: manager.invalidate("a"),
            lambda: manager.set_many({"a": 3}),
        ):
            manager.set("a", 1)
            manager.set("b", 1, depends_on="a")
            manager.set("c", 1, depends_on=["b", "x"])
            manager.set("d", 1, depends_on=["x"])
            assert manager.get_many("abcd") == [1, 1, 1, 1]
            change()
            assert manager.get_many("bcd") == [None, None, 1]


def test_a_key_that_is_evicted_does_not_end_what_depends_on_it():
    manager = CacheManager({"maxsize": 2, "policy": "lru"})
    manager.set("a", 1)
    manager.set("b", 2, depends_on="a")
    manager.set("c", 3)
    assert (manager.get("a"), manager.get("b")) == (None, 2)
    manager.set("a", 4)
    assert manager.get("b") is None


def test_a_dependency_that_never_was_may_come(manager):
    manager.set("b", 1, depends_on=["a"])
    assert manager.get("b") == 1
    manager.set("a", 1)
    assert manager.get("b") is None


def test_tags_are_inherited_from_what_a_value_depends_on(manager):
    manager.set("a", 1, tags=["t"])
    manager.set("b", 2, depends_on="a")
    manager.invalidate_tags("t")
    assert manager.get("b") is None


def test_keys_that_depend_on_each_other_can_be_set(manager):
    manager.set("a", 1, depends_on=["b"])
    manager.set("b", 2, depends_on=["a"])
    assert manager.get_many("ab") == [None, 2]  # b has changed since a was computed
    manager.set("a", 3, depends_on=["b", "a"])
    assert manager.get_many("ab") == [3, None]


def test_no_value_depends_on_more_than_64_things(manager):
    manager.set("a", "old")
    with pytest.raises(ValueError, match="at most 64"):
        manager.set("a", 1, depends_on=list(range(65)))
    manager.set("many", 1, depends_on=list(range(60)))
    with pytest.raises(ValueError, match="at most 64"):
        manager.set("a", 1, depends_on=["many", *"wxyz"])
    assert manager.get("a") == "old"


@pytest.mark.parametrize("disk", [True, False])
def test_a_file_that_changes_ends_what_depends_on_it(tmp_path, disk):
    file, missing = tmp_path / "file", tmp_path / "missing"
    file.write_text("1")
    options = {"disk": {"directory": tmp_path / "disk"} if disk else None, "check_interval": 0}
    changes = [
        lambda: file.write_text("longer"),
        lambda: os.utime(file, ns=(1, 1)),
        lambda: file.unlink(),
        lambda: file.write_text("back"),
        lambda: missing.write_text("here"),
        lambda: missing.unlink(),
    ]
    with CacheManager(**options) as manager:
        for change in changes:
            manager.set("a", 1, depends_on=[file, missing])
            manager.set("b", 1, depends_on=["a"])
            assert manager.get("a") == manager.get("b") == 1
            change()
            assert manager.get("a") is manager.get("b") is None


def test_a_file_is_looked_at_no_more_often_than_the_interval_says(tmp_path, monkeypatch):
    from perfcore.cache import dependencies

    looks = []
    monkeypatch.setattr(dependencies.os, "stat", lambda path, real=os.stat: looks.append(path) or real(path))
    now = [0.0]
    monkeypatch.setattr(dependencies, "monotonic", lambda: now[0])
    file = tmp_path / "file"
    manager = CacheManager(check_interval=5)
    manager.set("a", 1, depends_on=file)
    for _ in range(10):
        assert manager.get("a") == 1
    assert len(looks) == 1
    file.write_text("1")
    now[0] = 4.9
    assert manager.get("a") == 1
    now[0] = 5
    assert manager.get("a") is None


def test_a_relative_path_is_the_file_that_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("1")
    manager = CacheManager(check_interval=0)
    manager.set("a", 1, depends_on=Path("file"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert manager.get("a") == 1


def test_one_string_is_not_several_tags(manager):
    with pytest.raises(TypeError, match="expected several tags"):
        manager.set("a", 1, tags="ab")


def test_an_invalidation_while_a_value_is_computed_ends_it(manager):
    def compute():
        manager.invalidate_tags("t")
        return "outdated"

    assert manager.get_or_set("a", compute, tags=["t"]) == "outdated"
    assert manager.get("a") is None

    def compute_again():
        manager.set("other", 1)
        return "outdated"

    assert manager.get_or_set("a", compute_again, depends_on=["other"]) == "outdated"
    assert manager.get("a") is None


# --- two managers -------------------------------------------------------------------------------------------


def eventually(check, seconds=5.0):
    limit = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < limit
        time.sleep(0.002)


def test_a_put_reaches_the_memory_of_others_when_it_is_committed(manager, other):
    manager.set("a", 1)
    assert other.get("a") == 1
    manager.set("a", 2)
    manager.flush()
    assert other.get("a") == 2
    other.set("a", 3)
    eventually(lambda: manager.get("a") == 3)


def test_removals_and_tags_reach_the_memory_of_others_at_once(manager, other):
    for key in "abcd":
        manager.set(key, 1, tags=["t"] if key in "cd" else ())
        assert other.get(key) == 1
    manager.delete("a")
    manager.invalidate_tags("t")
    assert [other.get(key) for key in "abcd"] == [None, 1, None, None]
    manager.clear()
    assert other.get("b") is None


def test_a_removal_reaches_what_only_the_memory_of_another_has(manager, other):
    other.set("a", 1, persistent=False)
    manager.delete("a")
    assert other.get("a") is None
    other.set("a", 1, persistent=False)
    manager.set("a", 2)
    manager.flush()
    assert other.get("a") == 2


def test_ones_own_put_stays_in_memory_when_it_is_committed(manager):
    value = [1]
    manager.set("a", value)
    manager.flush()
    assert manager.get("a") is value


def test_who_is_too_far_behind_drops_all_of_its_memory(manager, other):
    other.set("a", 1, persistent=False)
    other.set("b", 1)
    for number in range(100):  # more than the journal keeps
        manager.delete(number)
    assert (other.get("a"), other.get("b")) == (None, 1)


# --- computing ----------------------------------------------------------------------------------------------


def test_a_value_is_computed_once_and_found_after_that(manager):
    calls = []
    for _ in range(3):
        assert manager.get_or_set("a", lambda: calls.append(1) or "value", ttl=60, tags=["t"]) == "value"
    assert len(calls) == 1
    manager.invalidate_tags("t")
    assert manager.get_or_set("a", lambda: "new") == "new"


def test_of_many_threads_one_computes(manager):
    calls = []

    def compute():
        calls.append(1)
        time.sleep(0.05)
        return "value"

    for one in (manager, CacheManager()):
        calls.clear()
        with ThreadPoolExecutor(20) as pool:
            futures = [pool.submit(one.get_or_set, "a", compute) for _ in range(20)]
            assert {future.result() for future in futures} == {"value"}
        assert len(calls) == 1


def test_an_exception_is_not_stored(manager):
    with pytest.raises(ZeroDivisionError):
        manager.get_or_set("a", lambda: 1 / 0)
    assert manager.get_or_set("a", lambda: 1) == 1


def test_a_stale_value_is_served_while_it_is_computed_anew(manager):
    manager.get_or_set("a", lambda: "old", ttl=0.05, stale_ttl=60)
    assert manager.get("a") == "old"
    time.sleep(0.06)
    assert manager.get("a") is None  # stale is not valid
    assert manager.get_or_set("a", lambda: "new", ttl=60, stale_ttl=60) == "old"
    eventually(lambda: manager.get("a") == "new")


def test_a_stale_value_stays_one_on_disk(manager):
    manager.get_or_set("a", lambda: "old", ttl=0.05, stale_ttl=60)
    time.sleep(0.06)
    manager._memory.clear()
    assert manager.get("a") is None
    assert manager.get_or_set("a", lambda: 1 / 0, ttl=1, stale_ttl=60, stale_on_error=True) == "old"


def test_a_stale_value_excuses_a_failure_only_where_asked(manager):
    manager.get_or_set("a", lambda: "old", ttl=0.02, stale_ttl=60)
    time.sleep(0.03)
    options = {"ttl": 60, "stale_ttl": 60, "stale_on_error": True}
    assert manager.get_or_set("a", lambda: 1 / 0, **options) == "old"
    assert manager.get_or_set("a", lambda: "new", **options) == "new"


def test_timeouts(manager):
    manager.get_or_set("a", lambda: "old", ttl=0.02, stale_ttl=60)
    time.sleep(0.03)
    slow = lambda: time.sleep(0.2) or "new"  # noqa: E731
    assert manager.get_or_set("a", slow, ttl=60, stale_ttl=60, soft_timeout=0.02) == "old"
    eventually(lambda: manager.get("a") == "new")  # it went on
    with pytest.raises(TimeoutError):
        manager.get_or_set("b", slow, hard_timeout=0.02)
    eventually(lambda: manager.get("b") == "new")


def test_a_value_is_refreshed_ahead(manager):
    options = {"ttl": 60, "refresh_ahead": 59.99}
    assert manager.get_or_set("a", lambda: 1, **options) == 1
    time.sleep(0.02)
    assert manager.get_or_set("a", lambda: 2, **options) == 1
    eventually(lambda: manager.get("a") == 2)


def test_none_may_have_a_ttl_of_its_own(manager):
    assert manager.get_or_set("a", lambda: None, ttl=60, negative_ttl=0.05) is None
    assert manager.get("a", "none") is None
    time.sleep(0.06)
    assert manager.get("a", "none") == "none"


@pytest.mark.parametrize(
    "options",
    [
        {"stale_ttl": 1},
        {"refresh_ahead": 1},
        {"ttl": 1, "soft_timeout": 1},
        {"ttl": 1, "stale_on_error": True},
        {"ttl": 1, "refresh_ahead": 1},
        {"ttl": 1, "stale_ttl": 1, "soft_timeout": 2, "hard_timeout": 1},
    ],
    ids=repr,
)
def test_options_that_contradict_each_other_are_refused(manager, options):
    with pytest.raises(ValueError):
        manager.get_or_set("a", lambda: 1, **options)
    with pytest.raises(TypeError, match="colour"):
        manager.get_or_set("a", lambda: 1, colour=1)
    assert not manager.has("a")


def test_computing_may_ask_for_other_keys_and_for_its_own(manager):
    def outer():
        return manager.get_or_set("inner", lambda: 1) + manager.get_or_set("outer", lambda: 5)

    assert manager.get_or_set("outer", outer) == 6


def test_an_exception_reaches_every_thread_that_waits(manager):
    calls, start = [], threading.Barrier(8)

    def compute():
        calls.append(1)
        time.sleep(0.1)
        raise ZeroDivisionError

    def ask():
        start.wait()
        with pytest.raises(ZeroDivisionError):
            manager.get_or_set("a", compute)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(ask) for _ in range(8)]:
            future.result()
    assert len(calls) == 1


def test_threads_that_compute_for_each_other_are_found(manager):
    meet = threading.Barrier(2)

    def compute(other):
        meet.wait(5)
        return manager.get_or_set(other, lambda: 1) + 1

    with ThreadPoolExecutor(2) as pool:
        futures = [
            pool.submit(manager.get_or_set, one, lambda other=other: compute(other))
            for one, other in ("ab", "ba")
        ]
        results = [future.result(20) for future in futures]
    assert all(result in (2, 3) for result in results)


def test_refreshes_behind_take_a_bounded_number_of_threads(manager):
    options, gate = {"ttl": 0.02, "stale_ttl": 60}, threading.Event()
    for number in range(100):
        manager.get_or_set(number, lambda: "old", **options)
    time.sleep(0.03)
    before = threading.active_count()
    for number in range(100):
        assert manager.get_or_set(number, lambda: gate.wait(20) and "new", **options) == "old"
    assert threading.active_count() - before <= 16
    gate.set()
    eventually(lambda: not manager._flights.threads.all())


@pytest.mark.parametrize("life", [0.5, None])
def test_none_with_a_ttl_of_its_own_is_refreshed_in_the_same_share_of_it(manager, life):
    calls = []
    options = {"ttl": 100, "refresh_ahead": 50, "negative_ttl": life}
    for _ in range(20):
        assert manager.get_or_set("a", lambda: calls.append(1), **options) is None
    eventually(lambda: not manager._flights.threads.all())
    assert len(calls) == 1
    if life is not None:
        time.sleep(0.3)  # more than half of it
        assert manager.get_or_set("a", lambda: calls.append(1), **options) is None
        eventually(lambda: len(calls) == 2)


# --- functions ----------------------------------------------------------------------------------------------


def test_a_cached_function_is_called_once_for_equal_arguments(manager, other):
    calls = []

    def area(width, height=2, *, unit="m"):
        calls.append((width, height, unit))
        return width * height

    mine, theirs = manager.cached(version=1)(area), other.cached(version=1)(area)
    assert mine(3) == mine(3) == theirs(3) == 6
    assert mine(3, unit="ft") == 6
    assert len(calls) == 2
    assert other.cached(version=2)(area)(3) == 6
    assert len(calls) == 3
    assert mine.__name__ == "area" and mine.__wrapped__ is area
    assert mine.cache_invalidate(3) and not mine.cache_invalidate(3)
    mine(3)
    assert len(calls) == 4


def test_a_cached_function_says_which_argument_is_no_key(manager):
    @manager.cached
    def length(items):
        return len(items)

    with pytest.raises(TypeError, match=r"length\(\) is called with what is no key .* give key="):
        length([1])

    @manager.cached(key=lambda items: len(items), ttl=60, tags=lambda items: [("length", len(items))])
    def total(items):
        return sum(items)

    assert total([1, 2]) == 3
    assert total([5, 6]) == 3
    manager.invalidate_tags(("length", 2))
    assert total([5, 6]) == 11


def test_a_generator_is_not_cached(manager):
    with pytest.raises(TypeError, match="generator"):

        @manager.cached
        def numbers():
            yield 1

    with pytest.raises(TypeError, match="expected a function"):
        manager.cached(5)


async def test_a_cached_coroutine_function(manager):
    calls = []

    @manager.cached(ttl=60)
    async def double(number):
        calls.append(number)
        await asyncio.sleep(0.01)
        return 2 * number

    assert await asyncio.gather(*(double(2) for _ in range(50))) == [4] * 50
    assert calls == [2]


# --- async --------------------------------------------------------------------------------------------------


async def test_all_verbs_have_an_async_form(tmp_path):
    async with CacheManager(disk={"directory": tmp_path}) as manager:
        await manager.aset("a", 1, ttl=60, tags=["t"])
        assert await manager.aget("a") == 1
        await manager.aset_many({"b": 2, "c": 3})
        assert await manager.aget_many(["a", "b", "none"]) == [1, 2, None]
        assert await manager.adelete("b")
        await manager.ainvalidate_tags("t")
        assert await manager.aget("a", "none") == "none"

        async def compute():
            return "computed"

        assert await manager.aget_or_set("d", compute, ttl=5) == "computed"
        manager._memory.clear()
        assert await manager.aget("d") == "computed"
    assert not manager.health()["disk"].ok


async def test_of_many_tasks_one_computes_and_a_cancelled_one_leaves_the_others(manager):
    calls = []

    async def compute():
        calls.append(1)
        await asyncio.sleep(0.05)
        return "value"

    tasks = [asyncio.create_task(manager.aget_or_set("a", compute)) for _ in range(100)]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    tasks[50].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results.count("value") == 98
    assert len(calls) == 1


async def test_an_exception_reaches_every_task_and_is_not_stored(manager):
    async def fail():
        await asyncio.sleep(0.01)
        raise ZeroDivisionError

    results = await asyncio.gather(
        *(manager.aget_or_set("a", fail) for _ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results] == [ZeroDivisionError] * 5
    assert not manager.has("a")


async def test_stale_values_and_timeouts_on_an_event_loop(manager):
    async def give(value, seconds=0.0):
        await asyncio.sleep(seconds)
        return value

    async def fail():
        raise ZeroDivisionError

    assert await manager.aget_or_set("a", lambda: give("old"), ttl=0.02, stale_ttl=60) == "old"
    await asyncio.sleep(0.03)
    excuse = {"ttl": 60, "stale_ttl": 60, "stale_on_error": True}
    assert await manager.aget_or_set("a", fail, **excuse) == "old"
    soft = {"ttl": 60, "stale_ttl": 60, "soft_timeout": 0.01}
    assert await manager.aget_or_set("a", lambda: give("new", 0.05), **soft) == "old"
    await asyncio.sleep(0.08)
    assert await manager.aget("a") == "new"
    with pytest.raises(TimeoutError):
        await manager.aget_or_set("b", lambda: give("late", 0.05), hard_timeout=0.01)
    await asyncio.sleep(0.08)
    assert await manager.aget("b") == "late"


def test_of_tasks_of_many_loops_one_computes(manager):
    calls = []

    async def compute():
        calls.append(1)
        await asyncio.sleep(0.1)
        return "value"

    start = threading.Barrier(5)

    def ask():
        start.wait()
        return asyncio.run(manager.aget_or_set("a", compute))

    with ThreadPoolExecutor(5) as pool:
        futures = [pool.submit(ask) for _ in range(5)]
        assert {future.result(20) for future in futures} == {"value"}
    assert len(calls) == 1


async def test_what_nobody_waits_for_any_more_is_cancelled(manager):
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def compute():
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    task = asyncio.create_task(manager.aget_or_set("a", compute))
    await begun.wait()
    task.cancel()
    await asyncio.wait_for(cancelled.wait(), 5)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_may_ask_for_the_key_that_it_computes(manager):
    async def inner():
        return 1

    async def outer():
        return 1 + await manager.aget_or_set("a", inner)

    assert await asyncio.wait_for(manager.aget_or_set("a", outer), 5) == 2
