"""What the memory optimizer says of what it did and measured."""

from __future__ import annotations

from typing import NamedTuple

from perfcore.memory.discovery import Discovered
from perfcore.memory.economy import Economy
from perfcore.memory.gc import GcReport
from perfcore.memory.leaks import Suspect
from perfcore.memory.pressure import Pressure
from perfcore.types import BufferStats, ObjectStats

__all__ = ["BufferAction", "Decision", "MemoryReport", "MemoryStats", "PoolAction", "Relief"]


class PoolAction(NamedTuple):
    """What was decided about a tracked kind of object, ``created``, ``removed``, ``kept`` or ``none``, and
    why.
    """

    name: str
    action: str
    reason: str
    measured: Economy


class BufferAction(NamedTuple):
    """What was decided about a pool of buffers, ``watching``, ``kept`` or ``trimmed``, and why.

    ``hit_ratio`` is that of the acquisitions since the last look (0-1; None without any), ``freed`` is bytes.
    """

    name: str
    action: str
    reason: str
    hit_ratio: float | None = None
    freed: int = 0


class Relief(NamedTuple):
    """What was given back under pressure: bytes of buffers, idle objects, and caches made smaller or whole
    again.
    """

    collected: int = 0
    buffer_bytes: int = 0
    objects: int = 0
    caches_shrunk: int = 0
    caches_restored: int = 0

    def plus(self, other: Relief) -> Relief:
        """Return both together.

        >>> Relief(objects=1).plus(Relief(objects=2)).objects
        3
        """
        return Relief(*(one + more for one, more in zip(self, other, strict=True)))


class MemoryReport(NamedTuple):
    """What one call of :meth:`.MemoryOptimizer.optimize_memory` did and measured; it took ``seconds``."""

    pools: list[PoolAction]
    gc: GcReport
    leaks: list[Suspect]
    before: Pressure
    after: Pressure
    relief: Relief
    discovered: list[Discovered]
    buffers: list[BufferAction]
    seconds: float


class Decision(NamedTuple):
    """Something that was changed or found, when (Unix seconds), and by which figures."""

    time: float
    what: str
    why: str


class MemoryStats(NamedTuple):
    """What an optimizer has done so far: calls of ``optimize_memory`` and the seconds they took, all that was
    given back, the collector's state and the suspects of the last call, and the pools in its care.
    """

    rounds: int
    seconds: float
    relief: Relief
    gc: str
    suspects: tuple[str, ...]
    pressure: Pressure
    pools: dict[str, BufferStats | ObjectStats]
