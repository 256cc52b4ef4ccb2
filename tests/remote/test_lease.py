"""Leases: of all processes that miss on a key one computes, whatever happens to it."""

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest
from redis_servers import wait_until

from perfcore.cache import CacheManager
from perfcore.cache.keys import encode_key
from perfcore.cache.remote.drive import ask
from perfcore.cache.remote.lease import lease_name
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.wire import Ask

ACTORS = Path(__file__).with_name("actors.py")
_numbers = count()


@contextmanager
def process(*arguments):
    with subprocess.Popen(
        [sys.executable, str(ACTORS), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def say(process, text):
    process.stdin.write(text + "\n")
    process.stdin.flush()


@pytest.fixture
def manager(where):
    prefix, managers = f"lease{next(_numbers)}", []

    def make(**options):
        remote = {"prefix": prefix, "timeout": 5, "lease": 10} | where | options
        managers.append(CacheManager(remote=remote))
        return managers[-1]

    yield make
    for one in managers:
        one.close()


def test_four_processes_that_miss_at_once_compute_once(server):
    with ExitStack() as stack:
        arguments = ("compute_in_turn", server.url, f"processes{next(_numbers)}", 10, 0.3)
        processes = [stack.enter_context(process(*arguments)) for _ in range(4)]
        for each in processes:
            assert each.stdout.readline() == "ready\n"
        for key in ("a", "b"):
            for each in processes:
                say(each, key)
            said = [each.stdout.readline() for each in processes]
            leaders = [one for one, line in zip(processes, said, strict=True) if line == "computing\n"]
            assert [leader.stdout.readline() for leader in leaders] == ["value 1\n"]
            assert sorted(said) == ["computing\n"] + ["value 0\n"] * 3


def test_the_turn_of_a_killed_process_passes_on(server):
    with ExitStack() as stack:
        prefix, life = f"processes{next(_numbers)}", 1.0
        leader = stack.enter_context(process("compute_in_turn", server.url, prefix, life, 60))
        others = [
            stack.enter_context(process("compute_in_turn", server.url, prefix, life, 0.1)) for _ in range(2)
        ]
        for each in (leader, *others):
            assert each.stdout.readline() == "ready\n"
        say(leader, "key")
        assert leader.stdout.readline() == "computing\n"
        begin = time.monotonic()
        for each in others:
            say(each, "key")
        leader.kill()
        said = [[each.stdout.readline()] for each in others]
        assert time.monotonic() - begin >= life / 2  # they waited for it
        for each, lines in zip(others, said, strict=True):
            if lines == ["computing\n"]:
                lines.append(each.stdout.readline())
        assert sorted(said) == [["computing\n", "value 1\n"], ["value 0\n"]]


@pytest.mark.parametrize("how", ["sync", "async"])
async def test_a_lease_that_passes_on_while_its_value_is_computed_fences_it(manager, how):
    one, other = manager(), manager()
    leases = one._below[-1].leases

    def steal():
        entry = leases._store.names.key(leases._store.epoch.current, encode_key("key"))
        name = lease_name(leases._store.names.lease, entry)
        (reply,) = ask(
            leases._store.router,
            [Ask(slot_of(name), (b"SET", name, b"another's token"))],
            time.monotonic() + 5,
        )
        assert reply == b"OK"
        return "late"

    async def asteal():
        return steal()

    found = one.get_or_set("key", steal) if how == "sync" else await one.aget_or_set("key", asteal)
    assert found == "late"  # its caller gets it, and nobody else: not even this process's memory
    assert one.get("key") is None
    assert other.get("key") is None
    assert one.stats().tiers["remote"].writes == 0
    await one.aclose()


def test_a_lease_stands_in_the_slot_of_its_entry_so_that_one_script_can_ask_both(manager):
    one, other = manager(), manager()
    for key in ("plain", "{tag}x", "open{", "}{", "", b"\x00}{", "x" * 500, ("a", 1)):
        assert one.get_or_set(key, lambda: "computed") == "computed"
        assert other.get(key) == "computed"
        assert other.get_or_set(key, lambda: "again") == "computed"
    assert one.stats().tiers["remote"].rejections == 0


def test_an_exception_gives_the_turn_back_at_once(manager):
    one, other = manager(), manager()
    with pytest.raises(ZeroDivisionError):
        one.get_or_set("key", lambda: 1 // 0)
    begin = time.monotonic()
    assert other.get_or_set("key", lambda: 7) == 7
    assert time.monotonic() - begin < 5


async def test_tasks_of_several_managers_compute_once_and_a_cancelled_one_passes_its_turn_on(manager):
    managers, computed = [manager() for _ in range(3)], []

    async def load():
        computed.append(1)
        await asyncio.sleep(0.1)
        return "value"

    found = await asyncio.gather(*(one.aget_or_set("key", load) for one in managers))
    assert (found, len(computed)) == (["value"] * 3, 1)

    async def hang():
        computed.append(2)
        await asyncio.sleep(60)

    task = asyncio.create_task(managers[0].aget_or_set("other", hang))
    while computed[-1] != 2:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.wait_for(managers[1].aget_or_set("other", load), 5) == "value"
    for one in managers:
        await one.aclose()


@pytest.mark.parametrize("how", ["exit", "fork"])
def test_what_a_process_has_set_is_stored_although_it_closes_nothing(server, how):
    prefix = f"processes{next(_numbers)}"
    with process("set_and_end", server.url, prefix, how) as other:
        assert other.wait(30) == 0
    with CacheManager(remote={"url": server.url, "prefix": prefix, "timeout": 5}) as one:
        wait_until(lambda: one.get("key") == "last words", "the value")
