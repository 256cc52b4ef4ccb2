"""Which node gets the next request, for programs that route to nodes themselves."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from threading import Lock

from perfcore._repr import safe_repr
from perfcore.scaling.backend import ClusterNode
from perfcore.scaling.errors import CapacityError

__all__ = ["LoadBalancer"]


class LoadBalancer:
    """Spreads requests over nodes; a :class:`.HorizontalScaler` keeps its nodes up to date.

    :meth:`route` gives the node with the fewest requests per slot, of equals the one that has waited longest.
    :meth:`node_for` gives the same node for the same key as long as that node is there (rendezvous hashing,
    Thaler and Ravishankar 1996): when nodes come or go only the keys of those move. Thread-safe.

    >>> balancer = LoadBalancer([ClusterNode("a"), ClusterNode("b")])
    >>> with balancer.route() as first, balancer.route() as second:
    ...     sorted([first.name, second.name])
    ['a', 'b']
    >>> before = [balancer.node_for(n).name for n in range(99)]
    >>> balancer.add_nodes([ClusterNode("c")])
    >>> after = [balancer.node_for(n).name for n in range(99)]
    >>> {new for old, new in zip(before, after) if old != new}
    {'c'}
    """

    def __init__(self, nodes: Iterable[ClusterNode] = ()) -> None:
        self._nodes: dict[str, ClusterNode] = {}
        self._requests: dict[str, int] = {}
        self._lock = Lock()
        self.add_nodes(nodes)

    @safe_repr
    def __repr__(self) -> str:
        return f"<LoadBalancer: {len(self._nodes)} nodes>"

    def add_nodes(self, nodes: Iterable[ClusterNode]) -> None:
        """Route to these nodes too; one of a name that is known takes its place and its requests."""
        with self._lock:
            for node in nodes:
                self._nodes[node.name] = node
                self._requests.setdefault(node.name, 0)

    def remove_nodes(self, nodes: Iterable[ClusterNode | str]) -> None:
        """Route nothing more to these nodes; unknown ones are nothing to complain of."""
        with self._lock:
            for node in nodes:
                self._nodes.pop(node if isinstance(node, str) else node.name, None)
            self._requests = {
                name: count for name, count in self._requests.items() if count or name in self._nodes
            }

    def nodes(self) -> list[ClusterNode]:
        """Return the nodes that are routed to."""
        with self._lock:
            return list(self._nodes.values())

    def requests(self, node: ClusterNode | str) -> int:
        """Return how many requests are at a node now, also at one that was removed."""
        with self._lock:
            return self._requests.get(node if isinstance(node, str) else node.name, 0)

    @contextmanager
    def route(self) -> Iterator[ClusterNode]:
        """Give a node for one request, which lasts as long as the block; CapacityError without nodes."""
        with self._lock:
            if not self._nodes:
                raise CapacityError("there is no node to route to")
            node = min(self._nodes.values(), key=lambda node: self._requests[node.name] / node.slots)
            self._nodes[node.name] = self._nodes.pop(node.name)  # to the end: its equals come first now
            self._requests[node.name] += 1
        try:
            yield node
        finally:
            with self._lock:
                left = self._requests[node.name] = self._requests[node.name] - 1
                if not left and node.name not in self._nodes:
                    del self._requests[node.name]

    def node_for(self, key: Hashable) -> ClusterNode:
        """Return the node of a key, by its ``repr``; CapacityError without nodes."""
        with self._lock:
            if not self._nodes:
                raise CapacityError("there is no node to route to")
            told = repr(key).encode()
            return max(self._nodes.values(), key=lambda node: _weight(told, node.name))


def _weight(key: bytes, name: str) -> bytes:
    return blake2b(key, digest_size=8, key=name.encode()[:64]).digest()
