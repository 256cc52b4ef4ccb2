"""Files that are kept open: what their reads return, whatever becomes of the file and of its path."""

import errno
import gc
import os
import threading
from pathlib import Path

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore._native.files import OpenFile

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"first")
    return path


def open_descriptors():
    gc.collect()  # what other tests left open
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_reads_what_is_there_and_what_is_written_into_it_later(path):
    file = OpenFile(path)
    assert (file.read(), file.size, file.path, file.current()) == (b"first", 5, str(path), True)
    with path.open("r+b") as writer:
        writer.write(b"FIRST and more")
    assert file.read(False) == b"FIRST and more"
    assert file.read() is None and not file.current(), "another state than the one that was opened"
    os.truncate(path, 2)
    assert file.read(False) == b"FI"
    os.truncate(path, 0)
    assert file.read(False) == b""
    os.truncate(path, 3_000_000)
    assert file.read(False) == bytes(3_000_000)


@pytest.mark.parametrize("change", ["replaced", "linked", "mode", "same bytes again"])
def test_it_notices_that_the_path_leads_to_something_else(path, tmp_path, change):
    file = OpenFile(os.fsencode(path))
    assert file.read() == b"first"
    if change == "replaced":
        (tmp_path / "new").write_bytes(b"other")
        (tmp_path / "new").replace(path)
    elif change == "linked":
        (tmp_path / "new").write_bytes(b"other")
        path.unlink()
        path.symlink_to(tmp_path / "new")
    elif change == "mode":
        path.chmod(0o600 if path.stat().st_mode & 0o077 else 0o644)
    else:
        os.utime(path, ns=(1, 1))
        assert not file.current()
        path.write_bytes(b"first")
    assert file.read() is None
    assert file.read(False) == b"first", "who has it reads what it had"


def test_a_path_that_is_gone_is_the_error_that_open_raises(path):
    file = OpenFile(path)
    path.unlink()
    for look in (file.read, file.current):
        with pytest.raises(FileNotFoundError) as caught:
            look()
        assert caught.value.filename == str(path) and caught.value.errno == errno.ENOENT
    assert file.read(False) == b"first"
    path.parent.joinpath("loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic"):
        OpenFile(path.parent / "loop")


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("missing", FileNotFoundError),
        ("folder", ValueError),
        ("fifo", ValueError),
        ("/dev/null", ValueError),
        ("a\0b", ValueError),
        (7, TypeError),
        (None, TypeError),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once_and_leaves_nothing_open(tmp_path, what, error):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")  # with nobody at its other end
    before = open_descriptors()
    with pytest.raises(error):
        OpenFile(tmp_path / what if what in ("missing", "folder", "fifo") else what)
    assert open_descriptors() == before


def test_it_is_closed_when_nobody_has_it_and_not_inherited_by_programs(path):
    before = open_descriptors()
    files = [OpenFile(path) for _ in range(20)]
    assert open_descriptors() == before + 20
    assert not os.get_inheritable(files[0].fileno())
    del files
    assert open_descriptors() == before


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=effort(100), deadline=None)
def test_ranges_are_slices(tmp_path_factory, content, offset, size):
    path = tmp_path_factory.mktemp("ranges") / "file"
    path.write_bytes(content)
    file, buffer = OpenFile(path), bytearray(b"\xff" * size)
    assert file.read() == content
    assert file.read_range(offset, size) == content[offset : offset + size]
    done = file.readinto(buffer, offset)
    assert buffer[:done] == content[offset : offset + size] and buffer[done:] == b"\xff" * (size - done)


def test_numbers_and_buffers_that_make_no_sense_are_refused(path):
    file = OpenFile(path)
    for offset, size in ((-1, 2), (0, -2)):
        with pytest.raises(ValueError, match="not negative"):
            file.read_range(offset, size)
    with pytest.raises(ValueError, match="not negative"):
        file.readinto(bytearray(3), -1)
    for buffer in (b"read-only", memoryview(bytearray(8))[::2], "text"):
        with pytest.raises((BufferError, TypeError)):
            file.readinto(buffer)
    with pytest.raises(OverflowError):
        file.read_range(2**70, 1)
    assert file.read_range(2**62, 1) == b""


@pytest.mark.no_sanitizer  # whose allocator ends the process where malloc says no
def test_more_than_there_is_memory_is_a_memory_error(path):
    path.write_bytes(b"x")
    with pytest.raises(MemoryError):
        OpenFile(path).read_range(0, 2**62)


def test_reads_of_many_threads_while_the_file_grows_and_shrinks_are_of_some_moment(path):
    stop, wrong = threading.Event(), []

    def read(file):
        while not stop.is_set():
            content = file.read(False)
            if content.strip(b"x\0") or len(content) > 20_000:
                wrong.append(content)

    path.write_bytes(b"x" * 100)
    file = OpenFile(path)
    threads = [threading.Thread(target=read, args=(file,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(effort(300)):
        with path.open("r+b") as writer:
            writer.truncate(i * 7 % 50)
            writer.write(b"x" * (i * 131 % 20_000))
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
