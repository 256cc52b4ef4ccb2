"""Whatever a path leads to, there is a result or a named reason, and the run goes on."""

# ruff: noqa: PTH101, PTH118, PTH119, PTH123, PTH211 (the names themselves are what is tested)

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from perfcore.parsing import optimize_for_performance

GOOD = "def f(): pass\n"


@contextmanager
def without_privileges():
    """Run as nobody, so that permission bits count."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_over_every_kind_of_bad_file_goes_on(tmp_path, jobs):
    made = {
        "binary.py": b"\x7fELF\0\0" * 10,
        "empty.py": b"",
        "nul.py": b"x = 1\n" * 2000 + b"\0\ndef f(): pass\n",
        "latin.py": b"# coding: latin-1\nx = '\xe9'\n",
        "no_text.py": b"x = '\xe9'\n",
        "broken.py": b"def (:\n",
        "unknown.xyz": b"hello",
        "no_suffix": b"hello",
        "large.py": b"x" * 11_000_000,
        "shebang": b"#!/usr/bin/env -S python3 -u\ndef f(): pass\n",
    }
    for name, content in made.items():
        Path(tmp_path, name).write_bytes(content)
    os.mkfifo(tmp_path / "fifo.py")
    os.symlink("loop.py", tmp_path / "loop.py")
    Path(tmp_path, "directory.py").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket.py"))
    expected = {
        "binary.py": "binary",
        "empty.py": None,
        "nul.py": None,
        "latin.py": None,
        "no_text.py": None,
        "broken.py": None,
        "unknown.xyz": "unknown-language",
        "no_suffix": "unknown-language",
        "large.py": "too-large",
        "shebang": None,
        "fifo.py": "special-file",
        "loop.py": "loop",
        "directory.py": "directory",
        "socket.py": "special-file",
        "missing.py": "missing",
        "nul\0name.py": "missing",
        "x" * 300 + ".py": "unreadable",
    }
    filler = [tmp_path / f"good{n}.py" for n in range(60)]
    for path in filler:
        path.write_text(GOOD + "# " + "x" * 20_000)
    paths = [*filler[:30], *(os.path.join(tmp_path, name) for name in expected), *filler[30:]]
    with listener, optimize_for_performance(cache_directory=False, batch_size=7) as parser:
        results = list(parser.parse_many(paths, jobs=jobs))
        stats = parser.stats()
    assert [result.path for result in results] == [os.fspath(path) for path in paths]
    assert {os.path.basename(r.path): r.skipped for r in results if "good" not in r.path} == expected
    assert all(r.skipped is None and r.symbols for r in results if "good" in r.path)
    assert stats.skipped["special-file"] == 2 and sum(stats.skipped.values()) == 11
    by_name = {os.path.basename(result.path): result for result in results}
    assert by_name["shebang"].language == "python"
    assert by_name["no_text.py"].syntax_errors[0].message == "not valid utf-8"
    assert [s.name for s in by_name["nul.py"].symbols] == ["f"] and by_name["nul.py"].syntax_errors
    assert by_name["latin.py"].syntax_errors == () and by_name["latin.py"].encoding == "iso8859-1"
    assert {name for name, r in by_name.items() if r.failed} >= {"large.py", "missing.py", "broken.py"}
    assert not by_name["binary.py"].failed and not by_name["unknown.xyz"].failed


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/urandom"])
def test_devices_are_not_read(parser, device):
    assert parser.parse_file(device).skipped == "special-file"


def test_a_file_without_permission_is_unreadable():
    with TemporaryDirectory() as directory, optimize_for_performance(enable_parse_cache=False) as parser:
        os.chmod(directory, 0o755)
        path = Path(directory, "secret.py")
        path.write_text(GOOD)
        path.chmod(0)
        assert parser.parse_file(__file__).ok  # loads the grammar while that may be read
        with without_privileges():
            result = parser.parse_file(path)
    assert (result.skipped, result.detail) == ("unreadable", "Permission denied")


def test_one_line_of_50_mb_is_refused_unread(parser, write):
    (name,) = write(line__js=b"a" * 50_000_000)
    started = time.perf_counter()
    result = parser.parse_file(name)
    assert result.skipped == "too-large" and "50000000" in result.detail
    assert time.perf_counter() - started < 0.5


def test_one_line_of_50_mb_that_is_allowed_is_given_up_in_time(write):
    (name,) = write(line__js=b"x=1;" * 12_500_000)
    with optimize_for_performance(cache_directory=False, max_file_size="64MB", max_parse_time=0.5) as parser:
        started = time.perf_counter()
        result = parser.parse_file(name)
        assert result.skipped == "too-slow"
        assert time.perf_counter() - started < 10
        assert parser.parse_file(__file__).ok  # the parser is not left in the middle of the other file


def test_a_file_in_proc_has_no_size_and_is_read_to_its_end(parser):
    link = Path("/proc/self/cmdline")
    assert parser.parse_file(link).skipped == "binary"


def test_a_file_that_keeps_changing_is_given_up(tmp_path, parser):
    path = tmp_path / "log.py"
    path.write_bytes(b"x = 1\n" * 1_000_000)
    code = f"f = open({str(path)!r}, 'ab', 0)\nprint(flush=True)\nwhile True: f.write(b'#')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        try:  # on a busy machine the writer may not have its turn during a whole read
            assert any(parser.parse_file(path).skipped == "changing" for _ in range(5))
        finally:
            writer.kill()


def test_files_that_come_and_go_are_there_or_missing(tmp_path, parser):
    path, stop = tmp_path / "blink.py", threading.Event()

    def blink():
        while not stop.is_set():
            path.write_text(GOOD)
            path.unlink()

    thread = threading.Thread(target=blink)
    thread.start()
    try:
        seen = {parser.parse_file(path).skipped for _ in range(500)}
    finally:
        stop.set()
        thread.join()
    assert seen <= {None, "missing", "changing"}


def test_a_path_of_no_text_is_a_path(tmp_path, parser):
    name = os.path.join(os.fsencode(tmp_path), b"\xff\xfe.py")
    with open(name, "wb") as file:
        file.write(GOOD.encode())
    result = parser.parse_file(name)
    assert result.ok and os.fsencode(result.path) == name


@pytest.mark.parametrize("path", [None, 3, 1.5, ["a.py"]])
def test_what_is_no_path_is_a_type_error(parser, path):
    with pytest.raises(TypeError):
        parser.parse_file(path)
