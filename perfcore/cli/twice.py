"""``perfcore parse --twice``: what the caches are worth on a real tree, in one table."""

from __future__ import annotations

import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from perfcore.cli.parse import exit_code, run
from perfcore.cli.tables import compare, problems
from perfcore.parsing import Discovery, OptimizedParser, ParseResult, optimize_for_performance
from perfcore.parsing.summary import RunSummary

__all__ = ["measure"]


def measure(
    paths: Sequence[Path], jobs: int | None, exclude: Sequence[str], gitignore: bool, strict: bool
) -> int:
    """Parse ``paths`` three times and print the runs side by side; return the exit code of the first.

    Cold, with a new cache directory; warm, again in the same parser; disk, by a parser with empty memory over
    the same directory, which is what a service sees after a restart.
    """
    if not paths:
        paths, exclude = [Path(sysconfig.get_path("stdlib"))], [*exclude, "site-packages/", "dist-packages/"]
    runs: dict[str, RunSummary] = {}
    problem_files: list[ParseResult] = []

    def go(name: str, parser: OptimizedParser) -> None:
        summary = runs[name] = RunSummary()
        found = Discovery(paths, gitignore=gitignore, exclude=exclude)
        results = [result for result in run(parser, found, jobs, summary, name) if result.failed]
        problem_files[:] = problem_files or results

    with tempfile.TemporaryDirectory(prefix="perfcore-") as directory:
        with optimize_for_performance(cache_directory=directory) as parser:
            go("cold", parser)
            go("warm", parser)
        with optimize_for_performance(cache_directory=directory) as parser:
            go("disk", parser)
    problems(problem_files, Console(stderr=True))
    print(f"{', '.join(map(str, paths))} on Python {sys.version.split()[0]}")
    compare(runs, Console())
    return exit_code(runs["cold"], strict)
