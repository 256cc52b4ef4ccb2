"""The figures of README.md and docs/benchmarks.md, written from the stored results between two markers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import results, words
from benchmarks.report.charts import Panel, draw, stamped
from benchmarks.report.results import Results, Table
from benchmarks.report.words import figure, losses, row_of, standing, summary

ROOT = Path(__file__).parents[2]
STORED = ROOT / "benchmarks" / "results" / "reference.json"
PICTURE = ROOT / "docs" / "images" / "benchmarks.png"
README, PAGE = ROOT / "README.md", ROOT / "docs" / "benchmarks.md"
BLOCK = re.compile(r"(<!-- benchmarks: .*? -->\n).*?(<!-- end of benchmarks -->)", re.DOTALL)


#: what the picture shows: table, beginning of the row, and what stands above
PANELS = (
    ("operations", "reading what is there", "a hit"),
    ("operations", "a request", "a request: read, store on a miss"),
    ("latency with the GIL", "p99.9, 1", "the slowest request in a thousand"),
    ("ratios", "mean", "hit ratio, mean over seven traces"),
    ("space with the GIL", "", "memory of an entry"),
    ("threads without the GIL", "mix, 2", "two threads, without the GIL"),
)


def write(path: Path = STORED) -> None:
    """Write the blocks of both documents, and the picture, from the stored results."""
    found = results.read(path)
    for document, text in blocks(found).items():
        document.write_text(replaced(document.read_text(), text))
    PICTURE.write_bytes(picture(found))


def blocks(found: Results) -> dict[Path, str]:
    return {README: "\n".join(headlines(found)) + "\n", PAGE: "\n".join(everything(found)) + "\n"}


def replaced(document: str, text: str) -> str:
    """Return the document with its block replaced.

    Raises:
        ValueError: where it has no markers, or several.
    """
    done, times = BLOCK.subn(lambda match: f"{match[1]}{text}{match[2]}", document)
    if times != 1:
        raise ValueError(f"the document has {times} blocks for figures, not one")
    return done


def picture(found: Results) -> bytes:
    panels = [
        Panel(table, row, f"{title}, {table.unit}")
        for name, begin, title in PANELS
        if (table := found.table(name)) and (row := row_of(table, begin))
    ]
    return stamped(draw(panels, "perfcore beside other caches"), found)


def headlines(found: Results) -> Iterator[str]:
    """Yield the lines of the README's table."""
    yield "| | perfcore | best of the others | measured by |"
    yield "| --- | --- | --- | --- |"
    for line in words.headlines(found):
        mine, theirs = (
            "-" if name is None else f"{mark}{figure(value, line.table.unit)}, {name}{mark}"
            for name, value, best in (line.ours, line.theirs)
            for mark in ["**" if best else ""]
        )
        yield f"| {line.what} | {mine} | {theirs} | `{line.suite}` |"
    yield ""
    yield (
        f"{found.machine.get('processor', '')}, {found.machine.get('cores', '')} cores, "
        f"{found.machine.get('python', '').partition(',')[0]}, {found.taken}. {summary(found)} "
        "`make report` measures all of it on your machine, `python -m benchmarks.report measure operations` "
        "one suite."
    )


def everything(found: Results) -> Iterator[str]:
    """Yield the lines of the page: machine, versions, what is lost, and every table."""
    yield f"Measured {found.taken} on this machine:\n"
    yield from (f"* {name}: {value}" for name, value in found.machine.items())
    yield "\nbeside " + ", ".join(f"{name} {version}" for name, version in found.versions.items()) + ".\n"
    yield "### Where a rival is better\n"
    yield f"{summary(found)}\n"
    for title, table in found.tables():
        yield from (f"* {title}, {table.title}: {loss}" for loss in losses(table))
    for name, suite in found.suites.items():
        yield f"\n### {suite.title}\n\n{suite.method}\n"
        yield f"`{suite.command}`, or `python -m benchmarks.report measure {name}`"
        for table in suite.tables:
            yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    names = table.contenders
    direction = "less is better" if table.better == "less" else "more is better"
    text = "; ".join(standing(table))
    yield f"\n**{table.title}, {table.unit}** ({direction}). {text}{'.' if text else ''}".rstrip() + "\n"
    yield f"| | {' | '.join(names)} |"
    yield f"| --- |{' ---: |' * len(names)}"
    for row, cells in table.cells.items():
        yield f"| {row} | {' | '.join(figure(cells[name]) if name in cells else '-' for name in names)} |"
    notes = [f"{name} has no figures here: {why}." for name, why in table.absent.items()]
    if notes := [*notes, *table.notes]:
        yield "\n" + " ".join(notes)
