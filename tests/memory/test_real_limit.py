"""In a real control group: a manager gives memory back as the limit nears, and takes it again afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MB = 2**20
ROOTS = {Path("/sys/fs/cgroup/memory"): "memory.limit_in_bytes", Path("/sys/fs/cgroup"): "memory.max"}

SCRIPT = """
import os, sys, time
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
from perfcore import PerformanceManager
from perfcore.memory import memory_pressure

def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, memory_pressure()
        time.sleep(0.02)

assert memory_pressure().limit == 300 * 2**20, memory_pressure()
memory = {"gc_threshold": 0.6, "interval": 0.1, "share": 1, "stalled": 100, "detect_leaks": False}
with PerformanceManager(memory_optimization=memory, caching={"max_memory": "8MB"}) as manager:
    tier = manager.memory
    manager.return_buffer(manager.get_optimal_buffer("1MB"))
    manager.optimize_memory()
    assert tier.capacity == 8 * 2**20 and not manager.memory_optimizer.relieved
    ballast = bytearray(200 * 2**20)
    ballast[::4096] = b"x" * len(range(0, len(ballast), 4096))  # or its pages are none
    wait_for(lambda: tier.capacity < 8 * 2**20 and manager.buffers.stats().idle_bytes == 0)
    del ballast
    wait_for(lambda: tier.capacity == 8 * 2**20)
    for decision in manager.memory_optimizer.decisions():
        print(decision.what)
"""


@pytest.fixture
def group():
    """A new control group that may use 300 MB."""
    for root, limit in ROOTS.items():
        made = root / f"perfcore-test-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            (made / limit).write_text(str(300 * MB))
            yield made
            return
        except OSError:
            continue
        finally:
            made.rmdir()
    pytest.skip("no control group may be made here")


def test_a_manager_makes_room_before_the_limit_of_its_control_group_and_takes_it_back(group):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(group)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("memory given back") for line in lines)
    assert "1 caches whole again" in lines
