"""The tables that the commands print."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from perfcore.parsing.result import ParseResult
from perfcore.parsing.summary import RunSummary
from perfcore.units import format_size

__all__ = ["compare", "printable", "problems", "summarize"]

#: More broken files than this are counted, not listed.
_LISTED = 20


def compare(runs: Mapping[str, RunSummary], console: Console) -> None:
    """Print ``runs`` side by side, with the speed-up over the first of them."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in runs:
        table.add_column(name, justify="right")
    for label, cells in _rows(list(runs.values())):
        table.add_row(label, *cells)
    console.print(table)


def summarize(summary: RunSummary, console: Console) -> None:
    """Print one run."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for label, cells in _rows([summary]):
        table.add_row(label, *cells)
    console.print(table)


def problems(results: list[ParseResult], console: Console) -> None:
    """Print where the broken files are broken, and which files should have been parsed and were not."""
    for result in results[:_LISTED]:
        if result.skipped is not None:
            what = f"{result.skipped}: {result.detail}" if result.detail else result.skipped
            print_line = f"{printable(result.path)}: {what}"
        else:
            first = result.syntax_errors[0]
            print_line = (
                f"{printable(result.path)}:{first.line}:{first.column + 1}: {printable(first.message)}"
            )
        console.print(print_line, markup=False, highlight=False, soft_wrap=True)
    if len(results) > _LISTED:
        console.print(f"... and {len(results) - _LISTED} more files", markup=False, highlight=False)


def printable(text: str) -> str:
    """Return ``text`` for a terminal: file names may hold bytes that are no text, and control sequences."""
    clean = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in clean)


def _rows(runs: list[RunSummary]) -> list[tuple[str, list[str]]]:
    rows = [
        ("files", [f"{run.files:,}" for run in runs]),
        ("bytes", [format_size(run.bytes) for run in runs]),
        ("symbols", [f"{run.symbols:,}" for run in runs]),
        ("seconds", [f"{run.seconds:.3f}" for run in runs]),
        ("files/s", [f"{run.files_per_second:,.0f}" for run in runs]),
        *((f"p{p} per file", [_duration(run.percentile(p)) for run in runs]) for p in (50, 95, 99)),
        *(
            (label, [f"{run.sources[tier]:,}" for run in runs])
            for label, tier in (("parsed", "parsed"), ("memory hits", "memory"), ("disk hits", "disk"))
        ),
        *(
            [("shared hits", [f"{run.sources['remote']:,}" for run in runs])]
            if any(run.sources["remote"] for run in runs)
            else []
        ),
        ("syntax errors", [f"{run.with_errors:,} files" for run in runs]),
        *((name, [f"{run.languages[name]:,} files" for run in runs]) for name in _names(runs, "languages")),
        *(
            (f"skipped, {name}", [f"{run.skipped[name]:,}" for run in runs])
            for name in _names(runs, "skipped")
        ),
    ]
    if len(runs) > 1:
        first = runs[0]
        rows.append(("speed-up", [_ratio(first.seconds, run.seconds) for run in runs]))
        rows.append(("speed-up per file", [_ratio(first.percentile(50), run.percentile(50)) for run in runs]))
    return rows


def _names(runs: list[RunSummary], counter: str) -> list[str]:
    """Return what any of ``runs`` has counted, the most frequent first."""
    total: Counter[str] = sum((getattr(run, counter) for run in runs), Counter())
    return [name for name, _ in total.most_common()]


def _ratio(slow: float, fast: float) -> str:
    ratio = slow / fast if fast else 0.0
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def _duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"
