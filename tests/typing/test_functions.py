"""Cached functions keep their signatures, for type checkers as for whoever calls them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api

import perfcore

CASES = Path(__file__).with_name("functions.py")
ROOT = Path(perfcore.__file__).parent.parent


def by_mypy(folder):
    """Yield each line of which mypy says something, whether that is an error, and what it says."""
    output, errors, _ = api.run(["--strict", "--no-error-summary", "--cache-dir", ".mypy_cache", str(CASES)])
    assert not errors
    for line in output.splitlines():
        if match := re.match(r".*?functions\.py:(\d+): (note|error): (.*)", line):
            yield int(match[1]), match[2] == "error", match[3]


def by_pyright(folder):
    """The same for pyright, of which basedpyright is a build that needs no network."""
    project = folder / "pyrightconfig.json"
    project.write_text(
        json.dumps({"include": [str(CASES)], "extraPaths": [str(ROOT)], "typeCheckingMode": "standard"})
    )
    command = [sys.executable, "-m", "basedpyright", "-p", project, "--pythonpath", sys.executable]
    done = subprocess.run([*command, "--outputjson"], capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    for said in json.loads(done.stdout)["generalDiagnostics"]:
        yield said["range"]["start"]["line"] + 1, said["severity"] == "error", said["message"]


@pytest.mark.parametrize("checker", [by_mypy, by_pyright])
def test_type_checkers_know_cached_functions(checker, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    found = {}
    for number, wrong, message in checker(tmp_path):
        said = re.search(r'(?:Revealed type|Type of ".*") is "(.*)"', message)
        if wrong or said:
            kind = "error" if wrong else re.sub(r"\b[\w.]+\.(?=\w)", "", said[1])
            found[number] = kind.replace("CoroutineType[", "Coroutine[")  # its name since Python 3.13
    wanted = {
        number: line.rpartition("# -> ")[2]
        for number, line in enumerate(CASES.read_text().splitlines(), 1)
        if "# -> " in line
    }
    assert found == wanted
