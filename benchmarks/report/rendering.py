"""From results to files: the page, and a PNG chart for each table."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report.charts import draw, panels_of, stamped
from benchmarks.report.page import page
from benchmarks.report.results import Results


def render(results: Results, into: Path) -> Path:
    """Write index.html and the charts into a folder, and return the page's path."""
    into.mkdir(parents=True, exist_ok=True)
    pictures = {
        table.name: stamped(draw(panels_of(table), f"{table.title}, {table.unit}"), results)
        for _, table in results.tables()
        if table.cells
    }
    for name, picture in pictures.items():
        (into / f"{name.replace(' ', '-')}.png").write_bytes(picture)
    path = into / "index.html"
    path.write_text(page(results, pictures))
    return path
