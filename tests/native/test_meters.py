"""What a thread has taken, from files that stay open: exact, each thread its own, and anew after a fork."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from perfcore._native.meters import ThreadMeter, forked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")


def test_bytes_are_those_of_this_thread_without_its_own_reading(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 5000)
    meter = ThreadMeter()
    before = meter.work()
    for _ in range(100):
        assert meter.work()[1:] == before[1:], "looking is not counted"
        meter.rss()
    file = os.open(path, os.O_RDWR)
    assert os.read(file, 5000) == os.pread(file, 5000, 0)
    os.write(file, b"y" * 300)
    os.close(file)
    other = threading.Thread(target=path.read_bytes)
    other.start()
    other.join()
    after = meter.work()
    assert (after[1] - before[1], after[2] - before[2]) == (10_000, 300)


def test_processor_time_is_this_threads():
    meter = ThreadMeter()
    before = meter.work()[0]
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    spent = meter.work()[0] - before
    assert spent >= 0.02e9
    time.sleep(0.05)
    assert meter.work()[0] - before < spent + 0.04e9


def test_resident_memory_is_what_the_kernel_says():
    meter = ThreadMeter()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert meter.rss() == pytest.approx(resident, rel=0.2)


def test_files_are_closed_with_the_thread():
    def look():
        meter = ThreadMeter()
        meter.work()

    look()
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(50):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_a_forked_child_reads_of_itself():
    meter = ThreadMeter()
    Path(os.devnull).write_bytes(b"x" * 100_000)
    assert meter.work()[2] >= 100_000
    child = os.fork()
    if child == 0:
        forked()  # perfcore.monitor.meters has that called by itself
        os._exit(0 if meter.work()[2] < 100_000 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
