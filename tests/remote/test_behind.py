"""Writes behind: callers do not wait for servers, and yet nobody is told what is not so."""

import asyncio
import threading
import time
from itertools import count

import pytest
from effort import effort
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_servers import Server, wait_until
from remote.load import Noise
from remote.proxies import Proxy

from perfcore.cache import CacheManager, RemoteCache
from perfcore.cache.remote import behind as module
from perfcore.cache.remote.behind import Behind, Write

_numbers = count()


def write(key, value=b"value"):
    return Write(key, b"own " + key, (0, value), None, 0.0)


class Servers:
    """Stands for servers: what was stored, in order, with a gate before it."""

    def __init__(self):
        self.gate, self.begun, self.stored, self.told, self.late = threading.Event(), 0, [], [], []
        self.gate.set()

    def store(self, batch):
        self.begun += 1
        assert self.gate.wait(30)
        self.stored += [("epoch", None)] * batch.too_many + [(key, None) for key in batch.dropped]
        self.stored += [(one.key, one.prepared[1]) for one in batch.writes]

    def behind(self):
        return Behind(self.store, lambda batch: self.told.append(batch.keys), self.late.extend)


@pytest.fixture
def servers():
    servers = Servers()
    yield servers
    servers.gate.set()


def test_the_last_value_of_a_key_is_the_last_one_stored_and_is_read_all_the_time(servers):
    behind = servers.behind()
    servers.gate.clear()
    for number in range(100):
        behind.put([write(b"a", b"%d" % number), write(b"b%d" % number)])
        assert behind.get(b"a").prepared[1] == b"%d" % number
    servers.gate.set()
    assert behind.flush(30)
    assert [value for key, value in servers.stored if key == b"a"][-1] == b"99"
    assert len([key for key, _ in servers.stored if key == b"a"]) <= 3  # others were overwritten on the way
    assert behind.get(b"a") is None
    assert len(behind) == 0
    assert sum(map(len, servers.told)) == len(servers.stored)


def test_what_is_removed_does_not_come_back(servers):
    behind = servers.behind()
    servers.gate.clear()
    behind.put([write(b"flying")])
    wait_until(lambda: servers.begun, "a write under way")
    behind.put([write(b"waiting")])
    assert behind.settle([b"waiting"], time.monotonic() + 5)
    assert behind.get(b"waiting") is None
    assert not behind.settle([b"flying"], time.monotonic() + 0.02)  # it cannot be stopped
    servers.gate.set()
    assert behind.flush(30)
    assert [key for key, _ in servers.stored] == [b"flying"]
    assert servers.late == [b"flying"]  # so it is removed afterwards


def test_too_much_drops_the_oldest_values_and_their_keys_are_removed(servers, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 10)
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    behind = servers.behind()
    servers.gate.clear()
    behind.put([write(b"first")])
    wait_until(lambda: servers.begun, "a write under way")
    behind.put([write(b"%d" % number) for number in range(15)])
    assert behind.dropped == 5
    assert behind.get(b"0") is False  # known to be nowhere
    assert behind.get(b"5").prepared[1] == b"value"
    behind.put([write(b"large", bytes(2000))])  # by itself more than there is room for
    assert behind.dropped == 15
    behind.put([write(b"0", b"again")])
    servers.gate.set()
    assert behind.flush(30)
    last = dict(servers.stored)
    assert last[b"0"] == b"again"
    assert [last[b"%d" % number] for number in range(1, 15)] == [None] * 14


def test_too_many_dropped_names_end_everything_first(servers, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 2)
    monkeypatch.setattr(module, "_MOST_DROPPED", 3)
    behind = servers.behind()
    servers.gate.clear()
    behind.put([write(b"first")])
    wait_until(lambda: servers.begun, "a write under way")
    behind.put([write(b"%d" % number) for number in range(6)])
    servers.gate.set()
    assert behind.flush(30)
    assert servers.stored[1] == ("epoch", None)
    assert set(servers.stored[2:]) == {(b"4", b"value"), (b"5", b"value")}


def test_what_others_have_changed_meanwhile_is_asked_of_the_server(servers):
    behind = servers.behind()
    servers.gate.clear()
    behind.put([write(b"flying")])
    wait_until(lambda: servers.begun, "a write under way")
    behind.put([write(b"waiting")])
    behind.others([b"flying", b"waiting"])
    assert behind.get(b"flying") is None  # which came last is not known here
    assert behind.get(b"waiting") is not None  # this one will be the last
    assert behind.is_unsure([b"flying"]) and not behind.is_unsure([b"waiting", b"unknown"])
    behind.land([b"flying"], time.monotonic() + 0.01)  # not for longer
    assert behind.is_unsure([b"flying"])
    threading.Timer(0.05, servers.gate.set).start()
    behind.land([b"flying"], time.monotonic() + 30)
    assert (b"flying", b"value") in servers.stored
    assert behind.flush(30)


def test_a_failing_server_does_not_end_the_thread(servers):
    failing = Behind(lambda batch: 1 / 0, lambda batch: 1 / 0, servers.late.extend)
    for _ in range(3):
        failing.put([write(b"key")])
        assert failing.flush(30)


def test_a_thread_that_is_not_needed_ends_and_begins_anew(servers, monkeypatch):
    monkeypatch.setattr(module, "_IDLE", 0.01)
    behind = servers.behind()
    for number in range(3):
        behind.put([write(b"%d" % number)])
        wait_until(lambda: behind._thread is None, "the end of the thread")
    assert len(servers.stored) == 3


# --- managers -----------------------------------------------------------------------------------------------


@pytest.fixture
def slow(tmp_path):
    """A server behind a proxy whose answers take 0.15 s each way."""
    server = Server(tmp_path)
    proxy = Proxy(server.port, delay=0.15)
    yield proxy
    proxy.close()
    server.close()


def test_a_slow_server_holds_up_no_set_and_no_read_of_what_was_set(slow):
    with CacheManager(memory=None, remote={"url": slow.url, "timeout": 5}) as one:
        one.set("warm", 1)
        one.flush()
        slow.mode = "slow"
        begin = time.perf_counter()
        for number in range(50):
            one.set(number, {"number": number}, ttl=100)
            assert one.get(number) == {"number": number}
        assert time.perf_counter() - begin < 5  # with a round trip each: 15 s
        assert one.stats().tiers["remote"].behind > 0
        assert one.get_many(range(50)) == [{"number": number} for number in range(50)]
        assert one.explain(3).below["remote"] <= 100
        assert one.delete(7)
        assert one.get(7) is None
        one.flush()
        slow.mode = "pass"
        assert one.stats().tiers["remote"].behind == 0
        assert one.get_many(range(50)) == [None if n == 7 else {"number": n} for n in range(50)]


async def test_a_value_that_others_may_have_changed_on_its_way_is_asked_for_when_it_is_there(slow):
    one = CacheManager(memory=None, remote={"url": slow.url, "timeout": 30})
    tier = one._below[-1]
    one.set("warm", 1, distributed="sync")
    slow.mode = "slow"
    for number in range(4):
        one.set("key", number)
        wait_until(lambda: tier.behind._flying, "the value being on its way")
        tier.behind.others(None)  # what news of a lost message say
        if number % 2:
            assert await one.aget("key") == number
            assert await one.aget_many(["key"]) == [number]
        else:
            assert one.get("key") == number
            assert one.get_many(["key"]) == [number]
    slow.mode = "pass"
    await one.aclose()


@pytest.fixture
def manager(where):
    prefix, managers = f"behind{next(_numbers)}", []

    def make(memory=None, **options):
        remote = {"prefix": prefix, "timeout": 5, "backplane": 0.2} | where | options
        managers.append(CacheManager(memory=memory, remote=remote))
        return managers[-1]

    yield make
    for one in managers:
        one.close()


def test_who_wants_to_wait_waits_for_one_value_or_for_all(manager):
    one, other, waiting = manager(), manager(), manager(behind=False)
    for number in range(30):
        one.set("key", number, distributed="sync")
        assert other.get("key") == number
        waiting.set("key", -number)
        assert other.get("key") == -number
    with pytest.raises(ValueError, match="sync"):
        one.set("key", 1, distributed="now")


def test_a_value_that_is_set_and_waited_for_is_not_overwritten_by_one_before_it(manager):
    one, other = manager(), manager()
    for number in range(200):
        one.set("key", ("behind", number))
        one.set("key", ("sync", number), distributed="sync")
        assert other.get("key") == ("sync", number)


def test_what_depends_on_a_key_ends_with_set_not_when_that_is_written(manager):
    one = manager(memory=True)
    for number in range(50):
        one.set("base", number)
        one.set("dependent", number, depends_on=["base"])
        assert one.get("dependent") == number
        one.set("base", -1)
        assert one.get("dependent") is None


def test_clear_and_removals_hold_against_what_was_waiting(manager):
    one, other = manager(), manager()
    for number in range(50):
        one.set_many({"a": number, "b": number, "c": number})
        one.delete_many("ab")
        assert other.get_many("ab") == [None, None]
    one.set("c", 1)
    one.clear()
    one.flush()
    time.sleep(0.05)
    assert one.get("c") is None


steps = st.lists(
    st.tuples(
        st.sampled_from(["set", "sync", "tagged", "delete", "move", "many", "clear", "flush", "out"]),
        st.sampled_from("abc"),
        st.integers(0, 9),
    )
)


@settings(max_examples=effort(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_a_manager_that_writes_behind_behaves_as_a_dict(manager, steps):
    managers = [manager(), manager(memory=True)]
    for one in managers:
        one.clear()
        model, tagged = {}, set()
        for verb, key, value in steps:
            if verb in {"set", "sync", "tagged", "out"}:
                distributed = {"sync": "sync", "out": False}.get(verb)
                one.set(key, value, distributed=distributed, tags=["t"] if verb == "tagged" else ())
                model[key] = value
                tagged.discard(key)
                if verb == "tagged":
                    tagged.add(key)
                if verb == "out" and one is managers[0]:  # no memory: then it is nowhere
                    del model[key]
            elif verb == "delete":
                one.delete(key)
                model.pop(key, None)
            elif verb == "move":
                one.invalidate_tags("t")
                for name in tagged:
                    model.pop(name, None)
                tagged.clear()
            elif verb == "many":
                one.set_many({key: value, "d": value})
                model |= {key: value, "d": value}
                tagged.discard(key)
            elif verb == "clear":
                one.clear()
                model.clear()
            else:
                one.flush()
            assert one.get_many("abcd") == [model.get(name) for name in "abcd"]
        one.flush()
        assert one.get_many("abcd") == [model.get(name) for name in "abcd"]
        one.close()


def test_threads_that_set_and_delete_one_key_leave_memory_and_server_agreed(manager):
    one = manager(memory=True)

    def hammer(seed):
        for number in range(effort(150)):
            if (number + seed) % 5 == 0:
                one.delete("key")
            else:
                one.set("key", (seed, number))
            one.get("key")

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    near = one.get("key")
    one.flush()
    assert manager().get("key") == near


def test_a_plain_cache_with_a_backplane_tells_managers(manager, where):
    one = manager(memory=True)
    wait_until(lambda: one.health()["remote"].ok, "news arriving")
    prefix = one._below[-1].cache._prefix
    with RemoteCache(prefix=prefix, timeout=5, backplane=True, **where) as plain:
        one.set("key", 1, distributed="sync")
        one.set("tagged", 1, tags=["t"], distributed="sync")
        one.set("dependent", 1, depends_on=["key"], distributed="sync")
        plain.set("key", 2)
        plain.invalidate_tags("t")
        names = ["key", "tagged", "dependent"]
        wait_until(lambda: one.get_many(names) == [2, None, None], "the news")
        plain.delete("key")
        wait_until(lambda: one.get("key") is None, "the news")
        one.set("key", 3, distributed="sync")
        plain.clear()
        wait_until(lambda: one.get("key") is None, "the news")


# --- event loops --------------------------------------------------------------------------------------------


async def test_an_event_loop_asks_servers_without_a_thread(manager, monkeypatch):
    one, other = manager(memory=True), manager(memory=True)
    wait_until(lambda: one.health()["remote"].ok, "news arriving")
    await one.aset("first", 0, distributed="sync")  # finds out the topology, which may take a thread

    def refuse(*arguments, **options):
        raise AssertionError("a thread")

    async def load():
        return 7

    with monkeypatch.context() as without:
        without.setattr(asyncio, "to_thread", refuse)
        without.setattr("perfcore.cache.remote.drive.ask", refuse)
        without.setattr("perfcore.cache.remote.tier.run", refuse)
        without.setattr("perfcore.cache.remote.lease.run", refuse)
        await one.aset("key", 1, tags=["t"], distributed="sync")
        await one.aset_many({"a": 1, "b": 2}, distributed="sync")
        await one.aset("dependent", 3, depends_on=["a"], distributed="sync")
        assert await one.aget_many(["a", "b", "dependent"]) == [1, 2, 3]
        one._memory.clear()
        assert await one.aget_many(["key", "a", "b", "dependent"]) == [1, 1, 2, 3]
        one._memory.clear()
        assert await one.aget("key") == 1
        assert await one.aget_or_set("computed", load, tags=["t"]) == 7
        await one.ainvalidate_tags("t")
        assert await one.aget("key") is None
        assert await one.adelete("a")
        assert await one.aget("a") is None
        assert await one.aget("dependent") is None
    await one.aclose()
    await other.aclose()


async def test_a_slow_server_does_not_stop_the_event_loop(slow):
    one = CacheManager(memory=None, remote={"url": slow.url, "timeout": 5, "lease": 10})
    await one.aset("key", 1, distributed="sync")
    slow.mode = "slow"
    longest, done = 0.0, False

    async def beat():
        nonlocal longest
        while not done:
            begin = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - begin)

    async def load():
        return "loaded"

    with Noise() as noise:
        heart = asyncio.create_task(beat())
        assert await one.aget("key") == 1
        await one.aset("tagged", 1, tags=["t"], distributed="sync")
        await one.ainvalidate_tags("t")
        assert await one.adelete("key")
        assert await one.aget_or_set("computed", load) == "loaded"
        done = True
        await heart
    slow.mode = "pass"
    await one.aclose()
    assert longest < 0.14 + 2 * noise.longest  # an answer takes 0.15 s
