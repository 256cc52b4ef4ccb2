"""The parts of the disk tier that can be shown alone."""

import os
import threading
import time

import pytest
from cache.processes import run

from perfcore.cache import clock
from perfcore.cache.disk.gate import Gate
from perfcore.cache.disk.membership import Membership
from perfcore.cache.disk.pending import Pending, Write
from perfcore.cache.disk.writer import Writer

# --- gate ---------------------------------------------------------------------------------------------------


def test_nobody_is_inside_while_the_gate_is_closed():
    gate, inside, wrong, stop = Gate(), [], [], threading.Event()

    def read():
        while not stop.is_set():
            gate.enter()
            inside.append(1)
            inside.pop()
            gate.leave()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        with gate.closed() as empty:
            wrong += [not empty, *inside]
            time.sleep(0.0005)
            wrong += inside
            gate.enter()  # its owner may go on reading
            gate.leave()
    stop.set()
    for thread in threads:
        thread.join()
    assert not any(wrong)


def test_a_reader_that_does_not_come_out_is_not_waited_for_for_ever():
    gate = Gate()
    gate.enter()
    with gate.closed(timeout=0.01) as empty:
        assert empty is False
    gate.leave()
    with gate.closed(timeout=0.01) as empty:
        assert empty is True


# --- membership ---------------------------------------------------------------------------------------------


def test_a_process_knows_when_it_is_alone(tmp_path):
    one = Membership(tmp_path)
    assert one.join() is True
    one.share()
    assert one.alone() is True
    one.share()
    child = os.fork()
    if child == 0:
        other = Membership(tmp_path)
        os._exit(0 if other.join() is False and other.alone() is False else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert one.alone() is True  # a member that has ended is none
    one.leave()
    one.leave()
    assert one.alone() is False


def test_nobody_joins_while_another_has_the_directory_to_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("perfcore.cache.disk.membership._PATIENCE", 0.05)
    one = Membership(tmp_path)
    assert one.join() is True
    child = os.fork()
    if child == 0:
        try:
            Membership(tmp_path).join()
        except TimeoutError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    one.leave()


# --- pending ------------------------------------------------------------------------------------------------


def test_the_last_write_of_a_key_is_the_pending_one_and_its_size_is_known():
    pending = Pending()
    first, second, other = Write(b"a", b"1"), Write(b"a", b"22"), Write(b"b")
    assert pending.put(first) is None
    assert pending.put(second) is first
    pending.put(other)
    assert pending.get(b"a") is second
    assert pending.swap(first, other._replace(key=b"a")) is False
    assert pending.batch(10, 10_000) == [second, other]
    assert pending.batch(10, 1) == [second]
    pending.settle([first, other])
    assert (len(pending), pending.get(b"a"), pending.get(b"b")) == (1, second, None)
    pending.settle([second])
    assert (len(pending), pending.size) == (0, 0)


# --- writer -------------------------------------------------------------------------------------------------


def test_the_writer_works_when_woken_goes_on_after_a_failure_and_ends(caplog):
    done, started = [], []

    def work():
        done.append(time.monotonic())
        if len(done) == 1:
            raise ZeroDivisionError

    writer = Writer(work, lambda: started.append(1))
    begin = time.monotonic()
    assert writer.wake()
    while not done:
        time.sleep(0.001)
    assert done[0] - begin < 0.2
    writer.wake()
    while len(done) < 2:
        time.sleep(0.001)
    writer.stop()
    assert writer.wake() is False
    assert started == [1]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_writer_that_is_stopped_just_before_it_clears_its_call_ends_all_the_same():
    class StoppedJustBefore(threading.Event):
        def clear(self):
            writer._ended.set()
            self.set()
            super().clear()

    writer = Writer(lambda: None, lambda: None)
    writer._awake = StoppedJustBefore()
    assert writer.wake()
    writer._thread.join(5)
    assert not writer._thread.is_alive()


def test_without_a_thread_to_be_had_the_caller_does_the_work(tmp_path, monkeypatch):
    from perfcore.cache import DiskCache

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with DiskCache(tmp_path, maxbytes="1MB") as cache:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        cache["a"] = 1
        assert cache.stats().pending == 0
        monkeypatch.undo()
        assert cache["a"] == 1


# --- clock --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "at", "left"),
    [
        (None, 0, None),
        (10, 1_000_000, 10.0),
        (10, 6_000_000, 5.0),
        (10, 11_000_000, 0.0),
        (10, 99_000_000, 0.0),
        (10, 0, 10.0),
    ],
)
def test_time_left_is_never_more_than_there_was(ttl, at, left):
    assert clock.remaining(clock.expires_at(1_000_000, ttl), 1_000_000, at) == left


def test_importing_the_disk_tier_opens_nothing_and_starts_nothing():
    assert run("what_is_loaded") == "1 True"
