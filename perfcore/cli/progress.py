"""Says how far a long command is, on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["track"]

T = TypeVar("T")

#: Seconds between two plain lines: a log should show that the run lives, not be filled by it.
_INTERVAL = 2.0


def track(items: Iterable[T], total: int, doing: str) -> Iterator[T]:
    """Yield ``items``, showing how many of ``total`` have been seen; ``doing`` says what is done to them."""
    return _bar(items, total, doing) if sys.stderr.isatty() else _lines(items, total, doing)


def _bar(items: Iterable[T], total: int, doing: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=total)
        for item in items:
            progress.advance(task)
            yield item


def _lines(items: Iterable[T], total: int, doing: str) -> Iterator[T]:
    due = time.monotonic() + _INTERVAL
    for count, item in enumerate(items, 1):
        if time.monotonic() >= due or (count == total and total > 0):
            due = time.monotonic() + _INTERVAL
            print(f"{doing}: {count} of {total} files", file=sys.stderr)
        yield item
