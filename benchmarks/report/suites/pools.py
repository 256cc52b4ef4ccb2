"""What buffers and objects from a pool cost, and where pooling does not pay."""

from __future__ import annotations

import gc

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals import pools


def measure(plan: Plan) -> Suite:
    gc.disable()
    rounds = plan.pick(3, 7)
    sizes = pools.SIZES[:3] if plan.quick else pools.SIZES
    cells: dict[str, dict[str, float]] = {}
    for size in sizes:
        burst, single = pools.measure(size, rounds)
        cells[f"32 at once, filled, {size // pools.KB} KB"] = {
            "bytearray": burst["plain"] * 1e6 / pools.ALIVE,
            "perfcore BufferPool": burst["pool"] * 1e6 / pools.ALIVE,
            "perfcore BufferPool, clear='never'": burst["never"] * 1e6 / pools.ALIVE,
        }
        cells[f"one at a time, filled, {size // pools.KB} KB"] = {
            "bytearray": single["plain"] * 1e6,
            "perfcore BufferPool": single["pool"] * 1e6,
        }
    found, count = pools.pair_times(rounds)
    pairs = {"deque.pop and append": found["deque"], "perfcore ObjectPool": found["pool"]}
    return Suite(
        title="Pools",
        method="A buffer is taken, filled once and given back, one at a time or 32 alive at once; "
        "bytearray is what one has without a pool. An object is taken and given back, beside a deque that "
        "does nothing else. All take turns, the fastest round counts.",
        command="python -m benchmarks.rivals.pools",
        tables=[
            Table(
                name="pools",
                title="Time of one buffer",
                unit="us",
                better="less",
                cells=cells,
                champions=["perfcore BufferPool"],
            ),
            Table(
                name="objects",
                title="Taking and giving back an object",
                unit="ns",
                better="less",
                cells={"a pair": {name: s / count * 1e9 for name, s in pairs.items()}},
                champions=["perfcore ObjectPool"],
                notes=["The deque has no factory, no reset, no bound and no check; it counts as a rival."],
            ),
        ],
    )
