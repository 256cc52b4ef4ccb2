"""What the figures say, in words that nobody wrote by hand: who is first, and where a rival is better."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.report.results import Results, Table, ours

#: what two runs of the same thing may differ by, in per cent: said of a loss that is smaller
NOISE = 5.0


class Loss(NamedTuple):
    """A row in which a rival is better than one of ours that is held against it."""

    table: Table
    row: str
    champion: str
    rival: str
    #: by how much, in per cent of ours; points where the unit is per cent
    by: float

    def __str__(self) -> str:
        cells = self.table.cells[self.row]
        unit, amount = self.table.unit, f"{self.by:.0f} %"
        if unit == "%":
            amount = f"{self.by:.1f} points"
        elif (factor := _factor(cells[self.champion], cells[self.rival])) > 2:
            amount = f"a factor of {factor:.1f}"
        elif self.by < 0.5:
            amount = "less than 1 %"
        text = (
            f"{self.row}: {self.rival} ({figure(cells[self.rival], unit)}) is better than {self.champion} "
            f"({figure(cells[self.champion], unit)}) by {amount}"
        )
        if unit != "%" and self.by < NOISE:
            text += ", which two runs may differ by"
        if better := self._better_of_ours():
            text += f"; {better} ({figure(cells[better], unit)}) is better still"
        return f"{text}."

    def _better_of_ours(self) -> str | None:
        """Another one of ours that beats this rival, if there is one."""
        cells, ahead = self.table.cells[self.row], self.table.ahead
        return next(
            (name for name in cells if ours(name) and ahead(cells[name], cells[self.rival])),
            None,
        )


def figure(value: float, unit: str = "") -> str:
    """Return a figure as it is shown everywhere: three digits, or all of a whole number.

    >>> figure(1234.5, "ns"), figure(0.01234), figure(98.26, "%"), figure(12.0)
    ('1,234 ns', '0.0123', '98.3 %', '12.0')
    """
    if value >= 100:
        text = f"{value:,.0f}"
    elif unit == "%" and value >= 10:
        text = f"{value:.1f}"
    else:
        text = f"{value:#.3g}".rstrip(".")
    return f"{text} {unit}".rstrip()


def losses(table: Table) -> list[Loss]:
    """Return each row and champion that is behind the best rival of that row."""
    found = []
    for row, cells in table.cells.items():
        if best := best_rival(table, row):
            found += [
                Loss(table, row, champion, best, _by(table, cells[champion], cells[best]))
                for champion in table.champions
                if champion in cells and table.ahead(cells[best], cells[champion])
            ]
    return found


def best_rival(table: Table, row: str) -> str | None:
    """Return who of the others is best in this row."""
    rivals = table.rivals(table.cells[row])
    return (min if table.better == "less" else max)(rivals, key=rivals.__getitem__, default=None)


def _factor(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return high / low if low else 1.0


def _by(table: Table, mine: float, theirs: float) -> float:
    if table.unit == "%":
        return abs(theirs - mine)
    return 100 * abs(theirs - mine) / mine if mine else 100.0


def standing(table: Table) -> Iterator[str]:
    """Yield for each champion in how many rows it is ahead of all rivals, and against whom it stood."""
    behind = losses(table)
    for champion in table.champions:
        rows = [row for row, cells in table.cells.items() if champion in cells and table.rivals(cells)]
        lost = sum(loss.champion == champion for loss in behind)
        if rows:
            yield f"{champion} is ahead of every rival in {len(rows) - lost} of {len(rows)} rows"


def summary(results: Results) -> str:
    """Return in one sentence how often a rival is better."""
    behind = [loss for _, table in results.tables() for loss in losses(table)]
    held = sum(
        champion in cells and bool(table.rivals(cells))
        for _, table in results.tables()
        for cells in table.cells.values()
        for champion in table.champions
    )
    rivals = sorted({loss.rival for loss in behind})
    if not behind:
        return f"perfcore is ahead of every rival in all {held} comparisons of this run."
    return (
        f"In {len(behind)} of {held} comparisons a rival is better than the part of perfcore that is held "
        f"against it ({', '.join(rivals)}). Each of them is listed."
    )


# --- what stands first --------------------------------------------------------------------------------------


class Headline(NamedTuple):
    """What stands first: a table, the beginning of its row, who of ours, and the suite that measures it."""

    what: str
    table: str
    row: str
    champion: str
    suite: str


HEADLINES = (
    Headline("a hit", "operations", "reading what is there", "perfcore adaptive", "operations"),
    Headline(
        "a request: read, store on a miss", "operations", "a request", "perfcore adaptive", "operations"
    ),
    Headline("its slowest in a thousand", "latency with the GIL", "p99.9, 1", "perfcore adaptive", "latency"),
    Headline("hit ratio, mean over seven traces", "ratios", "mean", "perfcore adaptive", "ratios"),
    Headline("memory of an entry", "space with the GIL", "", "perfcore adaptive", "space"),
    Headline("requests, two threads", "threads with the GIL", "mix, 2", "perfcore adaptive", "threads"),
    Headline("a call of a cached function", "functions", "hit, one str", "perfcore lru_cache", "functions"),
    Headline("1 KB read from disk", "disk", "get, 1 KB", "perfcore", "disk"),
    Headline("a counter, one more", "metrics", "a counter", "perfcore", "metrics"),
)


class Side(NamedTuple):
    """Who, how good, and whether that is the better one; nobody is None."""

    name: str | None
    value: float = 0.0
    best: bool = False


class Line(NamedTuple):
    """One of the headlines with its figures."""

    what: str
    table: Table
    ours: Side
    theirs: Side
    suite: str


def headlines(results: Results) -> Iterator[Line]:
    """Yield what stands first, as far as it was measured."""
    for what, name, begin, champion, suite in HEADLINES:
        table = results.table(name)
        row = row_of(table, begin) if table else None
        if table is None or row is None or champion not in table.cells[row]:
            continue
        cells, rival = table.cells[row], best_rival(table, row)
        lost = rival is not None and table.ahead(cells[rival], cells[champion])
        theirs = Side(None) if rival is None else Side(rival, cells[rival], lost)
        ours_ = Side(champion.removeprefix("perfcore").strip() or champion, cells[champion], not lost)
        size = f", {row.rpartition(', ')[2]}" if row.endswith("entries") else ""
        yield Line(f"{what}{size}", table, ours_, theirs, suite)


def row_of(table: Table, begin: str) -> str | None:
    """Return the last row that begins so: rows of one kind are in the order of their size."""
    return next((row for row in reversed(table.cells) if row.startswith(begin)), None)
