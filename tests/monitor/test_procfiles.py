"""What stands in /proc is read as psutil reads it, and what makes no sense is told as missing."""

import os

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcore.cgroups import ControlGroup
from perfcore.monitor import procfiles
from perfcore.monitor.procfiles import ProcFile
from perfcore.monitor.rates import Rates, share

PARSERS = [
    procfiles.cpu_times,
    procfiles.memory_table,
    procfiles.disk_counts,
    procfiles.network_counts,
    procfiles.connections,
    procfiles.process_stat,
]


def read(path):
    return ProcFile(path).read()


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(st.binary() | st.text(alphabet="cpu0 1:9TCPinuse-)\n.kB").map(str.encode) | st.none())
def test_no_bytes_at_all_are_too_strange(parse, text):
    parse(text)


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
def test_what_is_missing_is_none_and_not_zero(parse):
    assert parse(None) in (None, {})
    assert parse(b"") in (None, {})


def test_the_processors_and_the_memory_are_those_that_psutil_sees():
    busy, whole = procfiles.cpu_times(read("/proc/stat"))
    seen = psutil.cpu_times()
    assert whole == pytest.approx(sum(seen[:8]), rel=0.05)
    assert busy == pytest.approx(sum(seen[:8]) - seen.idle - seen.iowait, rel=0.05)
    assert procfiles.memory_table(read("/proc/meminfo"))["MemTotal"] == psutil.virtual_memory().total


def test_disks_and_interfaces_are_those_that_psutil_sees():
    seen = psutil.net_io_counters(pernic=True)
    counts = procfiles.network_counts(read("/proc/net/dev"))
    assert counts.keys() == seen.keys()
    assert all(counts[name][0] == pytest.approx(seen[name].bytes_recv, rel=0.2, abs=1e6) for name in seen)
    seen = psutil.disk_io_counters(perdisk=True)
    counts = procfiles.disk_counts(read("/proc/diskstats"))
    assert seen.keys() <= counts.keys()
    assert all(counts[name].read == pytest.approx(seen[name].read_bytes, rel=0.2, abs=1e7) for name in seen)


def test_this_process_is_the_one_that_psutil_sees():
    cpu, threads, rss = procfiles.process_stat(read("/proc/self/stat"))
    seen = psutil.Process()
    assert rss == pytest.approx(seen.memory_info().rss, rel=0.1)
    assert threads == seen.num_threads()
    assert cpu == pytest.approx(sum(seen.cpu_times()[:2]), abs=0.5)


def test_the_name_of_a_program_may_look_like_fields():
    line = b"12 (a ) 9 (b) S " + b" ".join(b"%d" % n for n in range(2, 30))
    cpu, threads, _ = procfiles.process_stat(line)
    assert (cpu * os.sysconf("SC_CLK_TCK"), threads) == (12 + 13, 18)


def test_a_file_longer_than_a_read_is_read_to_its_end(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(b"x" * 100_000)
    file = ProcFile(str(path))
    assert file.read() == file.read() == b"x" * 100_000


def test_a_file_that_vanishes_and_comes_back_is_missing_in_between(tmp_path):
    file = ProcFile(str(tmp_path / "late"))
    assert file.read() is None
    (tmp_path / "late").write_bytes(b"1")
    assert file.read() == b"1"


def test_a_forked_child_reads_of_itself():
    file = ProcFile("/proc/self/stat")
    assert int(file.read().split()[0]) == os.getpid()
    child = os.fork()
    if child == 0:
        os._exit(0 if int(file.read().split()[0]) == os.getpid() else 1)
    assert os.waitpid(child, 0)[1] == 0


# --- rates --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0.01, 10), st.integers(0, 10**6)), min_size=2, max_size=20))
def test_a_rate_is_what_was_counted_or_it_is_not_known(steps):
    rates, now, before = Rates(longest=3.0), 0.0, None
    for seconds, count in steps:
        now += seconds
        found = rates.since(now, {"n": count})
        if before is None or seconds > 3.0 + 1e-9 or count < before:
            assert found is None
        elif seconds < 3.0 - 1e-9:
            assert found.counts == {"n": count - before} and found.seconds == pytest.approx(seconds)
        before = count


def test_a_counter_that_appears_or_vanishes_takes_no_part():
    rates = Rates(longest=3.0)
    rates.since(0.0, {"sda": 5.0, "sdb": 5.0})
    assert rates.since(1.0, {"sda": 7.0, "sdc": 900.0}).counts == {"sda": 2.0}
    assert rates.since(2.0, None) is None
    assert rates.since(3.0, {"sda": 9.0}) is None


def test_a_share_of_nothing_is_unknown_and_no_share_leaves_the_scale():
    assert share(0, 0) is None
    assert (share(-1, 10), share(11, 10), share(1, 4)) == (0.0, 100.0, 25.0)


# --- control groups -----------------------------------------------------------------------------------------


def group(tmp_path, membership, files):
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ControlGroup(tmp_path / "membership", tmp_path)


def test_version_two_tells_of_the_group_with_the_least_limit(tmp_path):
    files = {
        "pod/memory.max": "1000",
        "pod/memory.current": "700",
        "pod/memory.stat": "anon 100\ninactive_file 200\n",
        "pod/app/memory.max": "max",
        "pod/app/memory.current": "600",
        "pod/cpu.max": "150000 100000",
        "pod/app/cpu.max": "max 100000",
        "pod/app/cpu.stat": "usage_usec 2500000\nnr_periods 10\nnr_throttled 4\n",
    }
    found = group(tmp_path, "0::/pod/app\n", files)
    assert (found.memory_limit, found.memory_use(), found.cpu_limit) == (1000, 500, 1.5)
    assert found.cpu_use() == (2.5, 10, 4)


def test_version_one_tells_the_same_from_trees_of_its_own(tmp_path):
    files = {
        "memory/box/memory.limit_in_bytes": "1000",
        "memory/box/memory.usage_in_bytes": "900",
        "memory/box/memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
        "cpu,cpuacct/box/cpu.cfs_quota_us": "50000",
        "cpu,cpuacct/box/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/box/cpuacct.usage": "3000000000",
        "cpu,cpuacct/box/cpu.stat": "nr_periods 8\nnr_throttled 2\n",
    }
    found = group(tmp_path, "4:memory:/box\n3:cpu,cpuacct:/box\n", files)
    assert (found.memory_limit, found.memory_use(), found.cpu_limit) == (1000, 600, 0.5)
    assert found.cpu_use() == (3.0, 8, 2)


def test_a_group_inside_a_container_is_found_at_the_root(tmp_path):
    files = {"memory.max": "1000", "memory.current": "10"}
    found = group(tmp_path, "0::/not/visible/here\n", files)
    assert (found.memory_limit, found.memory_use()) == (1000, 10)


def test_no_limit_and_no_files_are_no_zero(tmp_path):
    found = group(
        tmp_path, "0::/\n1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    )
    assert (found.memory_limit, found.memory_use(), found.cpu_limit, found.cpu_use()) == (None,) * 4


def test_a_group_that_vanishes_is_unknown_from_then_on(tmp_path):
    found = group(tmp_path, "0::/\n", {"memory.current": "10", "cpu.stat": "usage_usec 5\n"})
    assert found.memory_use() == 10
    (tmp_path / "memory.current").unlink()
    (tmp_path / "cpu.stat").unlink()
    assert (found.memory_use(), found.cpu_use()) == (None, None)
