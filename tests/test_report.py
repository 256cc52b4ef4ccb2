"""The report says what was measured and nothing else: its page, its charts, the figures of the documents."""

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STORED = ROOT / "benchmarks" / "results" / "reference.json"
#: whom the issue of this report names, by what their columns begin with
NAMED = [
    "perfcore", "functools", "cachetools", "cachebox", "theine", "moka-py", "lru-dict", "diskcache",
    "prometheus_client", "opentelemetry", "ddsketch",
]  # fmt: skip


@pytest.fixture(scope="module")
def report():
    """The modules of the report, which are no part of what is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        import benchmarks.report.charts
        import benchmarks.report.documents
        import benchmarks.report.page
        import benchmarks.report.rendering
        import benchmarks.report.results
        import benchmarks.report.words

        yield benchmarks.report


@pytest.fixture(scope="module")
def stored(report):
    return report.results.read(STORED)


@pytest.fixture
def table(report):
    def make(better="less", unit="ns", **rows):
        return report.results.Table(
            name="t",
            title="Time of one call",
            unit=unit,
            better=better,
            cells={row.replace("_", " "): cells for row, cells in rows.items()},
            champions=["perfcore"],
            floors=["dict"],
        )

    return make


def results_of(report, *tables):
    suite = report.results.Suite(title="A suite", method="By hand.", command="true", tables=list(tables))
    return report.results.Results(taken="2026-11-28", machine={"cores": "2"}, suites={"one": suite})


class Read(HTMLParser):
    """What a page holds: the cells of its tables by name, what it would load, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.loads, self.text, self.data = {}, [], "", ""
        self._name = self._cell = None
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.loads += [found[name] for name in ("src", "href", "data", "action") if found.get(name)]
        self._script = tag == "script"
        if tag == "table":
            self._name = found.get("data-name")
            self.tables[self._name] = []
        elif tag == "tr" and self._name:
            self.tables[self._name].append([])
        elif tag in {"td", "th"} and self._name:
            self.tables[self._name][-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        if tag in {"td", "th"}:
            self._cell = None
        elif tag == "table":
            self._name = None
        elif tag == "script":
            self._script = False

    def handle_data(self, data):
        if self._script:
            self.data += data
            return
        self.text += data
        if self._cell:
            self.tables[self._name][-1][-1] += data


@pytest.fixture(scope="module")
def read(report, stored):
    """The page of the stored results, without its pictures."""
    return Read(report.page.page(stored, {}))


# --- the page -----------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_but_itself(report, stored, table, tmp_path):
    small = results_of(report, table(a={"perfcore": 1.0, "theine": 2.0}))
    page = report.rendering.render(small, tmp_path).read_text()
    for text in (page, report.page.page(stored, {})):
        read = Read(text)
        assert [load for load in read.loads if not load.startswith(("#", "data:image/png;base64,"))] == []
        assert "default-src 'none'" in text
        assert "@import" not in text and "url(" not in text
    assert page.count("data:image/png;base64,") == 1


def test_the_numbers_of_the_page_are_those_of_the_results(report, stored, read):
    for _, table in stored.tables():
        head, *rows = read.tables[table.name]
        assert head[1:] == table.contenders
        for (title, *cells), (row, figures) in zip(rows, table.cells.items(), strict=True):
            assert title == row
            expected = [
                report.words.figure(figures[name]) if name in figures else "-" for name in table.contenders
            ]
            assert cells == expected


def test_the_page_carries_the_results_themselves(report, stored, read):
    again = report.results.msgspec.convert(json.loads(read.data), report.results.Results)
    assert again == stored


def test_every_library_is_named(stored, read):
    for name in NAMED:
        columns = [one for _, table in stored.tables() for one in [*table.contenders, *table.absent]]
        assert any(one.startswith(name) for one in columns), f"{name} was not measured"
        assert name in read.text


CACHES = ["perfcore", "functools", "cachetools", "cachebox", "theine", "moka-py", "lru-dict"]
#: table, and the rows in which each cache has to be
MATRIX = [
    ("operations", ["reading what is there", "a request"]),
    ("ratios", ["mean"]),
    *((f"space {gil}", ["1,000,000"]) for gil in ("with the GIL", "without the GIL")),
    *(
        (f"latency {gil}", [f"{what}, {threads}" for what in ("p50", "p99", "p99.9") for threads in (1, 2)])
        for gil in ("with the GIL", "without the GIL")
    ),
    *(
        (f"threads {gil}", [f"{what}, {threads}" for what in ("hits", "mix") for threads in (1, 2, 4)])
        for gil in ("with the GIL", "without the GIL")
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rows"), MATRIX, ids=lambda value: value if isinstance(value, str) else "")
def test_every_cache_has_every_figure(stored, name, rows):
    """Throughput, hit ratio, bytes of an entry, tails: one thread and several, with the GIL and without."""
    table = stored.table(name)
    for begin in rows:
        cells = [cells for row, cells in table.cells.items() if row.startswith(begin)]
        assert cells
        for cache in CACHES:
            there = [any(one.startswith(cache) for one in row) for row in cells]
            assert all(there), f"{cache}: {begin}"


def test_machine_versions_method_and_caveats_are_there(report, stored, read):
    methods = [suite.method for suite in stored.suites.values()]
    for text in [*stored.machine.values(), *stored.versions, *report.page.CAVEATS, *methods]:
        assert text in read.text


def test_what_is_absent_is_said_with_its_reason(stored, read):
    for _, table in stored.tables():
        for name, why in table.absent.items():
            assert f"{name} has no figures here: {why}." in read.text


def test_a_name_cannot_break_the_page(report, table):
    text = report.page.page(results_of(report, table(a={"perfcore": 1.0, "<b>&rival": 2.0})), {})
    assert "<b>&rival" not in text
    assert "<b>&rival" in Read(text).text


# --- who is better, in words --------------------------------------------------------------------------------


def test_every_loss_is_said(report, stored, read):
    said = [str(loss) for _, table in stored.tables() for loss in report.words.losses(table)]
    assert all(text in read.text for text in said)
    assert report.words.summary(stored) in read.text


def test_a_rival_that_is_better_is_named_with_both_figures(report, table):
    (loss,) = report.words.losses(
        table(a_hit={"perfcore": 50.0, "theine": 30.0, "moka-py": 40.0, "dict": 1.0})
    )
    assert str(loss) == "a hit: theine (30.0 ns) is better than perfcore (50.0 ns) by 40 %."


def test_a_large_difference_is_a_factor(report, table):
    (loss,) = report.words.losses(table(a={"perfcore": 6500.0, "theine": 100.0}))
    assert str(loss).endswith("by a factor of 65.0.")


def test_more_is_better_where_the_table_says_so(report, table):
    one = table("more", "%", kept={"perfcore": 50.0, "theine": 52.5})
    assert [str(loss) for loss in report.words.losses(one)] == [
        "kept: theine (52.5 %) is better than perfcore (50.0 %) by 2.5 points."
    ]
    assert not report.words.losses(table("more", "%", kept={"perfcore": 53.0, "theine": 52.5}))


def test_a_small_difference_is_called_small_and_another_of_ours_that_is_better_is_named(report, table):
    (loss,) = report.words.losses(table(a={"perfcore": 100.0, "perfcore lru": 90.0, "theine": 97.0}))
    assert str(loss).endswith("by 3 %, which two runs may differ by; perfcore lru (90.0 ns) is better still.")


def test_what_is_shown_for_orientation_wins_nothing(report, table):
    assert not report.words.losses(table(a={"perfcore": 2.0, "dict": 1.0, "theine": 3.0}))
    assert not report.words.losses(table(a={"perfcore": 2.0, "dict": 1.0}))


def test_the_summary_counts(report, table):
    one = table(a={"perfcore": 2.0, "theine": 1.0}, b={"perfcore": 1.0, "theine": 2.0})
    assert report.words.summary(results_of(report, one)).startswith("In 1 of 2 comparisons a rival is better")
    won = table(b={"perfcore": 1.0, "theine": 2.0})
    assert "ahead of every rival in all 1" in report.words.summary(results_of(report, won))
    assert list(report.words.standing(one)) == ["perfcore is ahead of every rival in 1 of 2 rows"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.5, "ns", "1,234 ns"), (99.94, "", "99.9"), (12.0, "", "12.0"), (0.01234, "x", "0.0123 x"),
        (5.0, "", "5.00"), (98.26, "%", "98.3 %"), (0.0, "%", "0.00 %"),
    ],
)  # fmt: skip
def test_figures_have_three_digits(report, value, unit, text):
    assert report.words.figure(value, unit) == text


# --- charts -------------------------------------------------------------------------------------------------


def test_bars_begin_at_zero_and_axes_have_units(report, table, monkeypatch):
    from matplotlib.figure import Figure

    axes = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: axes.extend(self.axes))
    one = table(a={"perfcore": 100.0, "theine": 102.0, "dict": 99.0})
    report.charts.draw(report.charts.panels_of(one), "title")
    (axis,) = axes
    assert axis.get_xlim()[0] == 0
    assert axis.get_xlabel() == "ns (less is better)"
    assert [bar.get_width() for bar in axis.patches] == [99.0, 100.0, 102.0]
    assert [text.get_text() for text in axis.texts] == ["99.0", "100", "102"]
    assert len({bar.get_facecolor() for bar in axis.patches}) == 3


def test_a_chart_says_which_results_it_shows(report, table, tmp_path):
    one = results_of(report, table(a={"perfcore": 1.0, "theine": 2.0}))
    report.rendering.render(one, tmp_path)
    png = (tmp_path / "t.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert report.charts.stamp(io.BytesIO(png)) == report.charts.digest(one)
    assert report.charts.digest(one) != report.charts.digest(results_of(report))


# --- the documents ------------------------------------------------------------------------------------------


def test_the_documents_have_what_the_stored_results_say(report, stored):
    for document, text in report.documents.blocks(stored).items():
        written = document.read_text()
        assert report.documents.replaced(written, text) == written, (
            f"{document.name} is behind: python -m benchmarks.report documents"
        )


def test_the_picture_shows_the_stored_results(report, stored):
    assert report.charts.stamp(report.documents.PICTURE) == report.charts.digest(stored)
    assert "docs/images/benchmarks.png" in (ROOT / "README.md").read_text()


def test_a_document_without_a_place_for_figures_is_an_error(report):
    with pytest.raises(ValueError, match="0 blocks"):
        report.documents.replaced("# no markers\n", "figures")


def test_the_readme_marks_the_better_one(report, table):
    lost = results_of(report, table("less", "ns", a_counter={"perfcore": 2.0, "theine": 1.0}))
    lost.suites["one"].tables[0] = report.results.msgspec.structs.replace(
        lost.suites["one"].tables[0], name="metrics"
    )
    assert any("**1.00 ns, theine**" in line for line in report.documents.headlines(lost))


# --- results ------------------------------------------------------------------------------------------------


def test_results_of_another_version_are_refused(report, stored, tmp_path):
    path = tmp_path / "results.json"
    report.results.write(path, report.results.msgspec.structs.replace(stored, version=99))
    with pytest.raises(SystemExit, match="has version 99"):
        report.results.read(path)
    path.write_text("{")
    with pytest.raises(SystemExit, match="holds no results"):
        report.results.read(path)


def test_results_come_back_as_they_were_written(report, stored, tmp_path):
    report.results.write(tmp_path / "results.json", stored)
    assert report.results.read(tmp_path / "results.json") == stored
    assert not stored.quick, "what is stored is a full run"
