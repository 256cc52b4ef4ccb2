"""The native part is what it claims to be."""

import importlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import perfcore._native
from perfcore._native.build import build_info

STUBS = sorted(path.stem for path in Path(perfcore._native.__file__).parent.glob("*.pyi"))


def test_a_release_build_is_optimised_and_carries_no_checks_or_tracing():
    info = build_info()
    if info["mode"] != "release":
        pytest.skip(f"this is a {info['mode']} build")
    assert info["optimized"]
    assert not info["assertions"]
    assert not info["traced"]
    assert not info["sanitized"]


def test_the_build_is_the_one_that_was_asked_for():
    info = build_info()
    assert info["mode"] == os.environ.get("PERFCORE_BUILD", "release")
    sanitizers = {"asan": "address,undefined", "tsan": "thread"}
    assert info["sanitized"] == sanitizers.get(info["mode"], "")
    assert info["assertions"] == (info["mode"] in {"debug", "asan", "tsan"})
    assert info["traced"] == (info["mode"] == "trace")
    assert info["compiler"].split()[0] in {"gcc", "clang"}


# --- one file for all rooms ---------------------------------------------------------------------------------


def test_every_room_is_found_in_the_one_file_by_its_name():
    assert sorted({"_shared", *STUBS}) == list(perfcore._native.ROOMS)
    specs = [find_spec(f"perfcore._native.{room}") for room in perfcore._native.ROOMS]
    assert [spec.name for spec in specs] == [f"perfcore._native.{room}" for room in perfcore._native.ROOMS]
    (file,) = {spec.origin for spec in specs}
    assert Path(file).name.startswith("_rooms.")
    for spec in specs:
        try:
            assert importlib.import_module(spec.name).__file__ == file
        except ModuleNotFoundError as error:  # a room's own need, which CPython without the GIL lacks
            assert error.name in ("msgspec", "xxhash") and find_spec(error.name) is None


def test_what_is_no_room_is_not_found():
    assert find_spec("perfcore._native.attic") is None
    with pytest.raises(ModuleNotFoundError, match="attic"):
        importlib.import_module("perfcore._native.attic")


def test_a_room_is_loaded_when_it_is_asked_for_and_not_with_its_neighbours():
    code = (
        "import sys, perfcore._native.tags;"
        "print(*sorted(name for name in sys.modules if name.startswith('perfcore._native.')))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == ["perfcore._native._shared", "perfcore._native.tags"]
