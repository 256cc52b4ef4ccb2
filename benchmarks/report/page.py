"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import msgspec

from benchmarks.report.charts import MOST_PANELS
from benchmarks.report.results import Results, Suite, Table, ours
from benchmarks.report.words import figure, headlines, losses, standing, summary

TEMPLATE = Path(__file__).with_name("page.html")

#: what holds for every figure, whatever is measured
CAVEATS = (
    "These are small loops on one machine. They show what an operation costs at least; they are no "
    "substitute for measuring your own program.",
    "Compare figures of one table only: within it all took turns in the same process, or in processes "
    "that took turns. Between two runs on a shared machine single figures move by a few per cent, "
    "sometimes more.",
    "Libraries do different things for their time: some count hits, lock, keep weights or lifetimes, "
    "others do not. Each is used as its documentation shows first.",
    "The fastest round counts wherever rounds are taken, because other work on the machine only ever adds "
    "to a time.",
)


def page(results: Results, pictures: Mapping[str, bytes]) -> str:
    """Return the page; ``pictures`` holds a PNG by the name of its table."""
    data = msgspec.json.encode(results).decode().replace("<", "\\u003c")
    parts = {
        "kind": "a quick run: fewer and shorter rounds, so expect more noise"
        if results.quick
        else "a full run",
        "taken": escape(results.taken),
        "summary": escape(summary(results)),
        "short": "".join(_short(results)),
        "losses": "".join(_all_losses(results)),
        "machine": _pairs(results.machine),
        "versions": _pairs(results.versions),
        "caveats": "".join(f"<li>{escape(text)}</li>" for text in CAVEATS),
        "contents": "".join(
            f'<li><a href="#{name}">{escape(suite.title)}</a></li>' for name, suite in results.suites.items()
        ),
        "suites": "".join(_suite(name, suite, pictures) for name, suite in results.suites.items()),
        "data": data,
    }
    text = TEMPLATE.read_text()
    for name, part in parts.items():
        text = text.replace(f"<!-- {name} -->", part)
    return text


def _pairs(pairs: Mapping[str, str]) -> str:
    return "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in pairs.items()
    )


def _short(results: Results) -> Iterator[str]:
    """Yield the rows that stand first, the better figure of each marked."""
    for line in headlines(results):
        table = line.table
        mine, theirs = (
            "<td>-</td>" if name is None else _marked(f"{figure(value, table.unit)}, {name}", best)
            for name, value, best in (line.ours, line.theirs)
        )
        yield (
            f'<tr><th scope="row"><a href="#{_id(table)}">{escape(line.what)}</a></th>{mine}{theirs}'
            f"<td>{'less' if table.better == 'less' else 'more'}</td></tr>"
        )


def _all_losses(results: Results) -> Iterator[str]:
    """Yield for each table who is better there, and how often; the sentences stand beside the table."""
    for title, table in results.tables():
        if behind := losses(table):
            rows, rivals = {loss.row for loss in behind}, dict.fromkeys(loss.rival for loss in behind)
            yield (
                f'<tr><th scope="row"><a href="#{_id(table)}">{escape(title)}: {escape(table.title)}</a></th>'
                f"<td>{len(rows)} of {len(table.cells)}</td><td>{escape(', '.join(rivals))}</td></tr>"
            )


def _id(table: Table) -> str:
    return f"table-{table.name.replace(' ', '-')}"


def _marked(text: str, best: bool) -> str:
    return f'<td class="best"><strong>{escape(text)}</strong></td>' if best else f"<td>{escape(text)}</td>"


def _suite(name: str, suite: Suite, pictures: Mapping[str, bytes]) -> str:
    tables = "".join(_table(table, pictures.get(table.name)) for table in suite.tables)
    return (
        f'<section id="{name}"><h2>{escape(suite.title)}</h2><p>{escape(suite.method)}</p>'
        f"<p>Measured again by <code>{escape(suite.command)}</code>.</p>{tables}</section>"
    )


def _table(table: Table, picture: bytes | None) -> str:
    names = table.contenders
    head = "".join(f'<th scope="col"{_kind(table, name)}>{escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{escape(row)}</th>'
        + f"{''.join(_cell(table, row, name) for name in names)}</tr>"
        for row in table.cells
    )
    direction = "less is better" if table.better == "less" else "more is better"
    title = escape(f"{table.title}, {table.unit} ({direction})")
    return (
        f'<h3 id="{_id(table)}">{title}</h3>'
        f"{_standing(table)}"
        f'<ul class="losses">{"".join(f"<li>{escape(str(loss))}</li>" for loss in losses(table))}</ul>'
        f"{_picture(table, picture)}"
        f'{_scrolling(title)}<table data-name="{escape(table.name)}"><caption>{title}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
        f'<ul class="notes">{"".join(_notes(table))}</ul>'
    )


def _standing(table: Table) -> str:
    text = "; ".join(standing(table))
    return f'<p class="standing">{escape(text)}.</p>' if text else ""


def _picture(table: Table, picture: bytes | None) -> str:
    if picture is None:
        return ""
    data = base64.b64encode(picture).decode()
    title = f"Bars of the table below: {escape(table.title)}"
    image = f'{_scrolling(title)}<img alt="{title}" src="data:image/png;base64,{data}"></div>'
    if len(table.cells) > MOST_PANELS:
        image += f"<p class='quiet'>The chart has the first {MOST_PANELS} of {len(table.cells)} rows.</p>"
    return image


def _scrolling(title: str) -> str:
    """Open what scrolls by itself where the window is narrow, with the keyboard too."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{title}">'


def _kind(table: Table, name: str) -> str:
    kinds = {True: "ours", name in table.floors: "floor"} if ours(name) else {name in table.floors: "floor"}
    return f' class="{kinds[True]}"' if True in kinds else ""


def _cell(table: Table, row: str, name: str) -> str:
    cells = table.cells[row]
    if name not in cells:
        return "<td>-</td>"
    competing = {one: value for one, value in cells.items() if one not in table.floors}
    best = (min if table.better == "less" else max)(competing.values(), default=None)
    return _marked(figure(cells[name]), name in competing and cells[name] == best)


def _notes(table: Table) -> Iterator[str]:
    for name, why in table.absent.items():
        yield f"<li>{escape(name)} has no figures here: {escape(why)}.</li>"
    for note in table.notes:
        yield f"<li>{escape(note)}</li>"
