"""What the documents show is true: their examples and perfcore commands run, and print what stands there.

Where a printed number is measured, and may move with the policies, it must be near what the document says.
(The examples of the docstrings run in test_sources.py.)
"""

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
#: points in per cent by which a measured number may differ from the document's
NEAR = 1.5


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture
def tree(monkeypatch, tmp_path):
    """The source tree as a folder that may be written to."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for path in ROOT.iterdir():
        (folder / path.name).symlink_to(path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_a_document_does_what_it_shows(path, tree):
    """In a process of its own, as a reader has it: what other tests have counted is not seen there."""
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, path], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_document(path):
    """Run what a document shows; return how many blocks that were."""
    blocks = BLOCK.findall(path.read_text())
    names = {}
    for kind, text in blocks:
        if kind == "python":
            run_python(text, names, path.name)
        else:
            run_commands(text)
    return len(blocks)


def run_python(text, names, title):
    session = doctest.DocTestParser().get_doctest(text, names, title, title, 0)
    assert session.examples, f"{title}: a Python block without a prompt is not run:\n{text}"
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(session, clear_globs=False)
    assert not result.failed
    names.update(session.globs)


def run_commands(text):
    """Run the commands of perfcore; what installs or builds is left to the reader."""
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        program, *arguments = shlex.split(command)
        if program == "perfcore":
            done = subprocess.run(
                [sys.executable, "-m", "perfcore", *arguments], capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, done.stderr
            assert differences(expected, done.stdout) == []


def differences(expected, told):
    """Return pairs of lines that do not agree."""
    lines = [[line for line in map(tokens, text.splitlines()) if line] for text in (expected, told)]
    if len(lines[0]) != len(lines[1]):
        return [tuple(lines)]
    return [pair for pair in zip(*lines, strict=True) if not agree(*pair)]


def tokens(line):
    return line.replace("─", "").split()


def agree(expected, told):
    if "..." in expected:
        at = expected.index("...")
        expected, told = expected[:at], told[:at]
    return len(expected) == len(told) and all(map(near, expected, told))


def near(expected, told):
    if expected == told:
        return True
    decimal = re.compile(r"\d+\.\d+")
    return bool(
        decimal.fullmatch(expected) and decimal.fullmatch(told) and abs(float(expected) - float(told)) <= NEAR
    )


def test_a_document_that_is_wrong_is_noticed():
    table = "size lru\n10 49.50\n"
    assert not differences(table, "size  lru\n────\n10  49.9\n\n")
    assert differences(table, "size lru\n10 51.50\n")
    assert differences(table, "size lru\n11 49.50\n")
    assert differences(table, "size lru\n")
    assert not differences("rate: ...\n", "rate: 7 8\n") and differences("rate: ...\n", "speed: 7\n")
    with pytest.raises(AssertionError):
        run_python(">>> 1 + 1\n3\n", {}, "a document")
    with pytest.raises(AssertionError):
        run_python("print(1)\n", {}, "a document")


if __name__ == "__main__":
    document = Path(sys.argv[1])
    assert run_document(document) or document.name not in {"README.md", "choosing.md", "migrating.md"}, (
        "no blocks"
    )
