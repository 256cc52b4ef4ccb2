"""Which server a command goes to, and what becomes of it when that one refuses or does not answer.

No I/O here but :meth:`Router.discover`: a :class:`Round` says which bytes go to which node and takes what
came back, so that threads and event loops share every decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from time import monotonic
from typing import Any, Final

from perfcore._log import logger
from perfcore.cache.remote.client import Connector
from perfcore.cache.remote.node import Node
from perfcore.cache.remote.slots import SLOTS
from perfcore.cache.remote.topology import Address, Member, Shape, Topology, parse_shards, problems
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, address_in, code_of, pack, refused

__all__ = ["Batch", "Round", "Router", "Shard"]

#: A command is sent to at most so many servers: the one that should know, and two that others name.
_TRIES: Final = 3
_SHARDS: Final = pack([(b"CLUSTER", b"SHARDS")])
_ROLE: Final = pack([(b"ROLE",)])
_ASKING: Final = (b"ASKING",)
#: What a server says that cannot serve a slot now, though another may.
_ELSEWHERE: Final = {"READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN"}


class Shard:
    """A primary and its replicas; the ranges of slots it serves are in the router's table."""

    __slots__ = ("primary", "replicas")

    def __init__(self, primary: Node, replicas: list[Node]) -> None:
        self.primary, self.replicas = primary, replicas

    def reader(self) -> Node | None:
        """Return whom to read from: the primary, a replica while that is down, None without either."""
        if self.primary.breaker.allows():
            return self.primary
        return next((node for node in self.replicas if node.breaker.allows()), None)


class Router:
    """The servers of one cluster, or one server, and who has which slot. Thread-safe."""

    def __init__(
        self, connector: Connector, nodes: Sequence[Address] = (), replication_factor: int | None = None
    ) -> None:
        self.connector = connector
        self.nodes: dict[Address, Node] = {}
        self.cluster = False
        self.problems: list[str] = []
        #: Moves when a slot has got another primary: what was acknowledged lately may be lost.
        self.failovers = 0
        #: True when somebody should look at the topology again.
        self.stale = False
        self.shards: list[Shard] = []
        self._slots: list[Shard] = []
        self._wanted, self._factor = list(nodes), replication_factor
        self._discovering = Lock()

    # -- choosing --

    @property
    def known(self) -> bool:
        """Whether the topology has been found out."""
        return bool(self._slots)

    def node(self, ask: Ask) -> Node | None:
        """Return the server for a command, None when all that could serve it are down."""
        shard = self._slots[ask.slot if self.cluster else 0]
        if ask.reads:
            return shard.reader()
        return shard.primary if shard.primary.breaker.allows() else None

    def node_at(self, address: Address) -> Node:
        """Return the server at ``address``, which may be new."""
        node = self.nodes.get(address)
        return self.nodes.setdefault(address, Node(self.connector, address)) if node is None else node

    def moved(self, slot: int, address: Address) -> None:
        """Note that ``slot`` is served at ``address`` now, and that there may be more to find out."""
        node = self.node_at(address)
        if self.cluster and self._slots[slot].primary is not node:
            shard = next((shard for shard in self.shards if shard.primary is node), None)
            self._slots[slot] = shard or Shard(node, [])
            self.failovers += 1
        self.stale = True

    # -- finding out --

    def discover(self, deadline: float) -> bool:
        """Ask the servers how they stand to each other; say whether that is known now."""
        known, turn = self.known, self._discovering
        if not turn.acquire(timeout=max(0.0, deadline - monotonic())):
            return self.known  # whoever is at it has more time
        try:
            return (self.known and not known) or self._discover(deadline)  # perhaps found out meanwhile
        finally:
            turn.release()

    def _discover(self, deadline: float) -> bool:
        for address in self._to_ask():
            node = self.node_at(address)
            if self.known and not node.breaker.allows():
                continue
            topology, replicas = self._ask(node, deadline)
            if topology is not None:
                self._adopt(topology, replicas)
                return True
        return False

    def _to_ask(self) -> list[Address]:
        return list(dict.fromkeys([*(shard.primary.address for shard in self.shards), *self.connector.seeds]))

    def _ask(self, node: Node, deadline: float) -> tuple[Topology | None, int]:
        left = deadline - monotonic()
        if left <= 0:
            return None, 0
        replies = node.talk(_SHARDS, 1, monotonic() + (left / 2 if len(self._to_ask()) > 1 else left))
        if replies is None:
            return None, 0
        if refused(replies[0]):
            if code_of(replies[0]) in {"NOAUTH", "NOPERM", "LOADING"}:
                node.failed(replies[0])
                return None, 0
            lone = Shape(((0, SLOTS - 1),), (Member(node.address, True),))
            return Topology((lone,), cluster=False), self._lone_replicas(node, deadline)
        try:
            return parse_shards(replies[0], node.address, tls=self.connector.tls), 0
        except ValueError as error:
            node.failed(error)
            return None, 0

    def _lone_replicas(self, node: Node, deadline: float) -> int:
        if (self._factor or 1) < 2:
            return 0
        replies = node.talk(_ROLE, 1, deadline)
        role = replies[0] if replies else None
        return len(role[2]) if isinstance(role, list) and len(role) > 2 and isinstance(role[2], list) else 0

    def _adopt(self, topology: Topology, replicas: int) -> None:
        found = problems(topology, self._wanted, self._factor, replicas)
        for problem in found:
            if problem not in self.problems:
                logger("cache").warning("remote tier: %s", problem)
        self.problems = found
        nobody = Shard(self.node_at(("", 0)), [])
        nobody.primary.breaker.seal("nobody serves this slot")
        table = [nobody] * (SLOTS if topology.cluster else 1)
        shards = []
        for shape in topology.shards:
            shard = self._shard(shape)
            if shard is None:
                continue
            shards.append(shard)
            for first, last in shape.ranges if topology.cluster else [(0, 0)]:
                table[first : last + 1] = [shard] * (last + 1 - first)
        if self._slots and any(old.primary is not new.primary for old, new in self._changes(table)):
            self.failovers += 1
        self.shards, self.cluster, self._slots = shards, topology.cluster, table
        self.stale = False
        served = {node.address for shard in shards for node in (shard.primary, *shard.replicas)}
        for address in self.nodes.keys() - served - set(self.connector.seeds) - {("", 0)}:
            self.nodes.pop(address).disconnect()

    def _changes(self, table: list[Shard]) -> list[tuple[Shard, Shard]]:
        if len(table) != len(self._slots):
            return []
        return [(old, new) for old, new in zip(self._slots, table, strict=True) if old is not new]

    def _shard(self, shape: Shape) -> Shard | None:
        primaries = [member for member in shape.members if member.primary]
        if not primaries:
            return None
        best = next((member for member in primaries if member.healthy), primaries[0])
        replicas = [member for member in shape.members if not member.primary and member.healthy]
        return Shard(
            self._node(best, replica=False), [self._node(member, replica=True) for member in replicas]
        )

    def _node(self, member: Member, *, replica: bool) -> Node:
        node = self.node_at(member.address)
        if node.replica != replica:
            node.replica = replica
            node.disconnect()  # its connections have not said READONLY, or need not have
        return node

    def forked(self) -> None:
        """In a forked child: connections and locks are the parent's."""
        self._discovering = Lock()
        for node in list(self.nodes.values()):
            node.forked()

    def close(self) -> None:
        """Close all connections."""
        for node in list(self.nodes.values()):
            node.disconnect()


class Batch:
    """What one node is asked in a round: the places of its commands, and their bytes."""

    __slots__ = ("count", "data", "node", "places")

    def __init__(self, node: Node, places: list[int], data: bytes, count: int) -> None:
        self.node, self.places, self.data, self.count = node, places, data, count


class Round:
    """Commands on their way: who is to be asked what next, until all have answered or nobody will."""

    def __init__(self, router: Router, asks: Sequence[Ask]) -> None:
        self.replies: list[Any] = [UNAVAILABLE] * len(asks)
        self._router, self._asks = router, asks
        self._pending: list[int] = list(range(len(asks)))
        self._elsewhere: dict[int, tuple[Node, bool]] = {}
        self._tries = 0

    def plan(self) -> list[Batch]:
        """Return what is to be sent now; nothing when all is done that can be."""
        pending, self._pending = self._pending, []
        if not pending or self._tries == _TRIES:
            return []
        self._tries += 1
        by_node: dict[Node, list[int]] = {}
        for place in pending:
            other = self._elsewhere.get(place)
            node = self._router.node(self._asks[place]) if other is None else other[0]
            if node is not None:
                by_node.setdefault(node, []).append(place)
        return [self._batch(node, places) for node, places in by_node.items()]

    def _batch(self, node: Node, places: list[int]) -> Batch:
        if not self._elsewhere:
            return Batch(node, places, pack([self._asks[place].parts for place in places]), len(places))
        commands: list[tuple[bytes, ...]] = []
        for place in places:
            if self._elsewhere.get(place, (node, False))[1]:
                commands.append(_ASKING)
            commands.append(self._asks[place].parts)
        return Batch(node, places, pack(commands), len(commands))

    def settle(self, batch: Batch, replies: list[Any] | None) -> None:
        """Take the replies to a batch, None when there were none."""
        if replies is None:
            self._router.stale = True
            # another server may know: a replica to read from, or who has taken over
            self._pending += [place for place in batch.places if place not in self._elsewhere]
            for place in batch.places:
                self._elsewhere.pop(place, None)
            return
        position = 0
        for place in batch.places:
            position += self._elsewhere.pop(place, (None, False))[1]
            reply = replies[position]
            position += 1
            self.replies[place] = reply
            if refused(reply):
                self._redirect(place, batch.node, reply)

    def _redirect(self, place: int, node: Node, error: Exception) -> None:
        code = code_of(error)
        if code in {"MOVED", "ASK"} and (address := address_in(error)) is not None:
            address = address[0] or node.address[0], address[1]
            if code == "MOVED":
                self._router.moved(self._asks[place].slot, address)
            self._elsewhere[place] = self._router.node_at(address), code == "ASK"
            self._pending.append(place)
        elif code in _ELSEWHERE:
            self.replies[place] = UNAVAILABLE
            self._router.stale = True
