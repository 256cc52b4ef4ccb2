"""``perfcore parse``: symbols of source trees, through the caches."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from msgspec.structs import asdict

from perfcore.cli._extra import typer
from perfcore.cli.progress import track
from perfcore.parsing import Discovery, OptimizedParser, ParseResult, optimize_for_performance
from perfcore.parsing.summary import RunSummary
from perfcore.types import RunsTasks

__all__ = ["parse"]

#: Raised when the shape of ``--json`` changes; documented in the help of the command.
JSON_VERSION = 1


def parse(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help="Files and directories.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes; default: one per CPU, at most 4.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write a cache.")] = False,
    cache_dir: Annotated[
        Path | None, typer.Option("--cache-dir", help="Where the disk cache lives; default: the user's.")
    ] = None,
    clear_cache: Annotated[bool, typer.Option("--clear-cache", help="Forget earlier results first.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when a file is broken or could not be parsed.")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="PATTERN", help="Pass over what matches, as a line of .gitignore."),
    ] = None,
    no_ignore: Annotated[bool, typer.Option("--no-ignore", help="Do not look at .gitignore files.")] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", metavar="ADDRESS", help="Parse on the Dask cluster at tcp://host:8786 (extra dask)."
        ),
    ] = None,
    remote: Annotated[
        str | None,
        typer.Option(
            "--remote", metavar="URL", help="Share results through redis://host:6379 (extra valkey)."
        ),
    ] = None,
    twice: Annotated[
        bool,
        typer.Option(
            "--twice", help="Measure: cold, from memory, from disk; default PATH: Python's library."
        ),
    ] = False,
) -> None:
    """Parse source files and say what is in them.

    Python, JavaScript, TypeScript, TSX, Java, Go, Rust, C and C++. Exits with 0 unless nothing could be
    parsed or, with --strict, something could not (1), or the command was called wrongly (2).

    --json prints {"version": 1, "files": [...], "skipped": [...], "summary": {...}}: a file has path,
    language, content_hash, size, encoding, node_count, symbols, imports, syntax_errors, source and parse_time
    (seconds); what was skipped has path, reason and detail.
    """
    if cluster and (twice or jobs):
        raise typer.BadParameter("a cluster has its own number of processes", param_hint="--cluster")
    if twice:
        from perfcore.cli.twice import measure

        raise typer.Exit(measure(paths or [], jobs, exclude or [], not no_ignore, strict))
    if not paths and not clear_cache:
        raise typer.BadParameter("name at least one file or directory", param_hint="PATH...")
    if clear_cache:
        with optimize_for_performance(cache_directory=cache_dir) as parser:
            parser.clear_cache()
    if paths:
        options = {"enable_parse_cache": not no_cache, "cache_directory": cache_dir, "remote": remote}
        with _backend(cluster) as backend, _parser(options) as parser:
            discovery = Discovery(paths, gitignore=not no_ignore, exclude=exclude or ())
            summary = RunSummary()
            results = run(parser, discovery, jobs, summary, backend=backend)
            (_print_json if as_json else _print_table)(results, summary)
            raise typer.Exit(exit_code(summary, strict))


def _parser(options: dict[str, Any]) -> OptimizedParser:
    try:
        return optimize_for_performance(options)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def _backend(cluster: str | None) -> Iterator[RunsTasks | None]:
    """Give the backend at an address, for as long as the block lasts."""
    if cluster is None:
        yield None
        return
    from perfcore.scaling import DaskBackend

    try:
        backend = DaskBackend(cluster)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cluster") from None
    with backend:
        yield backend


def exit_code(summary: RunSummary, strict: bool) -> int:
    """Return 1 when nothing could be parsed, or something could not and ``strict`` minds; else 0."""
    return 1 if summary.files == 0 or (strict and summary.failed) else 0


def run(
    parser: OptimizedParser,
    discovery: Discovery,
    jobs: int | None,
    summary: RunSummary,
    doing: str = "parsing",
    backend: RunsTasks | None = None,
) -> Iterator[ParseResult]:
    """Yield a result for each file found, then for each passed over, adding all to ``summary``."""
    started = time.perf_counter()
    names = list(discovery)
    for result in track(parser.parse_many(names, jobs=jobs, backend=backend), len(names), doing):
        summary.add(result)
        yield result
    for result in discovery.skipped:
        summary.add(result)
        yield result
    summary.seconds = time.perf_counter() - started


def _print_table(results: Iterator[ParseResult], summary: RunSummary) -> None:
    from rich.console import Console

    from perfcore.cli.tables import problems, summarize

    failed = [result for result in results if result.failed]
    problems(failed, Console(stderr=True))
    summarize(summary, Console())


def _print_json(results: Iterator[ParseResult], summary: RunSummary) -> None:
    """Write file by file: the document may be larger than memory."""
    skipped, separator = [], "\n"
    sys.stdout.write(f'{{"version": {JSON_VERSION}, "files": [')
    for result in results:
        if result.skipped is not None:
            skipped.append({"path": result.path, "reason": result.skipped, "detail": result.detail})
            continue
        sys.stdout.write(separator + json.dumps(_plain(result)))
        separator = ",\n"
    end = {"skipped": skipped, "summary": summary.as_dict()}
    sys.stdout.write(f"\n], {json.dumps(end)[1:]}\n")


def _plain(result: ParseResult) -> dict[str, Any]:
    """Return ``result`` with names instead of positions; ASCII escapes keep file names that are no text."""
    plain = asdict(result)
    del plain["skipped"], plain["detail"]
    for field in ("symbols", "imports", "syntax_errors"):
        plain[field] = [asdict(record) for record in plain[field]]
    return plain
