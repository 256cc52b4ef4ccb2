"""Measure everything beside the rivals, and write one page of it.

    python -m benchmarks.report measure [SUITE ...] [--quick]   into build/report/results.json
    python -m benchmarks.report render [--from results.json]    build/report/index.html and PNG charts
    python -m benchmarks.report all [--quick]                   both
    python -m benchmarks.report documents                       README.md and docs/benchmarks.md, as stored

Each suite has a process of its own, and what it measured replaces what an earlier run has left of it.
`make report` measures all suites and renders; `make report QUICK=1` does in less than two minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.guard import ready
from benchmarks.report import documents, results
from benchmarks.report.machine import machine, versions
from benchmarks.report.rendering import render
from benchmarks.report.results import Results, Suite
from benchmarks.report.suites import NAMES, Plan, suite

ROOT = Path(__file__).parents[2]
INTO = ROOT / "build" / "report"


def measure(names: list[str], quick: bool, path: Path) -> int:
    """Measure suites one after the other, and merge what they found into ``path``; return how many failed."""
    about, failed = machine(), 0
    for name in names:
        print(f"{name:<12}", end=" ", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, "one", name, *(["--quick"] if quick else [])],
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            print("failed")
            failed += 1
            continue
        found = msgspec.json.decode(done.stdout, type=Suite)
        merge(path, name, found, quick, about)
        print(f"{found.seconds:6.1f} s", flush=True)
    return failed


def merge(path: Path, name: str, found: Suite, quick: bool, about: dict[str, str]) -> None:
    held = results.read(path) if path.exists() else Results(quick=quick)
    if held.quick != quick:  # never figures of two kinds in one report
        held = Results(quick=quick)
    suites = {**held.suites, name: found}
    results.write(
        path,
        Results(
            taken=f"{datetime.now(UTC):%Y-%m-%d}",
            quick=quick,
            machine=about,
            versions=versions(),
            suites={one: suites[one] for one in NAMES if one in suites},
        ),
    )


def one(name: str, quick: bool) -> None:
    """Measure one suite here, and print it as JSON."""
    start = time.perf_counter()
    found = suite(name)(Plan(quick))
    found = msgspec.structs.replace(
        found,
        seconds=round(time.perf_counter() - start, 1),
        tables=[
            msgspec.structs.replace(
                table,
                cells={
                    row: {n: results.rounded(value) for n, value in cells.items()}
                    for row, cells in table.cells.items()
                },
            )
            for table in found.tables
        ],
    )
    sys.stdout.buffer.write(msgspec.json.encode(found))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("measure", "all", "one"):
        with_suites = commands.add_parser(command)
        with_suites.add_argument("suites", nargs="*", choices=[*NAMES, []], default=[], metavar="SUITE")
        with_suites.add_argument("--quick", action="store_true", help="shorter: for a look, not for a claim")
        with_suites.add_argument("--into", type=Path, default=INTO / "results.json")
    rendering = commands.add_parser("render")
    rendering.add_argument("--from", dest="path", type=Path, default=INTO / "results.json")
    rendering.add_argument("--into", type=Path, default=INTO)
    commands.add_parser("documents")
    options = parser.parse_args()
    if options.command == "render":
        print(render(results.read(options.path), options.into))
    elif options.command == "documents":
        documents.write()
    else:
        ready()
        if options.command == "one":
            one(options.suites[0], options.quick)
        elif measure(options.suites or list(NAMES), options.quick, options.into):
            raise SystemExit("some suites failed")
        elif options.command == "all":
            print(render(results.read(options.into), options.into.parent))


if __name__ == "__main__":
    main()
