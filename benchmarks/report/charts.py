"""Bar charts of tables: one panel a row, axes from zero, each bar with its figure."""

from __future__ import annotations

import hashlib
import io
import textwrap
from pathlib import Path
from typing import Any

from benchmarks.report.results import Results, Table, ours
from benchmarks.report.words import figure

#: told apart by lightness too, so that they differ in print and for whoever sees no red or green
OURS, OURS_TOO, RIVAL, FLOOR = "#0b5fd0", "#7fb2f5", "#b9a38a", "#d9dce1"
INK, QUIET = "#1a1f28", "#545d6b"
MOST_PANELS = 12
KEY = "perfcore-results"


def colour(table: Table, name: str) -> str:
    if name in table.floors:
        return FLOOR
    if ours(name):
        return OURS if name in table.champions else OURS_TOO
    return RIVAL


def draw(table: Table, rows: list[str] | None = None, columns: int = 3, title: str = "") -> bytes:
    """Return a PNG of the table's rows, or of some of them."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    chosen = (rows or list(table.cells))[:MOST_PANELS]
    columns = min(columns, len(chosen))
    lines = -(-len(chosen) // columns)
    tallest = max(len(table.cells[row]) for row in chosen)
    height = lines * (0.62 + 0.235 * tallest) + 0.75
    with plt.rc_context({"font.size": 8.5, "font.family": "DejaVu Sans", "text.color": INK}):
        chart, axes = plt.subplots(
            lines, columns, figsize=(4.1 * columns, height), squeeze=False, layout="constrained"
        )
        direction = "less is better" if table.better == "less" else "more is better"
        chart.suptitle(
            f"{title or table.title}, {table.unit} ({direction})", x=0.01, ha="left", weight="bold", size=11
        )
        for place, panel in enumerate(axes.flat):
            if place < len(chosen):
                _panel(panel, table, chosen[place])
            else:
                panel.set_visible(False)
        _legend(chart, table)
        data = io.BytesIO()
        chart.savefig(data, format="png", dpi=144, facecolor="white", metadata={"Software": None})
        plt.close(chart)
    return data.getvalue()


def _panel(panel: Any, table: Table, row: str) -> None:
    cells = sorted(table.cells[row].items(), key=lambda cell: cell[1], reverse=table.better == "more")
    names, values = [name for name, _ in cells], [value for _, value in cells]
    panel.barh(names, values, color=[colour(table, name) for name in names], height=0.72)
    panel.invert_yaxis()
    widest = max(values, default=1) or 1
    panel.set_xlim(0, 1.24 * widest)
    for place, value in enumerate(values):
        panel.text(value + 0.015 * widest, place, figure(value), va="center", size=7.5, color=INK)
    panel.set_title(textwrap.fill(row, 44), loc="left", size=9, color=INK)
    panel.xaxis.set_major_formatter("{x:,.6g}")
    panel.set_xlabel(table.unit, size=7.5, color=QUIET, labelpad=1)
    panel.tick_params(length=0, labelsize=7.5, colors=QUIET)
    for label, name in zip(panel.get_yticklabels(), names, strict=True):
        label.set_color(INK)
        label.set_weight("bold" if ours(name) else "normal")
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    panel.spines["left"].set_color(QUIET)
    panel.locator_params(axis="x", nbins=4)
    panel.grid(axis="x", color="#eceef1", zorder=0)
    panel.set_axisbelow(True)


def _legend(chart: Any, table: Table) -> None:
    from matplotlib.patches import Patch

    kinds = {"perfcore, held against the rivals": OURS}
    names = table.contenders
    if any(ours(name) and name not in table.champions for name in names):
        kinds["perfcore, other forms"] = OURS_TOO
    if any(not ours(name) and name not in table.floors for name in names):
        kinds["other projects"] = RIVAL
    if any(name in table.floors for name in names):
        kinds["for orientation"] = FLOOR
    chart.legend(
        handles=[Patch(color=shade, label=kind) for kind, shade in kinds.items()],
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
