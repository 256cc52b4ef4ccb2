"""What a cluster on this machine costs: a task, nodes that come and go, and the parsing of a real tree."""

from __future__ import annotations

from typing import Literal

from benchmarks.report.results import Suite, Table
from benchmarks.report.suites import Plan
from benchmarks.rivals import scaling, scaling_tasks
from perfcore.scaling import DaskBackend

CEILING = "two independent processes"
Cells = dict[str, dict[str, float]]


def measure(plan: Plan) -> Suite:
    with scaling_tasks.contenders() as (cluster, found):
        tasks = scaling_tasks.times(found, plan.pick(50, 200), plan.pick(2, 3))
        nodes = scaling_tasks.resized(cluster)
    paths = scaling.tree_of(None)[:: plan.pick(8, 1)]
    with DaskBackend.local(2) as ours:
        alone, spread = scaling.beside(ours, paths, plan.pick(1, 2))
    rates = {f"{len(paths):,} files": {"perfcore, cluster": len(paths) / spread, CEILING: len(paths) / alone}}
    return Suite(
        title="Clusters and processes",
        method="A cluster is two Dask workers on this machine, which perfcore and distributed's own client "
        "ask in turns. A task does nothing; pools have two processes each, and the fastest round of each "
        "counts. Nodes are changed once, by each on the same cluster: a node has come when it can work, and "
        "while one goes all of them have tasks of 0.1 s: perfcore lets the node that goes end what it runs, "
        "Dask closes it and runs that again elsewhere. Files are the standard library of this Python, parsed "
        "cold and without a cache; two independent processes have half of them each and nothing to do with "
        "each other.",
        command="python -m benchmarks.rivals.scaling",
        tables=[
            table(
                "scaling",
                "Time of one task",
                "ms",
                scaled(tasks),
                ["perfcore DaskBackend", "perfcore LocalBackend"],
            ),
            table("nodes", "A node more, a node fewer", "ms", scaled(nodes), ["perfcore HorizontalScaler"]),
            table(
                "cluster parsing",
                "Parsing source files",
                "files/s",
                rates,
                ["perfcore, cluster"],
                "more",
                [CEILING],
            ),
        ],
    )


def scaled(cells: Cells) -> Cells:
    return {row: {name: taken * 1e3 for name, taken in found.items()} for row, found in cells.items()}


def table(
    name: str,
    title: str,
    unit: str,
    cells: Cells,
    champions: list[str],
    better: Literal["less", "more"] = "less",
    floors: list[str] = [],  # noqa: B006
) -> Table:
    return Table(
        name=name, title=title, unit=unit, better=better, cells=cells, champions=champions, floors=floors
    )
