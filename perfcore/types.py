"""What the rooms of one floor know of each other: protocols and small frozen values, nothing that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

__all__ = [
    "BufferStats",
    "CacheInfo",
    "CacheStats",
    "Closable",
    "CountsLookups",
    "CountsTasks",
    "Explanation",
    "LookupCounts",
    "ObjectStats",
    "PolicyState",
    "RunsTasks",
    "Store",
    "TaskCounts",
]


@runtime_checkable
class Closable(Protocol):
    """Something that holds a thread, a file or a connection until it is closed; closing twice is fine."""

    def close(self) -> None:
        """Release everything; pending work is finished first."""


@runtime_checkable
class Store(Protocol):
    """The verbs that every cache tier shares, whatever lies underneath."""

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return the value of ``key``, or ``default`` when it is absent or expired."""

    def set(self, key: Any, value: Any, *, ttl: float | None = None) -> None:
        """Store ``value`` under ``key``; ``ttl`` is in seconds, None means the store's own."""

    def delete(self, key: Any, /) -> bool:
        """Remove ``key``; say whether it was there."""

    def clear(self) -> None:
        """Remove everything."""


class LookupCounts(Protocol):
    """What a collector of metrics reads of a cache's counts; all but ``weight`` only ever grow."""

    @property
    def hits(self) -> int:
        """Lookups that found something."""

    @property
    def misses(self) -> int:
        """Lookups that did not."""

    @property
    def evictions(self) -> int:
        """Entries that made room for others."""

    @property
    def weight(self) -> int:
        """Bytes held now."""


class CountsLookups(Protocol):
    """A cache whose lookups a collector of metrics can follow."""

    def stats(self) -> LookupCounts:
        """Return the counts so far."""


class TaskCounts(Protocol):
    """What a collector of metrics reads of a pool of workers; the last two only ever grow."""

    @property
    def active(self) -> int:
        """Workers that are running a task."""

    @property
    def queued(self) -> int:
        """Tasks that wait."""

    @property
    def completed(self) -> int:
        """Tasks that ended well."""

    @property
    def failed(self) -> int:
        """Tasks that raised."""


class CountsTasks(Protocol):
    """A pool of workers whose tasks a collector of metrics can follow."""

    def stats(self) -> TaskCounts:
        """Return the counts so far."""


class RunsTasks(Protocol):
    """Something that runs calls, here or on other machines, for a room that has work to give away."""

    @property
    def slots(self) -> int:
        """How many calls can run at once now."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Run ``fn(*args)`` somewhere; the future raises BrokenExecutor where that kills whoever tries."""


class CacheStats(NamedTuple):
    """What a memory cache counted, and what it holds now."""

    hits: int
    misses: int
    evictions: int
    expirations: int
    rejections: int
    entries: int
    weight: int

    @property
    def hit_ratio(self) -> float:
        """Hits per lookup, from 0 to 1; 0 before the first lookup."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0


class CacheInfo(NamedTuple):
    """What a cached function counted, in functools' shape."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class PolicyState(NamedTuple):
    """Why a memory cache's policy does what it does; sizes are entries, or weight given a weigher."""

    policy: str
    arm: str
    window: int
    window_room: int
    main: int
    pinned: int
    misses: int
    switches: int
    sample_rate: int
    hits: dict[str, float]
    discord: dict[str, float]


class Explanation(NamedTuple):
    """What became of a key: ``present``, ``evicted``, ``expired``, ``rejected``, ``removed``,
    ``invalidated`` or ``unknown``.

    ``frequency`` is how often it was asked for lately, from 0 to 15, where the policy counts that;
    ``misses_ago`` how many misses ago an evicted key was last used, where its ghost is remembered;
    ``expires_in`` is in seconds.
    """

    state: str
    frequency: int
    misses_ago: int | None
    expires_in: float | None


class BufferStats(NamedTuple):
    """What a buffer pool lent and got back, and what it holds; sizes are bytes.

    ``acquired`` is the sum of ``reused``, ``made`` and ``oversize``. ``discarded`` came back and found no
    room, ``trimmed`` was kept and then given back to the system. ``deferred`` releases waited for a view.
    ``wasted_bytes`` is what the size classes add to the ``in_use_bytes`` that were asked for.
    """

    acquired: int
    released: int
    reused: int
    made: int
    oversize: int
    discarded: int
    trimmed: int
    leaked: int
    deferred: int
    in_use: int
    in_use_bytes: int
    wasted_bytes: int
    idle_bytes: int
    cleared_bytes: int

    @property
    def hit_ratio(self) -> float:
        """The share of acquisitions that needed no new memory, from 0 to 1; 0 before the first."""
        return self.reused / self.acquired if self.acquired else 0.0


class ObjectStats(NamedTuple):
    """What an object pool lent and got back, and what it holds.

    ``acquired`` is the sum of ``reused`` and those of ``made`` that were asked for (for ``min`` objects are
    made ahead). ``refused`` failed their validation, ``expired`` were too old, ``discarded`` were given up by
    their holders, by a reset that failed or for want of room;
    ``waited`` acquisitions had to wait, ``timeouts`` of them in vain. ``leaked`` leases died unreleased.
    """

    acquired: int
    released: int
    reused: int
    made: int
    refused: int
    expired: int
    discarded: int
    waited: int
    timeouts: int
    leaked: int
    in_use: int
    idle: int
    waiting: int

    @property
    def hit_ratio(self) -> float:
        """The share of acquisitions that needed no new object, from 0 to 1; 0 before the first."""
        return self.reused / self.acquired if self.acquired else 0.0
