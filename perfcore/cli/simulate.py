"""``perfcore simulate``: how often caches of several sizes and policies would have hit on a trace."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from perfcore._native.simulate import POLICIES
from perfcore.cli._extra import typer
from perfcore.cli.completing import documents, pictures
from perfcore.cli.completing import policies as complete_policies
from perfcore.cli.progress import meter
from perfcore.units import parse_size

if TYPE_CHECKING:  # numpy, which other commands should not have to load
    from perfcore.cli.trace import Trace

__all__ = ["simulate"]

_SIZES = "0.1%,0.2%,0.5%,1%,2%,5%,10%,20%,50%"


def simulate(
    trace: Annotated[
        Path,
        typer.Argument(
            metavar="TRACE",
            help="The trace; - is the standard input.",
            show_default=False,
            autocompletion=documents(".csv", ".tsv", ".u32", ".sz32", ".txt", ".zst"),
        ),
    ],
    sizes: Annotated[
        str,
        typer.Option(
            "--sizes",
            help="Cache sizes, separated by commas: entries, with --object-sizes bytes (64MB), "
            "or percentages of the different keys (of their bytes).",
        ),
    ] = _SIZES,
    policies: Annotated[
        str,
        typer.Option(
            "--policies",
            help="Policies to compare, separated by commas.",
            autocompletion=complete_policies,
        ),
    ] = ",".join(POLICIES),
    column: Annotated[
        str | None, typer.Option("--column", help="Name or number of the CSV column that holds the key.")
    ] = None,
    object_sizes: Annotated[
        str | None,
        typer.Option(
            "--object-sizes",
            metavar="COLUMN|FILE",
            help="Bytes of each requested object: a CSV column, or for other formats a file of them.",
        ),
    ] = None,
    header: Annotated[
        bool, typer.Option("--header", help="Columns are numbered, and the first CSV row is no data.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw the miss-ratio curve to a .png, .svg or .pdf file.",
            autocompletion=pictures,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides what is left to chance.")] = 0,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Threads; default: one per CPU, at most 8.")
    ] = None,
) -> None:
    """Replay a trace of requests and say how often caches of several sizes would have hit.

    The trace is a text file with one key per line; a .csv or .tsv file, of which --column is the key; or raw
    little-endian 32-bit ids (.u32). Each may be compressed (.zst). The policies are those of perfcore.Cache,
    run by the same code.

    --json prints {"version": 1, "trace", "requests", "distinct", "bytes", "results": [...]}: a result has
    policy, capacity, hit_ratio, weight_hit_ratio (of bytes), hits, evictions, arm, seconds and more.
    """
    from perfcore.cli.curve import as_document, draw, print_tables
    from perfcore.cli.replays import replay_all
    from perfcore.cli.trace import read_trace

    wanted = _policies(policies)
    _check_plot(plot)
    with meter(_length(trace), "reading") as tell:
        requests = read_trace(trace, column, object_sizes, header, tell)
    capacities = _capacities(sizes, requests)
    threads = jobs or min(os.cpu_count() or 1, 8)
    with meter(len(requests.ids) * len(capacities) * len(wanted), "simulating") as tell:
        results = replay_all(requests, capacities, wanted, seed, threads, tell)
    if plot is not None:
        draw(plot, requests, results)
    if as_json:
        print(json.dumps(as_document(str(trace), requests, results), indent=1))
    else:
        print_tables(requests, results)


def _length(trace: Path) -> int:
    """Return the bytes of the file, 0 where that is not known (a pipe is a trace too)."""
    if str(trace) == "-":
        return 0
    if not trace.exists() or trace.is_dir():
        reason = "is a directory" if trace.is_dir() else "does not exist"
        raise typer.BadParameter(f"{trace} {reason}", param_hint="TRACE")
    return trace.stat().st_size


def _policies(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in POLICIES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(POLICIES)}", param_hint="--policies")
    return names


def _check_plot(plot: Path | None) -> None:
    """Refuse what could not be written before the long work, not after it."""
    if plot is None:
        return
    from perfcore.cli.curve import PLOTS, need_matplotlib

    if plot.suffix.lower() not in PLOTS:
        raise typer.BadParameter(
            f"{plot.name}: the name must end with {', '.join(PLOTS)}", param_hint="--plot"
        )
    if not plot.parent.is_dir():
        raise typer.BadParameter(f"{plot.parent} is no directory", param_hint="--plot")
    need_matplotlib()


def _capacities(text: str, trace: Trace) -> list[int]:
    """Return the sizes that ``text`` means for this trace, ascending; what is less than an entry is one."""
    return sorted({_capacity(size.strip(), trace) for size in text.split(",")})


def _capacity(text: str, trace: Trace) -> int:
    try:
        if text.endswith("%"):
            return max(1, round(_share(text[:-1]) * trace.footprint / 100))
        size = int(text) if trace.sizes is None else parse_size(text)
    except ValueError:
        size = 0
    if size < 1:
        unit = "entries" if trace.sizes is None else 'bytes (such as "64MB")'
        raise typer.BadParameter(
            f"{text!r} is neither a number of {unit} nor a percentage up to 100%", param_hint="--sizes"
        )
    return size


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 100:
        raise ValueError(share)
    return share
