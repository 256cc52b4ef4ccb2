"""Parsers that leave nothing behind, and files old enough to be known by their time stamp."""

import time
from pathlib import Path

import pytest

from perfcore.parsing import optimize_for_performance


@pytest.fixture
def parser():
    """A parser with the memory tier only."""
    with optimize_for_performance(cache_directory=False) as parser:
        yield parser


@pytest.fixture
def write(tmp_path):
    """Write files below ``tmp_path`` and return their names; ``settle`` waits until they are not young."""

    def write(settle: bool = False, **files: str | bytes) -> list[str]:
        names = []
        for name, content in files.items():
            path = Path(tmp_path, name.replace("__", "."))
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            names.append(str(path))
        if settle:
            time.sleep(0.15)
        return names

    return write
