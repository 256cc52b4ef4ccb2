"""Says how far a long command is, on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["meter", "track"]

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


@contextmanager
def meter(total: int, doing: str) -> Iterator[Callable[[int], None]]:
    """Give a function to call with how much of ``total`` is done; only the share is shown."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(doing, total=total)
            yield lambda done: progress.update(task, completed=done)
    else:
        yield _PlainMeter(total, doing)


class _PlainMeter:
    """Prints the share that is done, every two seconds."""

    def __init__(self, total: int, doing: str) -> None:
        self.total = total
        self.doing = doing
        self.due = time.monotonic() + _INTERVAL

    def __call__(self, done: int) -> None:
        if self.total and time.monotonic() >= self.due:
            self.due = time.monotonic() + _INTERVAL
            print(f"{self.doing}: {min(done / self.total, 1):.0%}", file=sys.stderr)
