"""Outside Linux psutil tells what the files of /proc tell here; compared where both are to be had."""

import os
import time
from types import SimpleNamespace

import psutil
import pytest

from perfcore.monitor import MetricsCollector, machine
from perfcore.monitor.collectors import DiskCollector, NetworkCollector, ProcessCollector
from perfcore.monitor.machine import LinuxMachine, this_machine
from perfcore.monitor.portable import PortableMachine


@pytest.fixture
def elsewhere(monkeypatch):
    """This machine as if it had no /proc for us: psutil alone."""

    class Nowhere(machine.Path):
        _flavour = getattr(type(machine.Path()), "_flavour", None)

        def exists(self, **options):
            return not str(self).startswith("/proc") and super().exists(**options)

    monkeypatch.setattr(machine, "Path", Nowhere)
    monkeypatch.setattr(machine.ProcFile, "read", lambda self: pytest.fail("read a file of Linux"))


def test_both_say_the_same():
    linux, other = LinuxMachine(), PortableMachine()
    for mine, theirs in zip(linux.cpu_times(), other.cpu_times(), strict=True):
        assert theirs == pytest.approx(mine, rel=0.02, abs=1)
    assert other.memory().total == linux.memory().total
    assert other.memory().available == pytest.approx(linux.memory().available, rel=0.2)
    assert other.memory().cached >= linux.memory().cached * 0.8, "psutil adds what can be reclaimed"
    for mine, theirs in zip(linux.process(), other.process(), strict=True):
        assert theirs == pytest.approx(mine, rel=0.2, abs=0.5)
    assert other.open_files() == pytest.approx(linux.open_files(), abs=2)
    assert other.load() == pytest.approx(linux.load(), rel=0.5, abs=1)
    assert linux.interfaces(True).keys() <= other.interfaces(True).keys()
    assert linux.disks(True).keys() <= other.disks(True).keys()
    for name, counts in linux.disks(False).items():
        assert other.disks(False)[name].written == pytest.approx(counts.written, rel=0.2, abs=1e7)


def test_all_collectors_measure_without_linux_files(elsewhere):
    assert isinstance(this_machine(), PortableMachine)
    collector = MetricsCollector()
    collector.collect_now()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    collector.collect_now()
    system = collector.get_metrics().system
    assert 0 < system.cpu.usage <= 100 and system.cpu.load is not None
    assert 0 < system.memory.used < system.memory.total and 0 < system.memory.percent < 100
    assert system.process.cpu_usage > 10 and system.process.rss > 1e6 and system.process.threads >= 1
    assert system.process.open_files > 2
    assert system.network.connections is None, "a walk over all sockets is not made"
    assert system.network.inbound is None or system.network.inbound >= 0
    assert all(stats.failures == 0 for stats in collector.stats().values())


def test_what_the_system_does_not_tell_is_a_gap(monkeypatch):
    def refuse(*args, **options):
        raise psutil.AccessDenied()

    for name in (
        "cpu_times",
        "getloadavg",
        "cpu_freq",
        "virtual_memory",
        "disk_io_counters",
        "net_io_counters",
    ):
        monkeypatch.setattr(psutil, name, refuse, raising=False)
    for name in ("cpu_times", "memory_info", "num_threads", "num_fds"):
        monkeypatch.setattr(psutil.Process, name, refuse)
    other = PortableMachine()
    assert (other.cpu_times(), other.load(), other.frequency(), other.process()) == (None,) * 4
    assert (other.memory(), other.disks(True), other.interfaces(True)) == ((None,) * 4, {}, {})
    assert other.open_files() is None


def test_disks_that_do_not_say_how_long_they_were_busy_have_rates_all_the_same(monkeypatch):
    counts = {"disk0": SimpleNamespace(read_bytes=0, write_bytes=0, read_count=0, write_count=0)}
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **options: counts)
    collector = DiskCollector(machine=PortableMachine())
    collector.collect(0.0)
    counts["disk0"] = SimpleNamespace(read_bytes=500, write_bytes=1000, read_count=5, write_count=10)
    assert collector.collect(5.0) == {"read_rate": 100, "write_rate": 200, "iops": 3, "utilization": None}
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **options: None)  # a machine without disks
    assert {*collector.collect(10.0).values()} == {None}


def test_what_stays_in_the_machine_is_not_counted(monkeypatch):
    def nics(n):
        return {name: SimpleNamespace(bytes_recv=n, bytes_sent=2 * n) for name in ("lo0", "en0")}

    collector = NetworkCollector(machine=PortableMachine())
    for at, n in ((0.0, 0), (1.0, 100)):
        monkeypatch.setattr(psutil, "net_io_counters", lambda n=n, **options: nics(n))
        values = collector.collect(at)
    assert (values["inbound"], values["outbound"]) == (100, 200)


def test_a_forked_child_asks_about_itself():
    collector = ProcessCollector(machine=PortableMachine())
    collector.collect(0.0)
    child = os.fork()
    if child == 0:
        asked = collector._machine._this().pid
        os._exit(0 if asked == os.getpid() and collector.collect(1.0)["cpu_usage"] is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
