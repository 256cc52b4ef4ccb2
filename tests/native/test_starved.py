"""Without memory each verb works or raises MemoryError, and leaves what it worked on whole."""

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from effort import effort

SCRIPT = Path(__file__).parent.parent / "isolated" / "starved.py"
ROOMS = ["caches", "functions", "rings", "histograms", "registries", "buffers", "objects"]
#: later allocations are of CPython's locks and of numpy, which then raise RuntimeError and SystemError
RAISE_OTHERS = ("functions", "rings")


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None, reason="this CPython came without _testcapi"
)
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="a debt: see the rules in ARCHITECTURE.md"
)
@pytest.mark.parametrize("room", ROOMS)
def test_out_of_memory_at_each_allocation(room):
    most = 15 if room in RAISE_OTHERS else effort(15)
    command = [sys.executable, SCRIPT, room, str(most)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
