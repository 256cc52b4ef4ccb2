"""Runs the test suite of another project, from its source archive, with one of our modules in its place."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from sdists import unpacked

import perfcore


def run(project, version, shim, folder, *options):
    """Return {"module::test": what went wrong, or None} of the suite of a project.

    ``shim`` is the text of a pytest plugin that puts our module in the place of theirs.
    """
    (folder / "shim.py").write_text(shim)
    report = folder / "report.xml"
    root = Path(perfcore.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{root}"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "shim",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--timeout=60",
    ]
    sources = unpacked(project, version)
    command += ["--rootdir", sources, f"--junitxml={report}", *options, sources / "tests"]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=500, check=False
    )
    assert report.exists(), done.stdout + done.stderr
    return {named(case): problem(case) for case in ElementTree.parse(report).iter("testcase")}


def named(case):
    module = [part for part in case.get("classname").split(".") if part != "tests"]
    return "::".join([*module, case.get("name").partition("[")[0]])


def problem(case):
    for kind in ("failure", "error"):
        if (found := case.find(kind)) is not None:
            return found.text
    return None


def differences(outcomes, deviations):
    """Return what is wrong with outcomes, given the reasons of known deviations by test or module."""
    wrong, seen = [], set()
    for name, text in outcomes.items():
        test, excused = name.rpartition("::")[2], set(name.split("::")) & deviations.keys()
        seen |= excused
        if text is not None and not excused:
            wrong.append(f"{name}: {text}")
        if text is None and test in deviations:
            wrong.append(f"{name} passes now: take it off the list")
    return wrong + [f"{name}: there is no such test" for name in deviations.keys() - seen]
