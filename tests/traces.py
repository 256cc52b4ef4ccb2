"""The request traces that tests replay: small ones in tests/data, large ones beside the repository."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import zstandard

SHIPPED = Path(__file__).parent / "data" / "traces"
SHARED = Path(__file__).parents[2] / "shared"

#: requests of a trace that the reference figures are for, where that is not all of them
LIMITS = {"cache2k_orm-busy": 2_000_000, "cloudphysics_w106": 3_000_000}


def small_traces():
    return sorted(path.name.removesuffix(".u32.zst") for path in SHIPPED.glob("*.u32.zst"))


def need_shared():
    """Skip where the large traces are absent, but fail where they must not be."""
    if SHARED.is_dir():
        return
    if os.environ.get("CI"):
        pytest.fail(f"{SHARED} is missing: continuous integration must not skip these tests")
    pytest.skip(f"{SHARED} is missing")


def read_trace(name):
    path = SHIPPED / f"{name}.u32.zst"
    if not path.exists():
        need_shared()
        path = SHARED / "traces" / path.name
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    return np.frombuffer(data, "<u4")[: LIMITS.get(name)]


def shipped_rows():
    """Return trace, capacity, and the hit ratios of LRU and of the best of ten, for the small traces."""
    with (SHIPPED / "hit_ratios.csv").open() as file:
        return [
            (row["trace"], int(row["capacity"]), float(row["lru"]), float(row["best"]))
            for row in csv.DictReader(file)
        ]


def reference_rows():
    """Return the rows of the whole table of reference hit ratios, in per cent."""
    need_shared()
    with (SHARED / "notes" / "hit_ratios.csv").open() as file:
        return list(csv.DictReader(file))
