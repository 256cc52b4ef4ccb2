"""What one look at a service has seen, as plain data; a field that is None could not be seen: a gap."""

from __future__ import annotations

from msgspec import Struct

__all__ = [
    "AlertLook",
    "CacheLook",
    "Decision",
    "HealthLook",
    "LatencyLook",
    "Look",
    "MemoryLook",
    "PartLook",
    "PolicyLook",
    "PoolLook",
    "WorkersLook",
]


class CacheLook(Struct, frozen=True, kw_only=True):
    """A cache: its counts so far, what it holds, and the hits per lookup since the last look (0-1)."""

    name: str
    ok: bool | None = None
    detail: str = ""
    hits: int | None = None
    misses: int | None = None
    evictions: int | None = None
    entries: int | None = None
    bytes: int | None = None
    hit_ratio: float | None = None


class LatencyLook(Struct, frozen=True, kw_only=True):
    """Calls of one name: how many so far; since the last look, how many a second and their quantiles in
    seconds.
    """

    name: str
    count: int
    rate: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class MemoryLook(Struct, frozen=True, kw_only=True):
    """Bytes of this process, of what caches hold, and of the machine or its container: in use, and all."""

    process: float | None = None
    caches: float | None = None
    used: float | None = None
    limit: float | None = None


class WorkersLook(Struct, frozen=True, kw_only=True):
    """Tasks of all pools of workers."""

    active: float
    queued: float
    completed: float
    failed: float


class PoolLook(Struct, frozen=True, kw_only=True):
    """A pool: what is lent and idle now (objects, or bytes of buffers), what it lent so far, how much of that
    it had (0-1, since the last look), and how many died with their holder.
    """

    name: str
    unit: str
    in_use: int | None = None
    idle: int | None = None
    acquired: int | None = None
    reused: int | None = None
    leaked: int | None = None
    hit_ratio: float | None = None


class AlertLook(Struct, frozen=True, kw_only=True):
    """That a rule fires, or was told of; times are Unix seconds."""

    rule: str
    state: str
    severity: str
    message: str
    time: float


class PolicyLook(Struct, frozen=True, kw_only=True):
    """What the policy of a cache has decided: the arm that rules, and what the shadows of all arms hit."""

    cache: str
    policy: str
    arm: str
    window: int
    window_room: int
    main: int
    pinned: int
    switches: int
    sample_rate: int
    hits: dict[str, float]
    discord: dict[str, float]


class Decision(Struct, frozen=True, kw_only=True):
    """That something was changed without anybody's doing, where (a cache, or ``memory optimizer``), and by
    which figures.
    """

    time: float
    cache: str
    what: str
    why: str


class PartLook(Struct, frozen=True, kw_only=True):
    """A part of the manager."""

    name: str
    state: str
    detail: str = ""


class HealthLook(Struct, frozen=True, kw_only=True):
    """Whether all that should run does, and what does not."""

    ok: bool
    problems: list[str]


class Look(Struct, frozen=True, kw_only=True):
    """Everything at one moment."""

    health: HealthLook
    parts: list[PartLook]
    caches: list[CacheLook]
    latency: list[LatencyLook]
    memory: MemoryLook
    workers: WorkersLook | None
    pools: list[PoolLook]
    changes: list[Decision]
    firing: list[AlertLook]
    alerts: list[AlertLook]
    policies: list[PolicyLook]
