"""Files that are read often are kept open, and a read returns what opening the file now would return."""

import asyncio
import errno
import gc
import io
import os
import resource
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from effort import effort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from perfcore._native.buffers import BufferPool
from perfcore.io import StreamCache

PATIENCE = 30

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"first")
    return path


@pytest.fixture
def streams():
    with StreamCache(threshold=0) as streams:
        yield streams


def open_descriptors():
    gc.collect()  # what other tests left open
    return len(list(Path("/proc/self/fd").iterdir()))


def run(script, *args, **options):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- which files are kept -----------------------------------------------------------------------------------


def test_a_file_is_kept_open_when_it_was_read_more_than_fifty_times_within_an_hour(path):
    with StreamCache() as streams:
        for _ in range(50):
            assert streams.read(path) == b"first"
        assert streams.stats().files == 0
        assert streams.read(str(path)) == streams.read(path) == b"first"
        assert streams.stats()[:4] == (1, 5, 1, 51)
        assert streams.kept() == {str(path): 2}


def test_what_is_read_seldom_is_not_kept_and_closed_again_when_it_no_longer_is(path, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"other")
    with StreamCache(threshold=3, window=0.2) as streams:
        for _ in range(3):
            streams.read(path)
        time.sleep(0.25)
        for _ in range(3):
            streams.read(path)
        assert streams.stats().files == 0, "three within each window"
        streams.read(path)
        assert streams.stats().files == 1
        assert streams.trim() == 0, "its window goes on"
        for _ in range(10):
            streams.read(path)
        time.sleep(0.25)
        assert streams.trim() == 0 and streams.kept() == {str(path): 0}, "often enough"
        for _ in range(3):
            streams.read(path)
        time.sleep(0.25)
        assert streams.trim() == 1 and streams.kept() == {}


def test_files_and_bytes_are_bounded_and_those_read_least_are_closed(tmp_path):
    paths = [tmp_path / str(number) for number in range(12)]
    for path in paths:
        path.write_bytes(bytes(1000))
    before = open_descriptors()
    with StreamCache(max_files=5, threshold=0) as streams:
        for often, path in enumerate(paths):
            for _ in range(20 if often == 3 else 1):
                streams.read(path)
            assert streams.stats().files <= 5 and open_descriptors() <= before + 5
        assert str(paths[3]) in streams.kept() and str(paths[-1]) in streams.kept()
        assert streams.stats().evicted == 7
    with StreamCache(max_bytes=3500, threshold=0) as streams:
        for path in paths:
            streams.read(path)
            assert streams.stats().bytes == 1000 * streams.stats().files <= 3500
        paths[0].write_bytes(bytes(4000))
        assert streams.read(paths[0]) == bytes(4000)
        assert str(paths[0]) not in streams.kept(), "larger than everything that may be kept"
    assert open_descriptors() == before


def test_as_many_paths_are_counted_as_could_be_kept(tmp_path):
    with StreamCache(max_files=4, threshold=2) as streams:
        for number in range(1000):
            (tmp_path / str(number)).write_bytes(b"x")
            streams.read(tmp_path / str(number))
        assert len(streams._tally) <= 16


# --- never an old content -----------------------------------------------------------------------------------


class Changes(RuleBasedStateMachine):
    """Whatever is done to some paths, a read is what ``open().read()`` is at that moment, errors included."""

    names = st.sampled_from(["a", "b", "c", "d/e"])

    def __init__(self):
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        (self.root / "d").mkdir()
        self.streams = StreamCache(max_files=3, max_bytes=40, threshold=1)
        self.content = 0

    def fresh(self, length):
        self.content += 1
        return (b"%d " % self.content).ljust(length, b".")

    @rule(name=names, length=st.integers(0, 50))
    def write(self, name, length):
        if self.is_file(name):
            (self.root / name).write_bytes(self.fresh(length))

    def is_file(self, name):
        path = self.root / name
        return path.parent.is_dir() and not path.is_dir() and (path.is_file() or not os.path.lexists(path))

    @rule(name=names, length=st.integers(0, 50))
    def replace(self, name, length):
        if self.is_file(name):
            (self.root / "new").write_bytes(self.fresh(length))
            (self.root / "new").replace(self.root / name)

    @rule(name=names, size=st.integers(0, 60))
    def truncate(self, name, size):
        if (self.root / name).is_file():
            os.truncate(self.root / name, size)

    @rule(name=names)
    def delete(self, name):
        path = self.root / name
        if path.is_symlink() or path.is_file():
            path.unlink()

    @rule(name=names, other=names)
    def link(self, name, other):
        path = self.root / name
        if self.is_file(name) or path.is_symlink():
            path.unlink(missing_ok=True)
            path.symlink_to(self.root / other)

    @rule(name=names, mtime=st.integers(0, 10))
    def set_times(self, name, mtime):
        if (self.root / name).is_file():
            os.utime(self.root / name, (mtime, mtime))

    @rule(name=names)
    def folder_in_its_place(self, name):
        path = self.root / name
        if name != "d/e" and not os.path.lexists(path):
            path.mkdir()
        elif path.is_dir() and not path.is_symlink() and name != "d/e":
            path.rmdir()

    @rule()
    def move_the_folder_above(self):
        away = self.root / "away"
        if away.exists():
            away.rename(self.root / "d")
        else:
            (self.root / "d").rename(away)

    @rule(name=names)
    def read(self, name):
        path = self.root / name
        for look in (self.streams.read, lambda path: self.streams.open(path).readall()):
            for _ in range(2):
                assert outcome(look, path) == outcome(Path.read_bytes, path)

    @invariant()
    def bounded(self):
        stats = self.streams.stats()
        assert stats.files <= 3 and stats.bytes <= 40

    def teardown(self):
        self.streams.close()
        self.folder.cleanup()


def outcome(look, path):
    try:
        return look(path)
    except (OSError, ValueError) as error:
        return "not a file" if path.is_dir() else error.errno


Changes.TestCase.settings = settings(max_examples=effort(60), stateful_step_count=60, deadline=None)
TestChanges = Changes.TestCase


def test_a_file_that_shrinks_under_a_reader_ends_nobody(path, streams):
    path.write_bytes(bytes(1 << 20))
    stop, lengths = threading.Event(), set()

    def read():
        while not stop.is_set():
            lengths.add(len(streams.read(path)))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(effort(100)):
        os.truncate(path, 100)
        os.truncate(path, 1 << 20)
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert max(lengths) <= 1 << 20


def test_between_two_looks_a_replaced_file_may_be_read_in_its_old_form_and_no_longer(path, tmp_path):
    with StreamCache(threshold=0, check_interval=0.2) as streams:
        assert streams.read(path) == b"first"
        with path.open("r+b") as writer:
            writer.write(b"FIRST")
        assert streams.read(path) == b"FIRST", "what is written into a file is seen at once"
        (tmp_path / "new").write_bytes(b"second")
        (tmp_path / "new").replace(path)
        assert streams.read(path) == b"FIRST"
        time.sleep(0.25)
        assert streams.read(path) == b"second" == streams.read(path)
        path.unlink()
        time.sleep(0.25)
        with pytest.raises(FileNotFoundError):
            streams.read(path)
        with pytest.raises(FileNotFoundError):
            streams.read(path)


def test_a_relative_path_is_that_of_the_folder_one_is_in(tmp_path, monkeypatch, streams):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    for name in "abab":
        monkeypatch.chdir(tmp_path / name)
        assert streams.read("file") == name.encode()


def test_who_may_no_longer_read_a_file_does_not(path):
    text = """
        import os, sys
        from perfcore.io import StreamCache
        os.setgroups([]); os.setgid(65534); os.setuid(65534)  # as somebody who owns nothing
        streams = StreamCache(threshold=0)
        for _ in range(3):
            assert streams.read(sys.argv[1]) == b"first"
        print(streams.stats().files, flush=True)
        sys.stdin.readline()
        for look in (streams.read, streams.open):
            try:
                look(sys.argv[1])
            except PermissionError as error:
                print(error.errno)
        """
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    folder = Path(f"/tmp/perfcore-streams-{os.getpid()}")
    folder.mkdir()
    readable = folder / "file"
    readable.write_bytes(b"first")
    readable.chmod(0o644)
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(text), str(readable)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout.readline() == "1\n"
        readable.chmod(0o600)
        assert child.communicate("go\n", timeout=PATIENCE)[0] == f"{errno.EACCES}\n" * 2
        assert child.returncode == 0
    finally:
        readable.unlink()
        folder.rmdir()


# --- what is no ordinary file -------------------------------------------------------------------------------


def test_folders_and_files_without_a_size_are_read_as_open_does(tmp_path, streams):
    with pytest.raises(IsADirectoryError):
        streams.read(tmp_path)
    with pytest.raises(ValueError, match="regular"):
        streams.open(tmp_path)
    for path in ("/proc/self/status", "/dev/null"):
        for _ in range(3):
            assert streams.read(path)[:5] == Path(path).read_bytes()[:5]
    assert streams.stats().files == 0
    with pytest.raises(ValueError, match="null"):
        streams.read("a\0b")


def test_a_fifo_is_read_to_its_end_and_never_kept(tmp_path, streams):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for content in (b"one", b"two"):
        writer = threading.Thread(target=fifo.write_bytes, args=(content,))
        writer.start()
        assert streams.read(fifo) == content
        writer.join(PATIENCE)
    assert stat.S_ISFIFO(fifo.stat().st_mode) and streams.stats().files == 0


def test_a_huge_file_is_read_in_parts_without_its_holes_in_memory(tmp_path, streams):
    path = tmp_path / "huge"
    path.write_bytes(b"head")
    os.truncate(path, 1 << 40)
    assert streams.read_range(path, 0, 4) == b"head"
    assert streams.read_range(path, (1 << 40) - 2, 100) == b"\0\0"
    buffer = bytearray(8)
    assert streams.read_into(path, buffer, offset=2) == 8 and buffer == b"ad\0\0\0\0\0\0"
    assert streams.stats().files == 0, "larger than all that may be kept"


def test_the_limit_of_descriptors_is_met_by_closing_files(tmp_path):
    paths = [tmp_path / str(number) for number in range(60)]
    for path in paths:
        path.write_bytes(path.name.encode())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with StreamCache(max_files=1000, threshold=0) as streams:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_descriptors() + 20, hard))
        try:
            for _ in range(3):
                for path in paths:
                    assert streams.read(path) == path.name.encode()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert 0 < streams.stats().files <= 20 and streams.stats().evicted
    with StreamCache(max_files=1000, threshold=10**6) as streams:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(OSError) as caught:
                streams.read(paths[0])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert caught.value.errno == errno.EMFILE


# --- streams, buffers, coroutines ---------------------------------------------------------------------------


def test_streams_over_one_file_have_positions_of_their_own(path, streams):
    path.write_bytes(bytes(range(256)) * 10)
    one, two = streams.open(path), streams.open(path)
    assert one.fileno() == two.fileno() and one.name == str(path)
    assert one.read(3) == b"\0\1\2" and two.seek(-2, os.SEEK_END) == 2558 and two.read() == b"\xfe\xff"
    assert one.read(1) == b"\3" and one.seek(1, os.SEEK_CUR) == 5 and one.tell() == 5
    assert io.BufferedReader(streams.open(path)).read() == path.read_bytes()
    assert io.TextIOWrapper(streams.open(path), "latin-1").readline().startswith("\0")
    with pytest.raises(ValueError, match="seek"):
        one.seek(-1)
    with pytest.raises(ValueError, match="seek"):
        one.seek(0, 9)
    assert not one.writable() and one.readable() and one.seekable()
    one.close()
    one.close()
    for use in (one.read, one.fileno, one.seekable, lambda: one.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            use()
    assert two.read(1) == b"", "closing one closes nothing for the other"


@pytest.mark.parametrize("size", [1, 4096, 5000, 70_000])
def test_a_pooled_read_is_the_content_in_a_buffer_of_the_pool(path, streams, size):
    pool, content = BufferPool(), os.urandom(size)
    path.write_bytes(content)
    for _ in range(3):
        with streams.read_pooled(path, pool) as buffer:
            assert bytes(buffer) == content and len(buffer) == size
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        streams.read_pooled(path, pool)
    assert pool.stats().in_use == 0


class Meanwhile:
    """A pool where something happens before a buffer is had: after the size of the file was looked at."""

    def __init__(self, pool, what):
        self.acquire = lambda size: (what(), pool.acquire(size))[1]


def test_a_file_that_became_longer_meanwhile_is_read_again(path, streams):
    pool, parts = BufferPool(), [b" and", b" more"]

    def grow():
        with path.open("ab") as file:
            file.write(parts.pop(0) if parts else b"")

    with streams.read_pooled(path, Meanwhile(pool, grow)) as buffer:
        assert bytes(buffer) == b"first and more"
    assert pool.stats().in_use == 0


def test_a_file_that_becomes_shorter_each_time_is_said_to_be_written(path, streams):
    path.write_bytes(bytes(100))
    pool = BufferPool()
    with pytest.raises(OSError, match="being written") as caught:
        streams.read_pooled(path, Meanwhile(pool, lambda: os.truncate(path, path.stat().st_size - 1)))
    assert caught.value.errno == errno.EAGAIN and pool.stats().in_use == 0


@pytest.mark.parametrize("use", [StreamCache.open, lambda streams, path: streams.read_range(path, 0, 1)])
def test_a_kept_file_whose_path_is_gone_is_no_longer_there(path, streams, use):
    for _ in range(3):
        use(streams, path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        use(streams, path)
    assert streams.stats().files == 0


async def test_coroutines_read_at_once_or_in_a_thread(path, streams):
    assert await asyncio.gather(*(streams.aread(path) for _ in range(20))) == [b"first"] * 20
    before = streams.stats().hits
    assert await streams.aread(path) == b"first" and streams.stats().hits == before + 1
    path.write_bytes(b"second")
    assert await streams.aread(path) == b"second"
    path.write_bytes(bytes(3 << 20))
    assert await streams.aread(path) == await streams.aread(path) == bytes(3 << 20)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        await streams.aread(path)


# --- threads, forks, the end --------------------------------------------------------------------------------


def test_a_thread_never_reads_another_file_though_files_are_closed_around_it(tmp_path):
    paths = [tmp_path / str(number) for number in range(40)]
    for path in paths:
        path.write_bytes(path.name.encode() * 50)
    wrong, stop = [], threading.Event()
    with StreamCache(max_files=3, threshold=0) as streams:

        def read(first):
            for number in range(10**9):
                path = paths[(first + number * 7) % len(paths)]
                if streams.read(path) != path.name.encode() * 50:
                    wrong.append(path)
                if stop.is_set():
                    return

        threads = [threading.Thread(target=read, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.1 * effort(5))
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
        stats = streams.stats()
        assert stats.files <= 3 and stats.bytes == sum(
            len(Path(name).read_bytes()) for name in streams.kept()
        )
    assert not wrong


def test_closing_with_readers_out_lets_them_finish(path):
    before = open_descriptors()
    streams = StreamCache(threshold=0)
    stream = streams.open(path)
    assert streams.read(path) == b"first"
    streams.close()
    streams.close()
    assert stream.read() == b"first"
    del stream
    gc.collect()
    assert open_descriptors() == before
    for use in (streams.read, streams.open):
        with pytest.raises(ValueError, match="closed"):
            use(path)
    assert streams.stats().files == 0 and streams.forget(path) is False


def test_a_forked_child_goes_on_reading_whatever_a_thread_held(path):
    text = """
        import os, sys, threading, warnings
        warnings.simplefilter("ignore")
        from perfcore.io import StreamCache
        streams = StreamCache(threshold=0, max_files=2)
        stop = threading.Event()
        def churn():
            while not stop.is_set():
                streams.read(sys.argv[1]); streams.forget(sys.argv[1])
        threads = [threading.Thread(target=churn) for _ in range(2)]
        for thread in threads: thread.start()
        for _ in range(30):
            child = os.fork()
            if not child:
                ok = streams.read(sys.argv[1]) == b"first" and streams.stats().bytes in (0, 5)
                os._exit(not ok)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        stop.set()
        for thread in threads: thread.join()
        assert streams.read(sys.argv[1]) == b"first"
        """
    run(text, str(path))


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"max_files": 0}, ValueError, "max_files"),
        ({"max_bytes": "lots"}, ValueError, "size"),
        ({"threshold": -1}, ValueError, "threshold"),
        ({"window": float("nan")}, ValueError, "window"),
        ({"check_interval": -1}, ValueError, "check_interval"),
        ({"check_interval": "1"}, TypeError, "check_interval"),
        ({"max_files": True}, TypeError, "max_files"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, error, name):
    with pytest.raises(error, match=name):
        StreamCache(**options)
