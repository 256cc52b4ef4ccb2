"""The Pythons that a part is measured in, with the GIL and without it, and how a contender is asked there.

Each contender has a process of its own: importing some of them switches the GIL on again, and what the
process grew by is one contender's. ``make free-threaded-rivals`` makes ready what has no GIL.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[3]
FREE = ROOT / "build" / "free-threaded"
WITH, WITHOUT = "with the GIL", "without the GIL"
#: what a contender's process says where its package is not there
NOT_INSTALLED = "is not installed"


class Python(NamedTuple):
    """What starts a Python with perfcore in it; where, because ``-m`` looks there first; and where else."""

    executable: str
    folder: Path
    path: str = ""


class Told(NamedTuple):
    """What a contender's process found, whether the GIL was on after all, and in which Python; or why not."""

    found: Any = None
    gil: bool = True
    version: str = ""
    failed: str = ""


def interpreters() -> dict[str, Python]:
    """Return the Pythons that there are, by name."""
    found = {WITH: Python(sys.executable, ROOT)}
    if (FREE / "bin" / "python").exists():
        found[WITHOUT] = Python(str(FREE / "bin" / "python"), FREE, str(ROOT))
    return found


def ask(python: Python, module: str, arguments: Iterable[object]) -> Told:
    """Run a module for one contender there, and return what it tells."""
    done = subprocess.run(
        [python.executable, "-W", "ignore", "-m", module, *map(str, arguments)],
        env=os.environ | ({"PYTHONPATH": python.path} if python.path else {}),
        cwd=python.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return Told(failed=(done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    return Told(*json.loads(done.stdout))


def installed(python: Python, packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of these packages there; they need not be those that are installed here."""
    return dict(ask(python, __spec__.name, packages).found or {})


def tell(found: object) -> None:
    """Print what was found, for the process that asked."""
    gil = bool(getattr(sys, "_is_gil_enabled", lambda: True)())
    print(json.dumps(Told(found, gil, sys.version.split()[0])))


def versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    tell(versions(sys.argv[1:]))
