"""Memory per entry beyond key and value."""

from __future__ import annotations

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.report.suites.operations import absent
from benchmarks.rivals.memory.contenders import contenders
from benchmarks.rivals.memory.serving import FUNCTOOLS
from benchmarks.rivals.memory.space import in_a_process


def measure(plan: Plan) -> Suite:
    entries = plan.pick(100_000, 1_000_000)
    names = [*(c.name for c in contenders()), FUNCTOOLS]
    row = {name: in_a_process(name, entries)[0] / entries for name in names}
    return Suite(
        title="Memory of an entry",
        method=f"Each cache is filled with {entries:,} entries in a process of its own, from keys that "
        "exist already; what the process grew by, as the kernel counts it, is the cache's. Key and value "
        "objects are not in it.",
        command="python -m benchmarks.rivals.memory space",
        tables=[
            Table(
                name="space",
                title="Bytes of an entry, beyond its key and value",
                unit="bytes",
                better="less",
                cells={f"{entries:,} entries": row},
                champions=["perfcore adaptive", "perfcore lru"],
                floors=["dict"],
                absent=absent(),
            )
        ],
    )
