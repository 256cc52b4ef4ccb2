"""What became slower between two kept runs of `make bench`: a guard against regressions, on any machine.

    python -m benchmarks.compare [OLD NEW] [--worse 25]    # numbers as in `pytest-benchmark list`, or files

Without runs the last two are compared. A benchmark's fastest round counts, and the median change of all
benchmarks is taken out first: a machine that is slower today makes all of them slower, a regression some.
What has become worse by more than so many per cent is listed, and the command fails. Look at that benchmark
alone and several times before you believe it: ``pytest benchmarks -k NAME --benchmark-only``.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import NamedTuple

import msgspec

KEPT = Path(__file__).parents[1] / ".benchmarks"
#: per cent: what single benchmarks move by between two runs of one commit on a busy machine
WORSE = 25.0


class Stats(msgspec.Struct):
    min: float


class Benchmark(msgspec.Struct):
    fullname: str
    stats: Stats


class Run(msgspec.Struct):
    benchmarks: list[Benchmark]


class Change(NamedTuple):
    """A benchmark, its fastest round before and after in seconds, and its change beside all, in per cent."""

    name: str
    before: float
    after: float
    by: float

    def __str__(self) -> str:
        return (
            f"{self.by:+7.1f} %  {self.before * 1e6:12,.3f} us -> {self.after * 1e6:12,.3f} us  {self.name}"
        )


def read(path: Path) -> dict[str, float]:
    """Return the fastest round of each benchmark in seconds."""
    run = msgspec.json.decode(path.read_bytes(), type=Run)
    return {one.fullname: one.stats.min for one in run.benchmarks}


def changes(before: dict[str, float], after: dict[str, float]) -> tuple[float, list[Change]]:
    """Return by which factor all took longer, and each benchmark of both runs, the worst first.

    >>> times = {"a": 1.0, "b": 2.0, "c": 3.0}
    >>> pace, (worst, *_) = changes(times, {"a": 2.0, "b": 4.0, "c": 9.0})
    >>> pace, worst.name, worst.by
    (2.0, 'c', 50.0)
    """
    ratios = {name: after[name] / before[name] for name in before if after.get(name) and before[name]}
    if not ratios:
        raise SystemExit("the two runs have no benchmark in common")
    pace = statistics.median(ratios.values())
    found = [
        Change(name, before[name], after[name], 100 * (ratio / pace - 1)) for name, ratio in ratios.items()
    ]
    return pace, sorted(found, key=lambda change: -change.by)


def kept(name: str) -> Path:
    """Return the file of a run: its path, or its number."""
    if Path(name).is_file():
        return Path(name)
    found = sorted(KEPT.glob(f"*/{name}_*.json"))
    if not found:
        raise SystemExit(
            f"there is no run {name} in {KEPT.name}: make bench keeps one, pytest-benchmark list tells"
        )
    return found[-1]


def last_two() -> list[Path]:
    runs = sorted(KEPT.glob("*/[0-9]*_*.json"), key=lambda path: path.name)
    if len(runs) < 2:
        raise SystemExit(f"{len(runs)} of the two runs are kept in {KEPT.name}: make bench, on each commit")
    return runs[-2:]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--worse", type=float, default=WORSE, help="per cent from which it is a regression")
    options = parser.parse_args()
    if len(options.runs) not in (0, 2):
        parser.error("name two runs, or none")
    old, new = [kept(name) for name in options.runs] or last_two()
    pace, found = changes(read(old), read(new))
    worse = [change for change in found if change.by > options.worse]
    print(f"{old.name} -> {new.name}: {len(found)} benchmarks, all of them at {pace:.2f} times the time")
    for change in worse:
        print(change)
    if worse:
        raise SystemExit(f"{len(worse)} became slower by more than {options.worse:g} % beside the others")
    print(f"none became slower by more than {options.worse:g} % beside the others; worst: {found[0]}")


if __name__ == "__main__":
    main()
