"""``PerformanceMetrics``: what the machine, the process and the application do, as plain data.

The fields are the guide's: percentages 0-100, bytes, seconds and rates a second. A field that is None was not
measured lately: a gap is never a zero.
"""

from __future__ import annotations

from msgspec import Struct, field

__all__ = [
    "ApplicationMetrics",
    "CPUMetrics",
    "CachingMetrics",
    "ContainerMetrics",
    "DiskMetrics",
    "MemoryMetrics",
    "NetworkMetrics",
    "ParsingMetrics",
    "PerformanceMetrics",
    "ProcessMetrics",
    "SystemMetrics",
    "WorkerMetrics",
]


class CPUMetrics(Struct, frozen=True, kw_only=True):
    """The processors of the machine; ``frequency`` is MHz, ``load`` the average of the last minute."""

    usage: float | None = None
    cores: float | None = None
    frequency: float | None = None
    load: float | None = None


class MemoryMetrics(Struct, frozen=True, kw_only=True):
    """The machine's memory in bytes; ``percent`` is the share in use of the machine or of the container,
    whichever is nearer to its end.
    """

    used: float | None = None
    total: float | None = None
    cached: float | None = None
    buffers: float | None = None
    available: float | None = None
    percent: float | None = None


class DiskMetrics(Struct, frozen=True, kw_only=True):
    """All disks together; ``utilization`` is of the busiest one."""

    read_rate: float | None = None
    write_rate: float | None = None
    iops: float | None = None
    utilization: float | None = None


class NetworkMetrics(Struct, frozen=True, kw_only=True):
    """Bytes a second to and from other machines; TCP connections of this network namespace."""

    inbound: float | None = None
    outbound: float | None = None
    connections: float | None = None


class ContainerMetrics(Struct, frozen=True, kw_only=True):
    """What the control group allows (cores, bytes; None: no limit) and uses, in percent of that or, where
    there is no limit, of the machine; ``throttled`` is the share of scheduling periods that were cut short.
    """

    cpu_limit: float | None = None
    cpu_usage: float | None = None
    throttled: float | None = None
    memory_limit: float | None = None
    memory_used: float | None = None
    memory_percent: float | None = None


class ProcessMetrics(Struct, frozen=True, kw_only=True):
    """This process; ``cpu_usage`` is in percent of one core, so that four busy threads are 400."""

    cpu_usage: float | None = None
    rss: float | None = None
    threads: float | None = None
    open_files: float | None = None


class SystemMetrics(Struct, frozen=True, kw_only=True):
    """The machine, and this process on it."""

    cpu: CPUMetrics = field(default_factory=CPUMetrics)
    memory: MemoryMetrics = field(default_factory=MemoryMetrics)
    disk: DiskMetrics = field(default_factory=DiskMetrics)
    network: NetworkMetrics = field(default_factory=NetworkMetrics)
    container: ContainerMetrics = field(default_factory=ContainerMetrics)
    process: ProcessMetrics = field(default_factory=ProcessMetrics)


class ParsingMetrics(Struct, frozen=True, kw_only=True):
    """Requests of the last interval; times are seconds and None when there was no request."""

    requests_per_second: float | None = None
    average_response_time: float | None = None
    p95_response_time: float | None = None
    error_rate: float | None = None


class CachingMetrics(Struct, frozen=True, kw_only=True):
    """Lookups of the last interval in percent, None when there was none; evictions a second; bytes held."""

    hit_rate: float | None = None
    miss_rate: float | None = None
    eviction_rate: float | None = None
    memory_usage: float | None = None


class WorkerMetrics(Struct, frozen=True, kw_only=True):
    """Workers and tasks at this moment; ``completed`` and ``failed`` count from the beginning."""

    active: float | None = None
    queued: float | None = None
    completed: float | None = None
    failed: float | None = None


class ApplicationMetrics(Struct, frozen=True, kw_only=True):
    """What the application does."""

    parsing: ParsingMetrics = field(default_factory=ParsingMetrics)
    caching: CachingMetrics = field(default_factory=CachingMetrics)
    workers: WorkerMetrics = field(default_factory=WorkerMetrics)


class PerformanceMetrics(Struct, frozen=True, kw_only=True):
    """Everything at one moment (``timestamp``, Unix seconds); ``custom`` is what users' collectors say, by
    the collector's name.

    >>> PerformanceMetrics(timestamp=0.0).system.cpu.usage is None
    True
    """

    timestamp: float
    system: SystemMetrics = field(default_factory=SystemMetrics)
    application: ApplicationMetrics = field(default_factory=ApplicationMetrics)
    custom: dict[str, dict[str, float | None]] = {}
