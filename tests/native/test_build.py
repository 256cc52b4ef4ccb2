"""The native part is what it claims to be."""

import os

import pytest

from perfcore._native.build import build_info


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
