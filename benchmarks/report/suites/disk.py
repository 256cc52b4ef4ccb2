"""What an operation on a cache on disk costs."""

from __future__ import annotations

import random
from contextlib import suppress

from msgspec import msgpack

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals import disk, disk_load
from benchmarks.rivals.disk_stores import CONTENDERS, documents

FLOORS = ["bare", "objects"]
CHAMPIONS = ["perfcore", "perfcore-commit"]
ROWS = {"set, until committed": "put", "set, as the caller waits": "call", "get": "get"}


def measure(plan: Plan) -> Suite:
    times, bytes_ = dict[str, dict[str, float]](), dict[str, dict[str, float]]()
    for size in [1] if plan.quick else [1, 4, 64]:
        count = plan.pick(2000, disk.COUNTS[size])
        values = documents(count, size * 1000)
        keys = random.Random(2).choices(list(values), k=min(count, 20_000))
        raw = sum(len(msgpack.encode(value)) for value in values.values()) / count
        for _ in range(plan.pick(1, 2)):
            for name, make in CONTENDERS.items():
                with suppress(ImportError):
                    found = disk.measure(make, values, keys)
                    for row, field in ROWS.items():
                        lowest(times, f"{row}, {size} KB", name, getattr(found, field))
                    if name != "objects":
                        lowest(bytes_, f"{size} KB values", name, found.files / raw)
    for row, found_times in times.items():
        if not row.startswith("get"):
            found_times.pop("objects", None)  # it stores nothing
    tails = tails_of(plan)
    return Suite(
        title="Caches on disk",
        method="JSON-like documents; set writes them all and counts until everything is committed, get "
        "reads in random order, from files that the kernel has in memory. perfcore writes behind, "
        "perfcore-commit has committed when set returns, perfcore-sync has called fsync. bare is "
        "MessagePack, zstd and LMDB in a loop, without keys, checksums, time or budget; objects makes the "
        "objects by marshal and looks nothing up: no store can be faster. joblib's set is a first call, "
        "its get a later one.",
        command="python -m benchmarks.rivals.disk",
        tables=[
            Table(
                name="disk",
                title="Time of one operation",
                unit="us",
                better="less",
                cells=times,
                champions=CHAMPIONS,
                floors=FLOORS,
            ),
            Table(
                name="disk tails",
                title="Time of one get of 1 KB: median and tails",
                unit="us",
                better="less",
                cells=tails,
                champions=["perfcore"],
                floors=FLOORS,
            ),
            Table(
                name="disk space",
                title="Bytes of files for a byte of MessagePack",
                unit="x",
                better="less",
                cells=bytes_,
                champions=CHAMPIONS,
                floors=FLOORS,
                notes=["Blocks that a store takes in advance are counted."],
            ),
        ],
    )


def lowest(cells: dict[str, dict[str, float]], row: str, name: str, value: float) -> None:
    held = cells.setdefault(row, {})
    held[name] = min(value, held.get(name, value))


def tails_of(plan: Plan) -> dict[str, dict[str, float]]:
    """Return p50, p99 and p99.9 of a get in quiet, in microseconds."""
    cells: dict[str, dict[str, float]] = {}
    for name in CONTENDERS:
        if name in {"perfcore-sync", "perfcore-commit"}:  # they read as the first one does
            continue
        with suppress(ImportError):
            for what, value in disk_load.quiet(name, plan.pick(2000, 20_000)).items():
                cells.setdefault(f"get, {what}", {})[name] = value
    return cells
