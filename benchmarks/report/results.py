"""What was measured, as one JSON document: suites of tables, with the machine and the versions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

#: raised when the document's shape changes
VERSION = 1
#: significant digits that are kept: more than any run repeats
DIGITS = 4


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one kind: what was done, by row, and who did it, by column."""

    name: str
    title: str
    unit: str
    better: Literal["less", "more"]
    #: row -> contender -> figure
    cells: dict[str, dict[str, float]]
    #: those of ours that are held against the rivals
    champions: list[str]
    #: shown for orientation, but no rivals: what nobody can do without, or what no program is
    floors: list[str] = []
    #: contender -> why it has no figures
    absent: dict[str, str] = {}
    notes: list[str] = []

    @property
    def contenders(self) -> list[str]:
        """All columns, in the order of their first figure."""
        return list(dict.fromkeys(name for row in self.cells.values() for name in row))

    def rivals(self, row: Mapping[str, float]) -> dict[str, float]:
        """The figures of a row that belong to other projects."""
        return {name: value for name, value in row.items() if not ours(name) and name not in self.floors}

    def ahead(self, one: float, other: float) -> bool:
        """Whether one figure is better than the other."""
        return one < other if self.better == "less" else one > other


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """Tables that one process measured, how it did, and the command that does it again."""

    title: str
    method: str
    command: str
    tables: list[Table]
    seconds: float = 0.0


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a report says."""

    version: int = VERSION
    taken: str = ""
    quick: bool = False
    machine: dict[str, str] = {}
    versions: dict[str, str] = {}
    suites: dict[str, Suite] = {}

    def tables(self) -> Iterator[tuple[str, Table]]:
        for suite in self.suites.values():
            for table in suite.tables:
                yield suite.title, table

    def table(self, name: str) -> Table | None:
        return next((table for _, table in self.tables() if table.name == name), None)


def ours(name: str) -> bool:
    return name.startswith("perfcore")


def rounded(value: float) -> float:
    """Return a figure with as many digits as are kept."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value


def read(path: Path) -> Results:
    """Read what was measured; a document of another version is refused.

    Raises:
        SystemExit: where the document is of another version, or none.
    """
    try:
        results = msgspec.json.decode(path.read_bytes(), type=Results)
    except (OSError, msgspec.DecodeError) as error:
        raise SystemExit(f"{path} holds no results: {error}") from None
    if results.version != VERSION:
        raise SystemExit(f"{path} has version {results.version}, and this report reads {VERSION}")
    return results


def write(path: Path, results: Results) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
