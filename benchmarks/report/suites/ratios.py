"""What each cache keeps of what will be asked for again."""

from __future__ import annotations

from statistics import mean

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.report.suites.operations import absent
from benchmarks.rivals.memory import ratios
from benchmarks.rivals.memory.contenders import contenders


def measure(plan: Plan) -> Suite:
    cells = dict(ratios.rows(contenders(), plan.pick(3, 1)))
    first = next(iter(cells.values()))
    cells = {f"mean of {len(cells)} rows": {n: mean(row[n] for row in cells.values()) for n in first}} | cells
    return Suite(
        title="Hit ratio on real and hard traces",
        method="Seven request traces that come with the tests, at capacities of published tables. Each "
        "cache is really driven: a request reads, and stores on a miss. Caches that choose by chance "
        f"(adaptive, random) are the mean of {ratios.SEEDS}.",
        command="python -m benchmarks.rivals.memory ratios",
        tables=[
            Table(
                name="ratios",
                title="Requests answered from the cache, by trace and entries",
                unit="%",
                better="more",
                cells=cells,
                champions=["perfcore adaptive"],
                floors=[ratios.BEST],
                absent=absent(),
                notes=[
                    "best of ten is no library: on each row it is the best of ten published policies, "
                    "with hindsight.",
                    "LRU caches are alike to the digit; moka-py, theine and the lfu rows show what their "
                    "policies add.",
                ],
            )
        ],
    )
