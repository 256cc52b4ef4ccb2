"""Tables of figures, and the bars that they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A claim: what was measured must be at most ``limit``, or at least, where ``least`` says so."""

    what: str
    measured: float
    limit: float
    least: bool = False

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.least else self.measured <= self.limit

    def __str__(self) -> str:
        sign, verdict = ">=" if self.least else "<=", "met   " if self.met else "MISSED"
        return f"  {verdict}  {self.measured:9.3f} {sign} {self.limit:<7g} {self.what}"


def print_bars(bars: Sequence[Bar]) -> None:
    for bar in bars:
        print(bar)


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print(f"\n{title}")
    for row in (head, *rows):
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print(f"  {row[0]:{widths[0]}}  {'  '.join(cells)}", flush=True)
