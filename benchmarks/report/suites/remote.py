"""What a lookup on a server costs."""

from __future__ import annotations

import asyncio
import shutil

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan

FLOORS = ["raw", "raw, same entries"]


def measure(plan: Plan) -> Suite:
    tables, absent = list[Table](), ""
    if shutil.which("redis-server") is None:
        absent = " There is no redis-server on this machine, and so there are no figures."
    else:
        tables = measured(plan)
    return Suite(
        title="Caches on a server",
        method="Documents of some 300 bytes on a Redis server on the same machine. raw is valkey-py and "
        "MessagePack: no checksum, no key check, no expiry, no deadline, no counting; raw, same entries "
        "is valkey-py and perfcore's codec. All take turns; a figure is the median of the rounds' "
        f"means.{absent}",
        command="python -m benchmarks.rivals.remote",
        tables=tables,
    )


def measured(plan: Plan) -> list[Table]:
    from benchmarks.rivals import remote
    from benchmarks.servers import server

    rounds = plan.pick(3, 7)
    with server() as port:
        called = remote.calls(port, rounds)
        awaited = asyncio.run(remote.asynchronous(port, rounds))
    return [
        table("remote", "Time of one call", called, ["perfcore"]),
        table("awaited remote", "Time of one awaited call", awaited, ["perfcore (async)"]),
    ]


def table(name: str, title: str, found: dict[str, tuple[float, float]], champions: list[str]) -> Table:
    cells = {
        row: {one: figures[place] for one, figures in found.items()}
        for place, row in enumerate(("get", "get_many of 100"))
    }
    return Table(
        name=name, title=title, unit="us", better="less", cells=cells, champions=champions, floors=FLOORS
    )
