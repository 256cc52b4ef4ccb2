"""Nothing is measured that would mean nothing: checked builds, tracers, hashes of chance."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from perfcore._native.build import build_info

#: the seed that every figure is taken with: another one puts other keys into the same places
HASH_SEED = "0"


def build_refusal(build: Mapping[str, Any]) -> str | None:
    """Return why figures of this build of the native part would mean nothing, or None."""
    reasons = [
        reason
        for applies, reason in (
            (not build["optimized"], "it is not optimised"),
            (build["assertions"], "its assertions are on"),
            (build["sanitized"], f"it is sanitized ({build['sanitized']})"),
            (build["traced"], "its lines are traced"),
        )
        if applies
    ]
    if not reasons:
        return None
    return (
        f"this is a {build['mode']} build of perfcore: {', '.join(reasons)}. Its figures would mean nothing; "
        "`make dev` builds the one to measure, and `perfcore doctor` says which one is imported."
    )


def interpreter_refusal() -> str | None:
    """Return why figures taken in this interpreter would mean nothing, or None."""
    if hasattr(sys, "gettotalrefcount"):
        return "this Python is a debug build: its figures would mean nothing."
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return "a tracer or profiler (coverage, a debugger) is on: its cost would be measured."
    return None


def seed_refusal(environment: Mapping[str, str]) -> str | None:
    """Return why figures would differ from run to run, or None."""
    if environment.get("PYTHONHASHSEED", "") in ("", "random"):
        return (
            "the hash seed is random, so that keys would fall into other places in each run: "
            f"set PYTHONHASHSEED={HASH_SEED}, as `make bench` does."
        )
    return None


def refusal(environment: Mapping[str, str]) -> str | None:
    """Return why nothing must be measured here, or None."""
    return build_refusal(build_info()) or interpreter_refusal() or seed_refusal(environment)


def ready() -> None:
    """Refuse what cannot be measured; start the program once more where only its hash seed is not fixed.

    Raises:
        SystemExit: with the reason.
    """
    if seed_refusal(os.environ):
        again = os.environ | {"PYTHONHASHSEED": HASH_SEED}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], again)
    if reason := refusal(os.environ):
        raise SystemExit(reason)
