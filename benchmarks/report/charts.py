"""Bar charts of tables: one panel a row, axes from zero, each bar with its figure."""

from __future__ import annotations

import hashlib
import io
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.report.results import Results, Table, ours
from benchmarks.report.words import figure

#: told apart by lightness too, so that they differ in print and for whoever sees no red or green
OURS, OURS_TOO, RIVAL, FLOOR = "#0b5fd0", "#7fb2f5", "#b9a38a", "#d9dce1"
KINDS = {
    OURS: "perfcore, held against the rivals",
    OURS_TOO: "perfcore, other forms",
    RIVAL: "other projects",
    FLOOR: "for orientation",
}
INK, QUIET = "#1a1f28", "#545d6b"
MOST_PANELS = 12
KEY = "perfcore-results"


def colour(table: Table, name: str) -> str:
    if name in table.floors:
        return FLOOR
    if ours(name):
        return OURS if name in table.champions else OURS_TOO
    return RIVAL


class Panel(NamedTuple):
    """One row of a table, and what stands above it."""

    table: Table
    row: str
    title: str


def panels_of(table: Table) -> list[Panel]:
    return [Panel(table, row, row) for row in list(table.cells)[:MOST_PANELS]]


def direction(table: Table) -> str:
    return "less is better" if table.better == "less" else "more is better"


def draw(panels: Sequence[Panel], title: str, columns: int = 3) -> bytes:
    """Return a PNG of these rows, each in a panel with an axis of its own."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    tallest = max(len(panel.table.cells[panel.row]) for panel in panels)
    height = lines * (0.62 + 0.235 * tallest) + 0.75
    with plt.rc_context({"font.size": 8.5, "font.family": "DejaVu Sans", "text.color": INK}):
        chart, axes = plt.subplots(
            lines, columns, figsize=(4.1 * columns, height), squeeze=False, layout="constrained"
        )
        chart.suptitle(title, x=0.01, ha="left", weight="bold", size=11)
        for place, axis in enumerate(axes.flat):
            if place < len(panels):
                _draw(axis, panels[place])
            else:
                axis.set_visible(False)
        _legend(chart, {panel.table.name: panel.table for panel in panels}.values())
        data = io.BytesIO()
        chart.savefig(data, format="png", dpi=144, facecolor="white", metadata={"Software": None})
        plt.close(chart)
    return data.getvalue()


def _draw(axis: Any, panel: Panel) -> None:
    table, row, title = panel
    cells = sorted(table.cells[row].items(), key=lambda cell: cell[1], reverse=table.better == "more")
    names, values = [name for name, _ in cells], [value for _, value in cells]
    axis.barh(names, values, color=[colour(table, name) for name in names], height=0.72)
    axis.invert_yaxis()
    widest = max(values, default=1) or 1
    axis.set_xlim(0, 1.24 * widest)
    for place, value in enumerate(values):
        axis.text(value + 0.015 * widest, place, figure(value), va="center", size=7.5, color=INK)
    axis.set_title(textwrap.fill(title, 44), loc="left", size=9, color=INK)
    axis.xaxis.set_major_formatter("{x:,.6g}")
    axis.set_xlabel(f"{table.unit} ({direction(table)})", size=7.5, color=QUIET, labelpad=1)
    axis.tick_params(length=0, labelsize=7.5, colors=QUIET)
    for label, name in zip(axis.get_yticklabels(), names, strict=True):
        label.set_color(INK)
        label.set_weight("bold" if ours(name) else "normal")
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.spines["left"].set_color(QUIET)
    axis.locator_params(axis="x", nbins=4)
    axis.grid(axis="x", color="#eceef1", zorder=0)
    axis.set_axisbelow(True)


def _legend(chart: Any, tables: Iterable[Table]) -> None:
    from matplotlib.patches import Patch

    shades = {colour(table, name) for table in tables for name in table.contenders}
    kinds = {shade: kind for shade, kind in KINDS.items() if shade in shades}
    chart.legend(
        handles=[Patch(color=shade, label=kind) for shade, kind in kinds.items()],
        loc="outside lower left",
        ncols=len(kinds),
        frameon=False,
        fontsize=7.5,
    )


def digest(results: Results) -> str:
    """Return by what a picture says which results it shows."""
    import msgspec

    return hashlib.sha256(msgspec.json.encode(results)).hexdigest()[:16]


def stamped(png: bytes, results: Results) -> bytes:
    """Return the picture with the digest of its results in it."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info, out = PngInfo(), io.BytesIO()
    info.add_text(KEY, digest(results))
    with Image.open(io.BytesIO(png)) as image:
        image.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(
            out, "PNG", pnginfo=info, optimize=True
        )
    return out.getvalue()


def stamp(path: Path) -> str:
    """Return which results a stored picture shows."""
    from PIL import Image

    with Image.open(path) as image:
        return str(image.info.get(KEY, ""))
