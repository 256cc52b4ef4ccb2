"""The parts of the remote tier that need no server, or only to be compared with one."""

import random

import pytest

from perfcore.cache.remote.recovery import Missed, Recent
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


def test_what_was_written_again_is_not_removed_after_a_failover():
    recent = Recent()
    recent.note([b"a", b"b"], [b"t", b"t"])
    recent.written(b"a")
    assert recent.names() == ([b"b"], [b"t"])
