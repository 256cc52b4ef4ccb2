"""What reading files costs through ``perfcore.io``. Beside Python's own ways: rivals/io.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfcore._native.files import OpenFile
from perfcore.io import StreamCache, read_many, read_ranges
from perfcore.memory import BufferPool

FILES, SIZE = 100, 4096


@pytest.fixture
def paths(tmp_path):
    paths = [str(tmp_path / f"file-{number}") for number in range(FILES)]
    for path in paths:
        Path(path).write_bytes(os.urandom(SIZE))
    return paths


@pytest.fixture(params=[0.0, 1.0], ids=["looks at the path", "looks once a second"])
def streams(request, paths):
    with StreamCache(FILES, threshold=1, check_interval=request.param) as streams:
        for path in paths * 2:
            streams.read(path)
        yield streams


def test_100_hot_files_by_open(benchmark, paths):
    def loop():
        for path in paths:
            with open(path, "rb") as file:  # noqa: PTH123 - what is measured
                file.read()

    benchmark(loop)


def test_100_hot_files_by_streams(benchmark, streams, paths):
    def loop():
        for path in paths:
            streams.read(path)

    benchmark(loop)


def test_100_hot_files_into_pooled_buffers(benchmark, streams, paths):
    pool = BufferPool()

    def loop():
        for path in paths:
            streams.read_pooled(path, pool).release()

    benchmark(loop)


def test_100_ranges_of_hot_files(benchmark, streams, paths):
    def loop():
        for path in paths:
            streams.read_range(path, 1024, 64)

    benchmark(loop)


def test_read_many(benchmark, paths):
    assert len(benchmark(lambda: list(read_many(paths)))) == FILES


def test_read_ranges(benchmark, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1 << 20))
    ranges = [(start, 64) for start in range(0, 1 << 20, 8192)]
    assert len(benchmark(read_ranges, OpenFile(path), ranges)) == len(ranges)
