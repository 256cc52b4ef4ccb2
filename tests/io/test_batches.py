"""Many reads in few calls return what the same reads return one by one."""

import gc
import os
from pathlib import Path

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore._native.buffers import BufferPool
from perfcore._native.files import OpenFile
from perfcore.io import announce, read_ahead, read_many, read_ranges

pytestmark = pytest.mark.timeout(60)

RANGES = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 700)), max_size=20)


@given(RANGES, st.integers(0, 3000), st.integers(0, 2000))
@settings(max_examples=effort(200), deadline=None)
def test_parts_are_those_that_were_asked_for_in_their_order(tmp_path_factory, ranges, size, gap):
    path = tmp_path_factory.mktemp("ranges") / "file"
    content = os.urandom(size)
    path.write_bytes(content)
    file = OpenFile(path)
    assert read_ranges(file, ranges, gap) == [content[offset : offset + length] for offset, length in ranges]


def test_parts_that_are_near_are_read_in_one_call(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(10**6))
    file = OpenFile(path)
    read_ranges(file, [(i * 100, 50) for i in range(200)])
    assert file.reads == 1
    read_ranges(file, [(0, 10), (900_000, 10)])
    assert file.reads == 3, "what is far apart is not read along"
    for wrong in ([(-1, 2)], [(0, -2)]):
        with pytest.raises(ValueError, match="not negative"):
            read_ranges(file, wrong)


def test_many_files_come_in_their_order_and_errors_at_their_places(tmp_path):
    paths = [tmp_path / str(number) for number in range(100)]
    for path in paths:
        path.write_bytes(path.name.encode())
    assert list(read_many(paths)) == [(path, path.name.encode()) for path in paths]
    assert list(read_many([])) == []
    paths[50].unlink()
    coming = read_many(paths, window=8)
    got = [next(coming) for _ in range(50)]
    with pytest.raises(FileNotFoundError):
        next(coming)
    got += coming
    assert [path for path, _ in got] == paths[:50] + paths[51:]
    with pytest.raises(ValueError, match="window"):
        read_many(paths, window=0)


def test_no_more_files_are_open_than_the_window_and_none_afterwards(tmp_path):
    def open_descriptors():
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    for number in range(50):
        (tmp_path / str(number)).write_bytes(b"x")
    before = open_descriptors()
    coming = read_many(sorted(tmp_path.iterdir()), window=10)
    next(coming)
    assert open_descriptors() <= before + 10
    del coming
    assert open_descriptors() == before


@pytest.mark.parametrize("size", [0, 1, 4096, 100_000])
@pytest.mark.parametrize("drop", [False, True])
def test_blocks_together_are_the_file(tmp_path, size, drop):
    path, pool, content = tmp_path / "file", BufferPool(), os.urandom(size)
    path.write_bytes(content)
    assert b"".join(map(bytes, read_ahead(path, 4096, pool=pool, drop=drop))) == content
    first = read_ahead(path, 4096, depth=0, pool=pool)
    kept = next(first, None)
    first.close()
    assert pool.stats().in_use == 0
    if kept is not None:
        with pytest.raises(ValueError, match="released"):
            bytes(kept)


def test_what_cannot_be_read_ahead_is_refused_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_ahead(tmp_path / "missing")
    with pytest.raises(ValueError, match="regular"):
        read_ahead(tmp_path)
    with pytest.raises(ValueError, match="block"):
        read_ahead(__file__, block=0)
    announce(OpenFile(__file__), 10**15, 10)  # a hint that makes no sense is none
