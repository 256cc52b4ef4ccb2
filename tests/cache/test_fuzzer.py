"""The coverage-guided fuzzer of ``make fuzz``, for some seconds of each ordinary run."""

import subprocess
import sys
from pathlib import Path

from effort import effort

FUZZER = Path(__file__).parents[1] / "fuzz_decoder.py"


def test_nothing_that_is_read_gets_past_the_decoders(tmp_path):
    runs = effort(20_000)
    options = [
        f"-runs={runs}",
        "-seed=1",
        "-rss_limit_mb=1024",
        "-timeout=10",
        f"-artifact_prefix={tmp_path}/",
    ]
    found = subprocess.run(
        [sys.executable, FUZZER, tmp_path / "corpus", *options], capture_output=True, text=True, timeout=600
    )
    assert found.returncode == 0, found.stderr[-4000:]
    assert f"Done {runs} runs" in found.stderr
