"""What one file costs, by the tier that answers it. Ratios of whole runs: parsing_ceiling.py."""

import shutil
import sysconfig
from pathlib import Path

import pytest

pytest.importorskip("tree_sitter")

from perfcore.parsing import optimize_for_performance
from perfcore.parsing.extract import extract
from perfcore.parsing.reading import read

SOURCE = Path(sysconfig.get_path("stdlib"), "argparse.py")


@pytest.fixture
def path(tmp_path):
    return shutil.copy2(SOURCE, tmp_path / "argparse.py")


def test_parse_file_100_kb_cold(benchmark, path):
    with optimize_for_performance(enable_parse_cache=False) as parser:
        assert benchmark(parser.parse_file, path).source == "parsed"


def test_parse_file_100_kb_from_memory(benchmark, path):
    with optimize_for_performance(cache_directory=False) as parser:
        parser.parse_file(path)
        assert benchmark(parser.parse_file, path).source == "memory"


def test_parse_file_100_kb_from_disk(benchmark, path, tmp_path):
    with optimize_for_performance(cache_directory=tmp_path / "cache", cache_size=0) as parser:
        parser.parse_file(path)
        assert benchmark(parser.parse_file, path).source == "disk"


def test_read_100_kb(benchmark, path):
    assert benchmark(read, str(path), 1 << 30, 1 << 16).language == "python"


def test_extract_100_kb(benchmark, path):
    assert benchmark(extract, read(str(path), 1 << 30, 1 << 16), 30.0).symbols
