"""Memory per entry beyond key and value, with the GIL and without it."""

from __future__ import annotations

from benchmarks.report.pythons import NO_PYTHON, Cells
from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.report.suites.operations import absent
from benchmarks.rivals.memory.contenders import FUNCTOOLS, contenders
from benchmarks.rivals.memory.interpreters import Python, interpreters
from benchmarks.rivals.memory.space import in_a_process


def measure(plan: Plan) -> Suite:
    entries = plan.pick(100_000, 1_000_000)
    return Suite(
        title="Memory of an entry",
        method=f"Each cache is filled with {entries:,} entries in a process of its own, from keys that "
        "exist already; what the process grew by, as the kernel counts it, is the cache's. Key and value "
        f"objects are not in it.{NO_PYTHON}",
        command="python -m benchmarks.rivals.memory space",
        tables=[table(title, python, entries) for title, python in interpreters().items()],
    )


def table(title: str, python: Python, entries: int) -> Table:
    found = Cells(title)
    for name in [*(c.name for c in contenders()), FUNCTOOLS]:
        told = in_a_process(name, entries, python)
        found.take(name, told, {} if told.failed else {f"{entries:,} entries": told.found[0] / entries})
    return found.table(
        f"space {title}",
        "Bytes of an entry, beyond its key and value",
        unit="bytes",
        better="less",
        champions=["perfcore adaptive", "perfcore lru"],
        floors=["dict"],
        missing=absent(),
    )
