"""Managers in several processes with a remote tier: what one changes, the others no longer serve."""

import threading
import time
from itertools import count

import pytest
from redis_servers import wait_until

from perfcore import PerformanceManager
from perfcore.cache import CacheManager, RemoteCache
from perfcore.cache.remote.drive import ask
from perfcore.cache.remote.wire import Ask

_numbers = count()


@pytest.fixture
def manager(where):
    """Makes managers that share a prefix of their own; each is as good as a process."""
    prefix, managers = f"tier{next(_numbers)}", []

    def make(disk=None, **options):
        remote = {"prefix": prefix, "timeout": 5, "backplane": 0.2} | where | options
        managers.append(CacheManager(disk=disk, remote=remote))
        wait_until(lambda: managers[-1].health()["remote"].ok, "news arriving")
        return managers[-1]

    yield make
    for one in managers:
        one.close()


def backplane(manager):
    return manager._below[-1].backplane


def in_step(manager, *writers):
    """Wait until a manager has heard all that ``writers`` have said."""
    for writer in writers:
        writer.flush()
    listening = backplane(manager)
    get = Ask(listening._slot, (b"GET", listening._counter))

    def heard():
        (said,) = ask(listening._router, [get], time.monotonic() + 5)
        return int(said) == listening._seen

    wait_until(heard, "the news")


@pytest.fixture
def pair(manager):
    return manager(), manager()


def test_what_one_sets_the_other_gets_and_keeps_in_memory(pair):
    one, other = pair
    one.set("key", {"a": (1, 2)})
    in_step(other, one)
    assert other.get("key") == {"a": (1, 2)}
    before = other.stats().tiers["remote"].hits
    assert other.get("key") == {"a": (1, 2)}
    assert other.stats().tiers["remote"].hits == before
    assert other.get_many(["key", "none"], 0) == [{"a": (1, 2)}, 0]


def test_changes_reach_what_others_hold_in_memory(pair):
    one, other = pair
    one.set_many({"a": 1, "b": 1}, distributed="sync")
    assert other.get_many("ab") == [1, 1]
    one.set("a", 2)
    one.delete("b")
    wait_until(lambda: other.get_many("ab") == [2, None], "the news")


def test_tags_and_dependencies_end_in_all_processes(pair):
    one, other = pair
    one.set("tagged", 1, tags=["t"])
    one.set("base", 1)
    one.set("dependent", 2, depends_on=["base"])
    one.flush()
    assert other.get_many(["tagged", "base", "dependent"]) == [1, 1, 2]
    other.invalidate_tags("t")
    assert other.get("tagged") is None
    other.set("base", 3, distributed="sync")
    assert other.get("dependent") is None
    wait_until(lambda: one.get_many(["tagged", "base", "dependent"]) == [None, 3, None], "the news")
    one.set("tagged", 4, tags=["t"])
    wait_until(lambda: other.get("tagged") == 4, "the news")


def test_clear_reaches_everybody(pair):
    one, other = pair
    one.set("key", 1, distributed="sync")
    assert other.get("key") == 1
    one.clear()
    assert one.get("key") is None
    wait_until(lambda: other.get("key") is None, "the news")


def test_the_disk_of_others_is_kept_right_too(manager, tmp_path):
    one, other = (
        manager(disk={"directory": tmp_path / "one"}),
        manager(disk={"directory": tmp_path / "other"}),
    )
    one.set("key", 1, tags=["t"])
    one.set("plain", 1)
    one.flush()
    assert other.get_many(["key", "plain"]) == [1, 1]
    other.flush()
    one.set("plain", 2)
    one.invalidate_tags("t")
    wait_until(lambda: other.get_many(["key", "plain"]) == [None, 2], "the news")


def test_a_message_that_is_lost_is_noticed_and_everything_is_dropped(pair):
    one, other = pair
    one.set("key", 1)
    in_step(other, one)
    assert other.get("key") == 1
    listening = backplane(other)
    listening._take, taken = lambda message: None, listening._take  # the network loses them
    one.set("key", 2)
    wait_until(lambda: other.get("key") == 2, "the repair")
    assert listening.gaps == 1
    listening._take = taken


def test_a_gap_in_the_numbers_is_noticed_with_the_next_message(pair):
    one, other = pair
    one.set("key", 1)
    in_step(other, one)
    assert other.get("key") == 1
    wait_until(lambda: backplane(other)._seen is not None, "the first look")
    backplane(other)._seen -= 1
    one.set("something else", 2)
    wait_until(lambda: backplane(other).gaps == 1, "the gap")


def test_a_listener_that_was_cut_off_learns_that_something_was_said(pair):
    one, other = pair
    one.set("key", 1)
    in_step(other, one)
    assert other.get("key") == 1
    listening = backplane(other)
    cuts, listening._take = listening.cuts, None  # whatever comes ends the connection
    one.set("key", 2)
    wait_until(lambda: listening.cuts > cuts, "the cut")
    del listening._take
    wait_until(lambda: other.get("key") == 2, "the repair")
    assert listening.gaps >= 1


def test_plain_remote_caches_and_managers_can_share_a_server(pair, where):
    one, _ = pair
    prefix = one._below[-1].cache._prefix
    with RemoteCache(prefix=prefix, timeout=5, **where) as cache:
        one.set("key", 1, distributed="sync")
        assert cache.get("key") == 1


def test_what_was_begun_before_an_invalidation_does_not_outlive_it(pair):
    one, other = pair

    def load():
        other.invalidate_tags("t")
        return "computed from old data"

    assert one.get_or_set("key", load, tags=["t"]) == "computed from old data"
    wait_until(lambda: one.get("key") is None, "its end")
    assert other.get("key") is None


def test_readers_never_see_an_older_value_than_before(pair):
    one, other = pair
    one.set("counter", 0, distributed="sync")
    seen, done = [], threading.Event()

    def read():
        while not done.is_set():
            seen.append(other.get("counter"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 200):
        one.set("counter", number)
    wait_until(lambda: other.get("counter") == 199, "the last news")
    done.set()
    reader.join()
    assert seen == sorted(seen)


def test_a_configuration_names_the_cluster(cluster):
    layers = {"distributed": {"nodes": cluster.nodes, "replication_factor": 2, "ttl": 60}}
    with (
        PerformanceManager(caching={"layers": layers}) as one,
        PerformanceManager(caching={"layers": layers}) as other,
    ):
        one.cache.set("configured", 1, distributed="sync")
        assert other.cache.get("configured") == 1
        assert 0 < other.cache.explain("configured").below["remote"] <= 60
        one.cache.delete("configured")


def test_of_many_processes_that_miss_at_once_one_computes(manager):
    managers, computed = [manager(lease=10) for _ in range(4)], []

    def load():
        computed.append(1)
        time.sleep(0.2)
        return "value"

    found = []
    threads = [
        threading.Thread(target=lambda one=one: found.append(one.get_or_set("key", load))) for one in managers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, len(computed)) == (["value"] * 4, 1)


def test_the_lease_of_a_dead_leader_passes_on_and_fences_its_late_result(manager):
    dead, other = manager(lease=0.3), manager(lease=0.3)
    begun, go_on = threading.Event(), threading.Event()

    def hang():
        begun.set()
        go_on.wait(30)
        return "too late"

    late = []
    thread = threading.Thread(target=lambda: late.append(dead.get_or_set("key", hang)))
    thread.start()
    begun.wait(30)
    assert other.get_or_set("key", lambda: "newer") == "newer"
    go_on.set()
    thread.join()
    assert late == ["too late"]  # its caller gets it, and nobody else
    assert manager().get("key") == "newer"


def test_without_a_server_the_lease_is_no_obstacle():
    with CacheManager(remote={"url": "redis://127.0.0.1:1", "timeout": 0.05, "lease": 5}) as alone:
        assert alone.get_or_set("key", lambda: 7) == 7


async def test_on_an_event_loop(pair):
    one, other = pair
    await one.aset("key", 1, tags=["t"], distributed="sync")
    assert await other.aget("key") == 1
    await one.ainvalidate_tags("t")
    assert await one.aget("key") is None
    assert await one.aget_or_set("key", lambda: _loaded(7)) == 7
    one.flush()
    assert await other.aget("key") == 7
    await one.aclose()
    await other.aclose()


async def _loaded(value):
    return value
