"""The parts of the remote tier that need no server, or only to be compared with one."""

import random
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from perfcore.cache import RemoteCache
from perfcore.cache.remote import resolve
from perfcore.cache.remote.recovery import Missed, Recent
from perfcore.cache.remote.resolve import addresses
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.topology import parse_shards, problems
from perfcore.cache.remote.wire import address_in, code_of


def test_slots_are_the_servers(cluster):
    draw = random.Random(1)
    for _ in range(60):
        name = "".join(draw.choices("ab{}:", k=draw.randint(1, 12)))
        assert slot_of(name.encode()) == int(cluster.servers[0].command("cluster", "keyslot", name))


def shard(first, last, *nodes):
    def row(port, role, health):
        return [
            b"id",
            b"x",
            b"port",
            port,
            b"ip",
            b"10.0.0.1",
            b"endpoint",
            b"10.0.0.1",
            b"role",
            role,
            b"health",
            health,
        ]

    return [b"slots", [first, last], b"nodes", [row(*node) for node in nodes]]


WHOLE = [
    shard(0, 8191, (1, b"master", b"online"), (2, b"replica", b"online")),
    shard(8192, 16383, (3, b"master", b"online"), (4, b"replica", b"loading")),
]


def test_a_whole_cluster_is_no_problem():
    topology = parse_shards(WHOLE, ("10.0.0.1", 1))
    assert [member.address[1] for shape in topology.shards for member in shape.members] == [1, 2, 3, 4]
    assert problems(topology, [("10.0.0.1", 1), ("10.0.0.1", 4)], 2) == []


def test_what_is_different_is_said():
    broken = [
        shard(0, 8191, (1, b"master", b"online"), (2, b"replica", b"fail")),
        shard(8192, 16000, (3, b"master", b"online")),
    ]
    found = problems(parse_shards(broken, ("10.0.0.1", 1)), [("10.0.0.1", 9)], 2)
    assert found == [
        "replication_factor 2 asks for 1 replica of each primary; 10.0.0.1:1 has 0, 10.0.0.1:3 has 0",
        "383 of 16384 slots have no server",
        "not part of the cluster: 10.0.0.1:9",
    ]


def test_a_server_that_does_not_know_its_name_is_where_it_was_asked():
    reply = [
        [
            b"slots",
            [0, 16383],
            b"nodes",
            [[b"port", 1, b"endpoint", None, b"role", b"master", b"health", b"online"]],
        ]
    ]
    (shape,) = parse_shards(reply, ("host", 5)).shards
    assert shape.members[0].address == ("host", 1)


def test_maps_of_the_newer_protocol_are_read_too():
    node = {"port": 1, "tls-port": 2, "endpoint": "h", "role": "master", "health": "online"}
    reply = [{b"slots": [0, 16383], b"nodes": [node]}]
    assert parse_shards(reply, ("a", 9), tls=True).shards[0].members[0].address == ("h", 2)


@pytest.mark.parametrize(
    "reply", [7, b"OK", [1], [[b"slots"]], [[b"slots", [1, 2]]], [[b"slots", 1, b"nodes", 2]]]
)
def test_what_is_no_topology_is_refused(reply):
    with pytest.raises(ValueError, match=r"."):
        parse_shards(reply, ("host", 5))


def test_redirections_are_read_from_any_library():
    assert address_in(ValueError("MOVED 5 10.0.0.7:6380")) == ("10.0.0.7", 6380)
    assert address_in(ValueError("ASK 5 [::1]:6380")) == ("::1", 6380)
    assert address_in(ValueError("MOVED nonsense")) is None
    assert code_of(type("OutOfMemoryError", (Exception,), {})("command not allowed")) == "OOM"


def test_missed_changes_are_bounded_and_the_oldest_are_told_first():
    missed = Missed(most=3)
    assert not missed.note([b"a", b"b"], [b"t"])
    assert not missed.note([b"a"], [])
    assert missed.some(1) == ([b"a"], [b"t"])
    missed.settle([b"a"], [])
    assert missed.some(9) == ([b"b"], [b"t"])
    assert missed.note([b"c", b"d"], [])
    assert (len(missed), missed.overflows) == (0, 1)


@pytest.fixture
def lookups(monkeypatch):
    """The system's resolver, as a table that a test fills, where a look-up can take its time."""
    table, gate, asked, real = {}, threading.Event(), [], socket.getaddrinfo
    gate.set()

    def getaddrinfo(host, *rest, **options):
        if host.startswith("127."):
            return real(host, *rest, **options)
        asked.append(host)
        assert gate.wait(30)
        if host not in table:
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in table[host]]

    monkeypatch.setattr(resolve.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(resolve, "_names", {})
    yield SimpleNamespace(table=table, gate=gate, asked=asked)
    gate.set()


def test_addresses_of_a_name_are_remembered(lookups):
    lookups.table["cache.test"] = ["10.0.0.1", "10.0.0.2", "10.0.0.1"]
    for _ in range(3):
        assert addresses("cache.test", time.monotonic() + 5) == ["10.0.0.1", "10.0.0.2"]
    assert addresses("::1", 0) == ["::1"]
    assert lookups.asked == ["cache.test"]


def test_a_resolver_that_hangs_is_waited_for_until_the_deadline_by_one_thread(lookups):
    lookups.table["cache.test"] = ["10.0.0.1"]
    lookups.gate.clear()
    for _ in range(3):
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            addresses("cache.test", begin + 0.05)
        assert time.monotonic() - begin < 5
    assert lookups.asked == ["cache.test"]
    lookups.gate.set()
    assert addresses("cache.test", time.monotonic() + 5) == ["10.0.0.1"]


def test_an_older_address_is_used_while_there_is_no_newer_one(lookups, monkeypatch):
    monkeypatch.setattr(resolve, "_FRESH", 0.0)
    monkeypatch.setattr(resolve, "_PATIENCE", 0.01)
    lookups.table["cache.test"] = ["10.0.0.1"]
    assert addresses("cache.test", time.monotonic() + 5) == ["10.0.0.1"]
    del lookups.table["cache.test"]  # the answer is an error
    assert addresses("cache.test", time.monotonic() + 5) == ["10.0.0.1"]
    lookups.gate.clear()  # there is no answer
    assert addresses("cache.test", time.monotonic() + 5) == ["10.0.0.1"]
    with pytest.raises(OSError, match=r"no such name|no address"):
        addresses("other.test", time.monotonic() + 0.05)


def test_a_name_whose_look_up_hangs_is_a_miss_in_time(lookups):
    lookups.gate.clear()
    with RemoteCache("redis://cache.test:1", timeout=0.1) as cache:
        begin = time.monotonic()
        assert cache.get("key", "none") == "none"
        assert time.monotonic() - begin < 5


def test_a_cache_finds_its_server_by_name_at_the_second_of_two_addresses(lookups, server):
    lookups.table["cache.test"] = ["127.0.0.9", "127.0.0.1"]  # the server is bound to the other one
    with RemoteCache(f"redis://cache.test:{server.port}", prefix="named", timeout=5) as cache:
        cache["key"] = 1
        assert cache["key"] == 1


def test_what_was_written_again_is_not_removed_after_a_failover():
    recent = Recent()
    recent.note([b"a", b"b"], [b"t", b"t"])
    recent.written(b"a")
    assert recent.names() == ([b"b"], [b"t"])
