"""What is shipped is complete, the same each time, small, and works where nothing else is installed.

One wheel is built as a release is (``tools/wheels.py``, in short form: the interpreter at hand and a few
tests); ``make wheels`` does it for every interpreter, with the whole suite.
"""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import perfcore
from perfcore._native import ROOMS

ROOT = Path(__file__).parent.parent
TOOLS = Path(sys.executable).parent
EPOCH = "1700000000"


def run(*command, cwd=ROOT, **environment):
    """Return what a command prints; where it fails, so does the test."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**variables, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Return the folder of one archive, its wheel, and an environment that has it; its tests have passed."""
    folder = tmp_path_factory.mktemp("release")
    run(
        *(sys.executable, "tools/wheels.py", "--quick", "--python", sys.executable, "--out", folder),
        SOURCE_DATE_EPOCH=EPOCH,
    )
    return folder


@pytest.fixture(scope="module")
def wheel(out):
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def installed(out):
    """Return the folder of the commands of the environment in which only the wheel is installed."""
    (folder,) = out.glob("*/environment/bin")
    return folder


def packed(wheel):
    return {name for name in wheel.namelist() if name.startswith("perfcore/") and not name.endswith("/")}


def in_tree(*suffixes):
    tracked = run("git", "ls-files", "perfcore").split()
    return {name for name in tracked if name.endswith(suffixes)}


# --- the source archive -------------------------------------------------------------------------------------


def test_the_source_archive_has_all_that_is_under_version_control():
    run(TOOLS / "check-manifest", "--no-build-isolation", PERFCORE_BUILD="none")


def test_the_source_archive_is_the_same_bytes_each_time_and_names_nobody(out, tmp_path):
    run(
        *(sys.executable, "-m", "build", "-q", "--no-isolation", "--sdist", "--outdir", tmp_path),
        SOURCE_DATE_EPOCH=EPOCH,
        PERFCORE_BUILD="none",
    )
    (first,) = out.glob("*.tar.gz")
    assert (tmp_path / first.name).read_bytes() == first.read_bytes()
    with tarfile.open(first) as tar:
        members = tar.getmembers()
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    assert {member.mtime for member in members} == {int(EPOCH)}


def test_the_index_will_show_what_describes_the_release(out):
    run(sys.executable, "-m", "twine", "check", "--strict", *out.glob("*.whl"), *out.glob("*.tar.gz"))


# --- the wheel ----------------------------------------------------------------------------------------------


def test_the_wheel_runs_on_every_linux_with_its_c_library_and_needs_no_other(out):
    (path,) = out.glob("*.whl")
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert re.fullmatch(rf"perfcore-[\d.]+-{tag}-{tag}-manylinux_2_\d+_\w+\.whl", path.name)
    told = run(sys.executable, "-m", "auditwheel", "show", path)
    needed = set(re.findall(r"\blib[\w+-]+\.so", told))
    assert needed <= {"libc.so"}, f"grafted or needed beyond the C library: {needed}"


def test_the_wheel_has_code_stubs_and_assets_and_no_sources_of_the_extensions(wheel):
    names = packed(wheel)
    shipped = in_tree(".py", ".pyi", "py.typed", ".html", ".css", ".js")
    extensions = {name for name in names if name.endswith(".so")}
    assert names - extensions == shipped
    assert {name.split(".")[0] for name in extensions} == {"perfcore/_native/_rooms"}
    assert {name.split("/")[0] for name in wheel.namelist()} == {"perfcore", info(wheel)}


def test_the_wheel_says_what_is_compiled_in_and_under_which_licence(wheel):
    text = wheel.read(f"{info(wheel)}/sboms/perfcore.cdx.json").decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["version"] == perfcore.__version__
    parts = {part["name"]: part for part in bill["components"]}
    assert parts["Cython"]["version"] and parts["perfcore-core"]["version"] == perfcore.__version__
    assert {part["licenses"][0]["license"]["id"] for part in bill["components"]} == {"Apache-2.0"}
    assert wheel.read(f"{info(wheel)}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def info(wheel):
    return f"perfcore-{perfcore.__version__}.dist-info"


@pytest.fixture(scope="module")
def native(wheel, tmp_path_factory):
    """Return the path of the file with all native rooms."""
    (name,) = (name for name in packed(wheel) if name.endswith(".so"))
    return wheel.extract(name, tmp_path_factory.mktemp("native"))


def test_the_wheel_carries_neither_line_numbers_nor_names_of_functions(native):
    sections = run("readelf", "--sections", "--wide", native)
    assert ".text" in sections and ".debug_info" not in sections and ".symtab" not in sections


def test_the_native_file_is_hardened_and_shows_nothing_but_its_rooms(native):
    assert "BIND_NOW" in run("readelf", "--dynamic", "--wide", native)
    assert "GNU_RELRO" in run("readelf", "--segments", "--wide", native)
    names = {line.split()[-1].partition("@")[0] for line in run("nm", "--dynamic", native).splitlines()}
    assert "__stack_chk_fail" in names and any(name.endswith("_chk") for name in names - {"__stack_chk_fail"})
    shown = {line.split()[-1] for line in run("nm", "--dynamic", "--defined-only", native).splitlines()}
    assert {name for name in shown if name.startswith("PyInit_")} == {f"PyInit_{room}" for room in ROOMS}
    assert not {name for name in shown if name.startswith("pc_")}


#: megabytes of files once installed, without bytecode: 3.46 in 0.1.0 (ARCHITECTURE.md has where they are)
INSTALLED = 3.7


def test_an_installation_stays_small(wheel):
    assert sum(entry.file_size for entry in wheel.infolist()) < INSTALLED * 1e6


# --- installed ----------------------------------------------------------------------------------------------


def test_its_command_works_and_finds_the_installation_in_order(installed, tmp_path):
    assert perfcore.__version__ in run(installed / "perfcore", "--version", cwd=tmp_path)
    told = run(installed / "perfcore", "doctor", cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path))
    assert "release" in told


def test_the_build_is_optimised(installed, tmp_path):
    code = "import perfcore._native.build as b; print(b.__file__, b.build_info()['optimized'])"
    place, optimised = run(installed / "python", "-c", code, cwd=tmp_path).split()
    assert Path(place).is_relative_to(installed.parent) and optimised == "True"


# --- making it again ----------------------------------------------------------------------------------------


def test_what_is_up_to_date_is_kept_where_that_is_wanted(out):
    (note,) = out.glob("*/note.json")
    made = note.stat().st_mtime_ns
    again = run(
        *(sys.executable, "tools/wheels.py", "--quick", "--keep", "--python", sys.executable, "--out", out),
        *("--", "tests/native/test_build.py"),
        SOURCE_DATE_EPOCH=EPOCH,
    )
    assert note.stat().st_mtime_ns == made and "building" not in again and "passed" in again


@pytest.mark.parametrize(
    ("changed", "content", "is_another"),
    [
        ("perfcore/errors.py", b"# changed", True),
        ("src_c/new.h", b"", True),
        ("pyproject.toml", b'[project]\nname = "other"\n[tool.setuptools]\n', True),
        ("pyproject.toml", b'[project]\nname = "perfcore"\n[tool.setuptools]\n[tool.ruff]\na = 1\n', False),
        ("tests/test_new.py", b"", False),
        ("docs/index.md", b"# changed", False),
    ],
)
def test_a_wheel_is_up_to_date_as_long_as_what_it_is_made_of(
    monkeypatch, tmp_path, changed, content, is_another
):
    monkeypatch.syspath_prepend(ROOT / "tools")
    from wheels import made_of

    sources = {
        "perfcore/errors.py": b"",
        "pyproject.toml": b'[project]\nname = "perfcore"\n[tool.setuptools]\n',
        "docs/index.md": b"",
    }
    before, after = (
        made_of(archive_of(content, tmp_path / f"{number}.tar.gz"))
        for number, content in enumerate((sources, sources | {changed: content}))
    )
    assert (before != after) == is_another


def archive_of(files, path):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"perfcore-1/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


# --- releases -----------------------------------------------------------------------------------------------


def test_releases_are_built_for_every_interpreter_that_is_promised():
    told = run(TOOLS / "cibuildwheel", "--print-build-identifiers", "--platform", "linux", "--archs", "all")
    wanted = {
        f"cp3{minor}-manylinux_{machine}" for minor in (11, 12, 13, 14) for machine in ("x86_64", "aarch64")
    }
    assert {name for name in told.split() if name.endswith(("x86_64", "aarch64"))} == wanted


def test_classifiers_name_the_interpreters_that_the_suite_was_run_on():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {c.rsplit(" ", 1)[1] for c in project["classifiers"] if re.search(r":: 3\.\d+$", c)}
    assert named == {"3.11", "3.12", "3.13"}
