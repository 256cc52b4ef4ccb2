"""``Profile``: what one call took, and how it is found again."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Phase", "Profile", "ProfileFilter"]


class Phase(Struct, frozen=True, gc=False):
    """A named part of a call; ``start`` is in seconds from the call's own."""

    name: str
    start: float
    duration: float


class Profile(Struct, frozen=True, kw_only=True, gc=False):
    """One sampled call.

    Of the thread, and so of this call alone: ``cpu_time``, ``read_bytes`` and ``written_bytes`` (through
    system calls, sockets excluded); None where a block may have been suspended in between, or the system does
    not tell. Of the whole process: ``memory_delta`` in bytes, and ``allocations``, the blocks that there are
    more, counted for one profile in eight because it takes longer than all the rest.
    """

    id: str
    name: str
    #: The profile in which this one ran, or None.
    parent: str | None
    #: How many calls this one stands for: one by the sampling rate.
    weight: float
    thread: int
    #: Whether it was awaited: others may have run in between.
    awaited: bool
    #: When it began, in Unix seconds, and in nanoseconds of ``time.perf_counter_ns``.
    started: float
    start_ns: int
    duration: float
    cpu_time: float | None
    read_bytes: int | None
    written_bytes: int | None
    memory_delta: int | None
    allocations: int | None
    status: Literal["success", "error", "cancelled"]
    error: str | None
    phases: tuple[Phase, ...]
    #: What was noted on its behalf (:mod:`perfcore.metrics.instrument`), by operation: ``cache.hit``.
    operations: dict[str, int]


class ProfileFilter(Struct, frozen=True, kw_only=True):
    """Which profiles are wanted: all that meet everything that is given; ``since`` is Unix seconds.

    >>> ProfileFilter(name="load", min_duration=0.5).name
    'load'
    """

    name: str | None = None
    status: Literal["success", "error", "cancelled"] | None = None
    min_duration: float = 0.0
    since: float = float("-inf")

    def matches(self, profile: Profile) -> bool:
        """Say whether a profile is wanted."""
        return (
            self.name in (None, profile.name)
            and self.status in (None, profile.status)
            and profile.duration >= self.min_duration
            and profile.started >= self.since
        )
