"""What a task costs in a pool of threads."""

from __future__ import annotations

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals import workers


def measure(plan: Plan) -> Suite:
    cells: dict[str, dict[str, float]] = {}
    for row, work in (("submit and result, in a burst", workers.burst), ("map", workers.mapped)):
        _, theirs, ours = workers.ratio(work, plan.pick(3, 7))
        cells[row] = {
            "ThreadPoolExecutor": theirs / workers.TASKS * 1e6,
            "perfcore WorkerPool": ours / workers.TASKS * 1e6,
        }
    return Suite(
        title="Worker pools",
        method=f"{workers.TASKS:,} tasks that do nothing, beside concurrent.futures with eight threads. "
        "Pools take turns; a figure is the median of the rounds.",
        command="python -m benchmarks.rivals.workers burst map",
        tables=[
            Table(
                name="workers",
                title="Time of one task",
                unit="us",
                better="less",
                cells=cells,
                champions=["perfcore WorkerPool"],
            )
        ],
    )
