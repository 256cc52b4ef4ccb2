"""Memory stays flat: each scenario runs alone in a fresh interpreter, so that nothing else moves its RSS."""

import subprocess
import sys
from pathlib import Path

import pytest

SCENARIOS = sorted((Path(__file__).parent.parent / "isolated").glob("leak_*.py"))


@pytest.mark.no_sanitizer  # a sanitizer's quarantine is a leak by design
@pytest.mark.parametrize("script", SCENARIOS, ids=lambda path: path.stem)
def test_memory_stays_flat(script):
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
