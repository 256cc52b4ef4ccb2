"""Who serves what: the shards of a cluster as it describes itself, held against what was configured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from perfcore.cache.remote.slots import SLOTS

__all__ = ["Address", "Member", "Shape", "Topology", "parse_shards", "problems"]

Address: TypeAlias = tuple[str, int]


class Member(NamedTuple):
    """One server; ``healthy`` unless its cluster takes it for dead."""

    address: Address
    primary: bool
    healthy: bool = True


class Shape(NamedTuple):
    """One shard: the ranges of slots it serves, and its servers."""

    ranges: tuple[tuple[int, int], ...]
    members: tuple[Member, ...]


class Topology(NamedTuple):
    """The shards of a cluster, or the one server that is no cluster."""

    shards: tuple[Shape, ...]
    cluster: bool

    def addresses(self) -> list[Address]:
        """Return where all servers are."""
        return [member.address for shard in self.shards for member in shard.members]


def parse_shards(reply: Any, asked: Address, *, tls: bool = False) -> Topology:
    """Return the topology in an answer to CLUSTER SHARDS by the server ``asked``.

    A server that does not know its own name is where it was asked. Raises :exc:`ValueError` for anything
    that is no such answer.
    """
    try:
        shards = tuple(_shard(_table(shard), asked, tls) for shard in reply)
    except (TypeError, KeyError, IndexError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError("no answer to CLUSTER SHARDS") from error
    return Topology(tuple(shard for shard in shards if shard.ranges), cluster=True)


def _shard(table: dict[str, Any], asked: Address, tls: bool) -> Shape:
    bounds = [int(bound) for bound in table["slots"]]
    members = [_member(_table(node), asked, tls) for node in table["nodes"]]
    return Shape(tuple(zip(bounds[::2], bounds[1::2], strict=True)), tuple(members))


def _member(node: dict[str, Any], asked: Address, tls: bool) -> Member:
    host = _text(node.get("endpoint") or b"") or _text(node.get("ip") or b"")
    if host in {"", "?"}:
        host = asked[0]
    port = (node.get("tls-port") if tls else None) or node.get("port") or node["tls-port"]
    return Member(
        (host, int(port)), _text(node["role"]) == "master", not _text(node["health"]).startswith("fail")
    )


def _table(pairs: Any) -> dict[str, Any]:
    items = pairs.items() if isinstance(pairs, dict) else zip(pairs[::2], pairs[1::2], strict=True)
    return {_text(name): value for name, value in items}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def problems(
    topology: Topology, nodes: Iterable[Address], replication_factor: int | None, replicas: int = 0
) -> list[str]:
    """Return what differs from a configuration, in sentences; ``replicas`` are those of a lone server.

    >>> problems(Topology((Shape(((0, 16383),), (Member(("a", 1), True),)),), cluster=False), [], 2)
    ['replication_factor 2 asks for 1 replica of each primary; a:1 has 0']
    """
    wanted = list(nodes)
    found = _copies(topology, replication_factor, replicas)
    if not topology.cluster:
        if len(wanted) > 1:
            found.append(f"{len(wanted)} nodes, but {_name(wanted[0])} is no cluster: only it is used")
        return found
    served = sum(last - first + 1 for shard in topology.shards for first, last in shard.ranges)
    if served < SLOTS:
        found.append(f"{SLOTS - served} of {SLOTS} slots have no server")
    return found + _strangers(wanted, topology.addresses())


def _copies(topology: Topology, factor: int | None, replicas: int) -> list[str]:
    need = (factor or 1) - 1
    short = []
    for shard in topology.shards:
        well = sum(member.healthy and not member.primary for member in shard.members) + replicas
        primary = next((member for member in shard.members if member.primary), None)
        if primary is not None and well < need:
            short.append(f"{_name(primary.address)} has {well}")
    if not short:
        return []
    plural = "replica" if need == 1 else "replicas"
    return [f"replication_factor {factor} asks for {need} {plural} of each primary; {', '.join(short)}"]


def _strangers(wanted: Sequence[Address], members: Sequence[Address]) -> list[str]:
    if not {host for host, _ in wanted} & {host for host, _ in members}:
        return []  # other names for the same servers, or the address of a proxy: nothing to compare
    strange = [_name(address) for address in wanted if address not in members]
    return [f"not part of the cluster: {', '.join(strange)}"] if strange else []


def _name(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
