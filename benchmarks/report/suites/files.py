"""What reading the same files again and again costs."""

from __future__ import annotations

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals import io

NAMES = {
    "StreamCache": "perfcore StreamCache",
    "check_interval=1": "perfcore StreamCache, looks once a second",
    "pooled": "perfcore StreamCache, pooled buffers",
}


def measure(plan: Plan) -> Suite:
    taken = io.measure_hot(plan.pick(5, 15))
    row = {NAMES.get(name, name): min(times) / io.FILES * 1e6 for name, times in taken.items()}
    return Suite(
        title="Hot files",
        method=f"{io.FILES:,} files of {io.SIZE // 1024} KB, all read again and again; the kernel has them "
        "in memory. StreamCache looks at the path before each read, unless told to look less often. All "
        "take turns, the fastest round counts.",
        command="python -m benchmarks.rivals.io",
        tables=[
            Table(
                name="files",
                title="Reading one file",
                unit="us",
                better="less",
                cells={"4 KB": row},
                champions=["perfcore StreamCache"],
            )
        ],
    )
