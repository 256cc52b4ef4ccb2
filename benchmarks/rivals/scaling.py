"""What a cluster costs: a task, and parsing a real tree beside two independent processes, in one run.

    python -m benchmarks.rivals.scaling [--rounds 3] [--tasks 200] [TREE]

Task: submit and result of a no-op, one after the other and many at once, on a cluster of two processes on
this machine, beside distributed's client on the same one, and in a pool of two, beside other pools. Nodes:
one more, and one fewer while all of them work, beside Dask's own way. Parse: the Python files of TREE (by
default the running Python's library), cold and without a disk tier, on a cluster of two, beside two processes
that have nothing to do with each other and parse half of the files each. These are started and have parsed
something before the clock runs, as the cluster has. Both take turns; the best time of each counts, because
other work only ever adds. Caller: the same files once more, with answers that were recorded, which is what a
caller has to do for each file whatever the number of nodes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sysconfig
import time
from pathlib import Path
from typing import Any

from benchmarks.guard import ready
from benchmarks.rivals.scaling_tasks import contenders, resized, times
from perfcore.parsing import optimize_for_performance
from perfcore.scaling import DaskBackend

OPTIONS = {"cache_directory": False, "max_concurrency": 1}


def parse(paths: list[str], backend: Any = None) -> tuple[float, int]:
    """Return the seconds that parsing takes, and how many symbols there were."""
    with optimize_for_performance(OPTIONS) as parser:
        start = time.perf_counter()
        options = {"backend": backend} if backend is not None else {"jobs": 1}
        symbols = sum(len(result.symbols) for result in parser.parse_many(paths, **options))
        return time.perf_counter() - start, symbols


def half(paths: list[str], ready: Any, done: Any, told: Any) -> None:
    parse(paths[:20])
    ready.wait()
    told.put(parse(paths)[1])
    done.wait()


def independent(paths: list[str]) -> tuple[float, int]:
    """Return the time from when both processes run to the end of the later one, and their symbols."""
    context = multiprocessing.get_context("spawn")
    ready, done, told = context.Barrier(3), context.Barrier(3), context.Queue()
    both = [
        context.Process(target=half, args=(share, ready, done, told), daemon=True) for share in split(paths)
    ]
    for process in both:
        process.start()
    ready.wait()
    start = time.perf_counter()
    done.wait()
    taken = time.perf_counter() - start
    symbols = sum(told.get() for _ in both)
    for process in both:
        process.join()
    return taken, symbols


class Recorded:
    """A backend that knows all answers: the first time it asks another one, and keeps what that says."""

    def __init__(self, other: Any) -> None:
        self._other, self._answers = other, dict[Any, Any]()
        self.slots = other.slots

    def submit(self, fn: Any, /, job: Any) -> Any:
        if job.items not in self._answers:
            self._answers[job.items] = self._other.submit(fn, job)
            self._answers[job.items].result()
        return self._answers[job.items]


def caller(cluster: Any, paths: list[str]) -> float:
    """Return the seconds that a caller takes for its own part; batches are cut as after the first answers."""
    recorded = Recorded(cluster)
    parse(paths, recorded)
    return min(parse(paths, recorded)[0] for _ in range(3))


def split(paths: list[str]) -> tuple[list[str], list[str]]:
    """Return two halves of nearly the same number of bytes."""
    halves: tuple[list[str], list[str]] = ([], [])
    sizes = [0, 0]
    for path in sorted(paths, key=lambda path: Path(path).stat().st_size, reverse=True):
        less = sizes.index(min(sizes))
        halves[less].append(path)
        sizes[less] += Path(path).stat().st_size
    return halves


def tree_of(top: str | None) -> list[str]:
    root = Path(top or sysconfig.get_path("stdlib"))
    found = root.rglob("*.py")
    return sorted(str(path) for path in found if not {"site-packages", "dist-packages"} & {*path.parts})


def beside(cluster: DaskBackend, paths: list[str], rounds: int) -> tuple[float, float]:
    """Return the best seconds of two independent processes, and of the cluster, which take turns."""
    theirs, ours = [], []
    parse(paths[:300], cluster)
    for _ in range(rounds):
        ceiling, expected = independent(paths)
        taken, symbols = parse(paths, cluster)
        assert symbols == expected, "the cluster found other symbols"
        theirs.append(ceiling)
        ours.append(taken)
    return min(theirs), min(ours)


def main() -> None:
    ready()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("tree", nargs="?")
    arguments = parser.parse_args()
    paths = tree_of(arguments.tree)
    with contenders() as (started, found):
        for what, row in (times(found, arguments.tasks, arguments.rounds) | resized(started)).items():
            print(f"{what}:", ", ".join(f"{name} {taken * 1e3:.2f} ms" for name, taken in row.items()))
    with DaskBackend.local(2) as cluster:
        theirs, ours = beside(cluster, paths, arguments.rounds)
        alone = caller(cluster, paths)
    size = sum(Path(path).stat().st_size for path in paths)
    print(
        f"parse {len(paths)} files  {theirs / ours:.2f}   (bar 0.8; two independent processes "
        f"{theirs:.2f} s, cluster {ours:.2f} s)"
    )
    rate = len(paths) / alone
    print(f"caller             {alone:.2f} s for these {size / 1e6:.0f} MB, {rate:,.0f} files a second")


if __name__ == "__main__":
    main()
