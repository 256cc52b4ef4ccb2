"""Which lines of the C core and of the extensions tests have run, from what gcov counted.

    python tools/native_coverage.py --copy build/coverage-work --html build/coverage/html --least 95

Cython writes above the C code of each statement where it stands in the source. A line of Cython was run
when any of the C code of its statements was; a function's first line, when the function was called (that its
module was imported says nothing). Module-level lines are not counted. Cython's own tracer would report by
Python, within locks and without the GIL, and sees none of the code that is C in Cython's syntax.

A line that cannot run by construction says so beside it: ``never run: REASON``; it is not counted.
"""

import argparse
import html
import json
import re
import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXCUSED = re.compile(r"never run: \w+")
ORIGIN = re.compile(r'^\s*/\* "(?P<file>perfcore/_native/[\w/]+\.p[yx]x?d?)":(?P<line>\d+)$')
LEAVES = re.compile(r"^\s*/\* function exit code \*/|^\}|^static [^;]*\b__pyx_pymod_exec_")
IMPORTING = re.compile(r"^static [^;]*\b__pyx_pymod_exec_\w+\([^;]*$")

ROW = "{:38}{:6}{:7}{:8.1f} %  "  # what, lines, of these run, per cent

Counts = dict[str, dict[int, int]]


def gcov(data: Path) -> list[dict]:
    """Return what gcov says of each source of one object."""
    command = ["gcov", "--json-format", "--stdout", data.name]
    done = subprocess.run(command, cwd=data.parent, capture_output=True, text=True, check=True)
    return [file for line in done.stdout.splitlines() if line for file in json.loads(line)["files"]]


def counted(copies: list[Path]) -> Counts:
    """Return how often each line of each source was run, over all objects of all copies."""
    counts: Counts = defaultdict(lambda: defaultdict(int))
    notes = [note for copy in copies for note in sorted(copy.rglob("*.gcno"))]
    with ThreadPoolExecutor(2) as threads:
        for files in threads.map(gcov, notes):
            for file in files:
                lines = counts[named(file["file"])]
                for line in file["lines"]:
                    lines[line["line_number"]] += line["count"]
    return counts


def named(file: str) -> str:
    """Return the name of a source within the tree; the C tests name the core as ``../cache.c``."""
    path = Path(file)
    if not path.is_absolute():
        path = ROOT / ("src_c/tests" if file.startswith("../") or "/" not in file else ".") / path
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def origins(generated: Path) -> dict[int, tuple[str, int]]:
    """Return by line of generated C the line of Cython that it stands for; what is glue stands for none."""
    found: dict[int, tuple[str, int]] = {}
    origin, importing = None, False
    for number, text in enumerate(generated.read_text().splitlines(), 1):
        if match := ORIGIN.match(text):
            origin = match["file"], int(match["line"])
        elif IMPORTING.match(text):
            importing = True
        elif LEAVES.match(text):
            origin, importing = None, importing and text != "}"
        elif origin and not importing:
            found[number] = origin
    return found


def native_lines(counts: Counts) -> Counts:
    """Return the counts of the lines that a person wrote: of the core as they are, of Cython by origin."""
    lines: Counts = defaultdict(lambda: defaultdict(int))
    for file, by_line in counts.items():
        if re.fullmatch(r"src_c/\w+\.[ch]", file):
            lines[file] |= by_line
        elif re.fullmatch(r"build/cython-\w+/perfcore/_native/\w+\.c", file):
            places = origins(ROOT / file)
            for number, count in by_line.items():
                if number in places:
                    name, line = places[number]
                    lines[name][line] += count
    return {file: without_excused(file, lines[file]) for file in sorted(lines)}


def without_excused(file: str, lines: dict[int, int]) -> dict[int, int]:
    """Return the lines that do not say that they cannot run."""
    text = (ROOT / file).read_text().splitlines()
    return {line: lines[line] for line in sorted(lines) if not EXCUSED.search(text[line - 1])}


def share(lines: list[dict[int, int]]) -> tuple[int, int, float]:
    """Return how many lines there are, how many were run, and the per cent."""
    every = sum(map(len, lines))
    run = sum(count > 0 for file in lines for count in file.values())
    return every, run, 100 * run / every if every else 100.0


def ranges(numbers: list[int]) -> str:
    """Return numbers as people write them.

    >>> ranges([1, 2, 3, 7])
    '1-3 7'
    """
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return " ".join(f"{low}-{high}" if high > low else str(low) for low, high in spans)


def table(lines: Counts) -> dict[str, float]:
    """Print a row for each file, the worst last, and the sums; return these."""
    for file in sorted(lines, key=lambda file: -share([lines[file]])[2]):
        missed = ranges([line for line, count in lines[file].items() if not count])
        print(ROW.format(file, *share([lines[file]])), missed)
    sums = {}
    for kind, folder in (("C", "src_c/"), ("Cython", "perfcore/"), ("all native lines", "")):
        found = share([by_line for file, by_line in lines.items() if file.startswith(folder)])
        print(ROW.format(kind, *found))
        sums[kind] = found[2]
    return sums


STYLE = (
    "<meta charset=utf-8><style>body{font:13px monospace}pre{margin:0}"
    ".run{background:#dfd}.not{background:#fcc}</style>"
)


def page(file: str, lines: dict[int, int]) -> str:
    """Return a source as HTML: green what was run, red what was not, with the counts."""
    shown = []
    for number, text in enumerate((ROOT / file).read_text().splitlines(), 1):
        count = lines.get(number)
        kind = "" if count is None else "run" if count else "not"
        said = "" if count is None else count
        shown.append(f"<pre class='{kind}'>{number:5} {said:>12}  {html.escape(text)}</pre>")
    return f"{STYLE}<h3>{file}</h3>" + "\n".join(shown)


def write_pages(lines: Counts, folder: Path) -> None:
    """Write a page for each source, and one that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for file in lines:
        name = file.replace("/", "-") + ".html"
        (folder / name).write_text(page(file, lines[file]))
        rows.append(f"<pre>{share([lines[file]])[2]:6.1f} %  <a href='{name}'>{file}</a></pre>")
    (folder / "index.html").write_text(f"{STYLE}<h3>Lines of the native layer</h3>" + "\n".join(rows))


def main() -> int:
    """Print the table; the status says whether enough was run."""
    parser = argparse.ArgumentParser(description="Which native lines were run, as gcov counted.")
    parser.add_argument("--copy", type=Path, action="append", required=True, help="a folder of objects")
    parser.add_argument("--html", type=Path, help="where the sources go, coloured")
    parser.add_argument("--least", type=float, default=0.0, help="per cent of the native lines; less fails")
    options = parser.parse_args()
    lines = native_lines(counted(options.copy))
    sums = table(lines)
    if options.html:
        write_pages(lines, options.html)
    short = [kind for kind, per_cent in sums.items() if per_cent < options.least]
    for kind in short:
        print(f"{kind}: {sums[kind]:.2f} % of the lines were run, less than {options.least} %")
    return bool(short)


if __name__ == "__main__":
    raise SystemExit(main())
