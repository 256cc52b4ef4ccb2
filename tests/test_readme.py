"""The README's code is true, and so are the examples of the public docstrings."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import perfcore

ROOT = Path(__file__).parent.parent
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_the_readme_does_what_it_shows(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    session = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README.md", "README.md", 0)
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(session)
    assert result.attempted >= 6
    assert not result.failed


MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(perfcore.__path__, "perfcore.")
    if "__main__" not in module.name
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not doctest.testmod(importlib.import_module(name), optionflags=OPTIONS).failed
