"""A table for the Python with the GIL, and its twin for the one without: who is missing there, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.report.results import Table
from benchmarks.rivals.memory.contenders import RIVALS
from benchmarks.rivals.memory.interpreters import NOT_INSTALLED, WITHOUT, Told, installed, interpreters

#: what the method says where there is no such Python
NO_PYTHON = (
    ""
    if WITHOUT in interpreters()
    else " There was no CPython without the GIL here; make free-threaded-rivals builds one."
)
NO_WHEEL = "it does not install on a CPython without the GIL (make free-threaded-rivals tries)"


class Cells:
    """The figures of a table as they come, and what is to be said of those that do not."""

    def __init__(self, title: str) -> None:
        self.title, self.version = title, ""
        self.cells: dict[str, dict[str, float]] = {}
        self._absent: dict[str, str] = {}
        self._back: list[str] = []

    def take(self, name: str, told: Told, figures: dict[str, float]) -> None:
        """Note the figures of a contender by row, or why it has none."""
        without = self.title == WITHOUT
        if told.failed:
            missing = without and NOT_INSTALLED in told.failed
            self._absent[name] = NO_WHEEL if missing else told.failed
            return
        self.version = told.version
        for row, figure in figures.items():
            self.cells.setdefault(row, {})[name] = figure
        if told.gil and without and name not in self._back:
            self._back.append(name)

    def table(self, name: str, title: str, missing: Mapping[str, str] = {}, **rest: Any) -> Table:
        """Return the table; ``missing`` has who did not take part at all."""
        notes = [
            f"{one} switches the GIL on when it is imported: its figures are with the GIL."
            for one in self._back
        ]
        if self.title == WITHOUT:
            there = installed(interpreters()[WITHOUT], [package for package, _, _ in RIVALS])
            notes.append(f"Versions there: {', '.join(f'{one} {number}' for one, number in there.items())}.")
        return Table(
            name=name,
            title=f"{title}, CPython {self.version} {self.title}",
            cells=self.cells,
            absent={**missing, **self._absent},
            notes=[*rest.pop("notes", ()), *notes],
            **rest,
        )
