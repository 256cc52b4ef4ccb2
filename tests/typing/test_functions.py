"""Cached functions keep their signatures, for mypy as for whoever calls them."""

import re
from pathlib import Path

from mypy import api

import perfcore

CASES = Path(__file__).with_name("functions.py")
ROOT = Path(perfcore.__file__).parent.parent


def test_type_checkers_know_cached_functions(monkeypatch):
    monkeypatch.chdir(ROOT)
    output, errors, _ = api.run(["--strict", "--no-error-summary", "--cache-dir", ".mypy_cache", str(CASES)])
    assert not errors
    found = {}
    for line in output.splitlines():
        if match := re.match(r".*?functions\.py:(\d+): (note|error): (.*)", line):
            said = re.search(r'Revealed type is "(.*)"', match[3])
            if match[2] == "error" or said:
                found[int(match[1])] = re.sub(r"\b[\w.]+\.(?=\w)", "", said[1]) if said else "error"
    wanted = {
        number: line.rpartition("# -> ")[2]
        for number, line in enumerate(CASES.read_text().splitlines(), 1)
        if "# -> " in line
    }
    assert found == wanted
