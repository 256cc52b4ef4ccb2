"""What counts as used of what is allowed: the process's own memory, or all of its control group's."""

import pytest

from perfcore.memory import memory_pressure
from perfcore.memory.pressure import _pressure, _used

MB = 2**20


@pytest.fixture
def group(tmp_path):
    """A control group of version 2 below ``tmp_path`` that tells what it is given."""
    (tmp_path / "membership").write_text("0::/service\n")
    (tmp_path / "service").mkdir()

    def tell(**files):
        for name, content in files.items():
            (tmp_path / "service" / f"memory.{name}").write_text(str(content))
        return _pressure(tmp_path / "membership", tmp_path)

    return tell


def test_what_other_processes_of_the_group_use_counts_against_its_limit(group):
    limit = _used() + 1000 * MB
    pressure = group(max=limit, current=limit - 100 * MB, stat="anon 1\ninactive_file 0\n")
    assert pressure[:2] == (limit - 100 * MB, limit)
    pressure = group(stat=f"anon 1\ninactive_file {300 * MB}\n")  # page cache that goes first
    assert pressure[:2] == (limit - 400 * MB, limit)


def test_the_process_itself_counts_where_the_group_tells_less_or_nothing(group):
    limit = _used() + 1000 * MB
    assert group(max=limit).used == pytest.approx(_used(), rel=0.2)
    assert group(current=0).used == pytest.approx(_used(), rel=0.2)


def test_without_a_limit_of_the_group_the_machine_is_the_limit(group):
    unlimited = group(max="max", current=10**15)
    assert unlimited.used == pytest.approx(_used(), rel=0.2)
    beyond = group(max=2**62, current=10**15)
    assert beyond[:2] == (pytest.approx(_used(), rel=0.2), unlimited.limit)


def test_stalls_are_read_from_the_group(group):
    assert group(pressure="some avg10=12.50 avg60=1.00 avg300=0.00 total=5\nfull avg10=0\n").stalled == 12.5


def test_here_and_now():
    pressure = memory_pressure()
    assert 0 < pressure.used < pressure.limit
