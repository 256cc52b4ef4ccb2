"""``import perfcore`` costs a service nothing but the name: each check runs in a fresh interpreter."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import perfcore

ROOT = Path(perfcore.__file__).parent.parent
HEAVY = {
    "numpy",
    "psutil",
    "lmdb",
    "zstandard",
    "msgspec",
    "xxhash",
    "tree_sitter",
    "rich",
    "typer",
    "platformdirs",
    "dask",
    "distributed",
    "loky",
}

LOOK_AROUND = """
import json, os, sys
def around():
    return {
        "modules": sorted(sys.modules),
        "threads": sorted(os.listdir("/proc/self/task")),
        "files": sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if n != "3"),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }
before = around()
"""


def start(script):
    """Return the finished process of a fresh interpreter that imports from this tree."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )


def before_and_after(statement):
    script = f"{LOOK_AROUND}\n{statement}\nprint(json.dumps([before, around()]))"
    return json.loads(start(script).stdout)


def loaded(statement):
    """Return the modules that ``statement`` loads."""
    before, after = before_and_after(statement)
    return set(after["modules"]) - set(before["modules"])


def test_importing_perfcore_loads_three_small_modules_and_nothing_else():
    assert loaded("import perfcore") == {"perfcore", "perfcore._lazy", "perfcore._version"}


def test_importing_perfcore_starts_no_thread_and_leaves_no_file_open():
    before, after = before_and_after("import perfcore")
    assert after["threads"] == before["threads"]
    assert after["files"] == before["files"]
    assert after["descriptors"] == before["descriptors"]


@pytest.mark.parametrize("room", ["cache", "config", "memory", "parsing", "scaling"])
def test_importing_a_room_loads_no_backend(room):
    assert not loaded(f"import perfcore.{room}") & HEAVY


def test_an_error_class_loads_only_the_errors():
    ours = {name for name in loaded("from perfcore import ConfigError") if name.startswith("perfcore")}
    assert ours == {"perfcore", "perfcore._lazy", "perfcore._version", "perfcore.errors"}


def test_the_memory_cache_needs_no_backend():
    assert not loaded("from perfcore import Cache; Cache(8)['a'] = 1") & HEAVY


def test_the_disk_tier_loads_what_it_stores_with_and_no_more():
    found = loaded("from perfcore.cache.disk import DiskCache")
    assert "lmdb" in found and not found & {"numpy", "platformdirs", "multiprocessing"}


def test_the_configuration_needs_msgspec_and_no_other_backend():
    assert loaded("from perfcore.config import load; load(optimization_level='balanced')") & HEAVY == {
        "msgspec"
    }


def test_importing_perfcore_takes_at_most_a_quarter_of_an_interpreter_start(tmp_path):
    # its bytecode is compiled beforehand, as pip does; here it may not be kept beside the source
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def cpu_time(script):
        """Return the CPU seconds of an interpreter that runs ``script``; others disturb them little."""
        process = subprocess.Popen([sys.executable, "-c", script], env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_utime + usage.ru_stime

    cpu_time("import perfcore")
    pairs = [(cpu_time("pass"), cpu_time("import perfcore")) for _ in range(25)]
    empty = median(empty for empty, _ in pairs)
    extra = median(imported - empty for empty, imported in pairs)
    print(f"empty start {empty * 1e3:.1f} ms, import perfcore {extra * 1e3:+.2f} ms: {extra / empty:.3f}")
    assert extra <= empty / 4


def test_a_source_tree_that_is_not_built_says_what_to_do(tmp_path):
    """Python looks into the current directory first: in a clone it finds the clone, whatever is installed."""
    tree = tmp_path / "perfcore"
    shutil.copytree(
        Path(perfcore.__file__).parent, tree, ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    done = subprocess.run(
        [sys.executable, "-c", "from perfcore import Cache"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert f"is not built in {tree}" in told and "pip install -e ." in told and "another directory" in told
