"""Going through all names of a kind on all servers."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from perfcore.cache.remote.router import Router
from perfcore.cache.remote.wire import pack, refused

__all__ = ["names_like"]

_COUNT = b"500"


def names_like(router: Router, pattern: bytes, timeout: float) -> Iterator[list[bytes]]:
    """Yield the names that match ``pattern``, some at a time; a server that does not answer is left out.

    ``timeout`` is what one step on one server may take, in seconds. As with SCAN, what is added or removed
    meanwhile may be there or not, and a name may come twice.
    """
    if not router.known and not router.discover(monotonic() + timeout):
        return
    for shard in list(router.shards):
        cursor = b"0"
        while True:
            node = shard.reader()
            if node is None:
                break
            command = pack([(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", _COUNT)])
            replies = node.talk(command, 1, monotonic() + timeout)
            if not replies or refused(replies[0]) or not isinstance(replies[0], list):
                break
            cursor, names = replies[0]
            if names:
                yield names
            if cursor == b"0":
                break
