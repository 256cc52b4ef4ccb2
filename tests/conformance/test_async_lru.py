"""async-lru's own tests, from its source archive, run against perfcore.compat.async_lru."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from sdists import unpacked

import perfcore

VERSION = "2.4.0"

# Tests that look at private parts of async-lru and not at what it does.
PRIVATE = {
    "test_internals": "every test of it",
    "test_alru_cache_dict_not_shared": "its dict of tasks",
    "test_cache_clear_pending_task": "its set of tasks",
    "test_cache_clear_ttl_callback": "its timer handles",
    "test_alru_cache_removing_lru_keys": "the order of its dict",
    "test_alru_cache_removing_lru_keys_with_full_displacement": "the order of its dict",
}
# Every deviation, with its reason.
DEVIATIONS = {
    "test_cross_loop_auto_resets_cache": "loops share results, which stay",
    "test_cross_loop_preserves_stats_reset": "counts go on when the loop changes",
    "test_loop_change_emits_warning": "a change of the loop does no harm that a warning could be about",
    "test_loop_change_warns_only_once": "the same",
    "test_partialmethod_basic": "a call is looked up, and counted, when it is made",
    "test_partialmethod_partial": "the same",
}

# Makes `import async_lru` give our module, with the private names that its tests import.
SHIM = """
import sys
import perfcore.compat.async_lru as ours
ours._R, ours._LRUCacheWrapper, ours._CacheItem = ours.R, dict, dict
ours._CacheParameters = ours.CacheParameters
ours.AlruCacheLoopResetWarning = type("AlruCacheLoopResetWarning", (UserWarning,), {})
sys.modules["async_lru"] = ours
"""


def outcomes(folder, tmp_path):
    """Run the tests in a process of their own; return what became of each."""
    (tmp_path / "shim.py").write_text(
        f"{SHIM}\ncollect_ignore_glob = []\ndef pytest_generate_tests(metafunc):\n    pass\n"
    )
    report = tmp_path / "report.xml"
    root = Path(perfcore.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "shim",
        "-p",
        "no:cacheprovider",
        "-q",
        f"--junitxml={report}",
    ]
    command += ["-c", os.devnull, "--rootdir", folder, "-o", "asyncio_mode=auto", "--import-mode=importlib"]
    done = subprocess.run(
        [*command, folder / "tests"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert report.exists(), done.stdout + done.stderr
    return {(case.get("classname"), case.get("name")): case for case in ET.parse(report).iter("testcase")}


def test_async_lrus_own_tests_pass(tmp_path):
    cases = outcomes(unpacked("async-lru", VERSION), tmp_path)
    wrong = []
    for (module, name), case in cases.items():
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        base = name.partition("[")[0]
        if base in PRIVATE or module.rpartition(".")[2] in PRIVATE:
            continue
        if (failure is not None) != (base in DEVIATIONS):
            text = "passes now: take it off the list" if failure is None else failure.text
            wrong.append(f"{module}.{name}: {text}")
    assert not wrong, "\n\n".join(wrong)
    assert len(cases) >= 60
    assert {name for _, name in cases} >= DEVIATIONS.keys()
