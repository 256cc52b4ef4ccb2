"""Figures are only taken where they mean something: other builds, tracers, hashes of chance are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from perfcore._native.build import build_info

ROOT = Path(__file__).parent.parent
RELEASE = {"mode": "release", "optimized": True, "assertions": False, "sanitized": "", "traced": False}
#: a program in which the native part says that it was built in another way
OTHER_BUILD = """
import sys, runpy
import perfcore._native.build as build
build.build_info = lambda told=build.build_info(): {**told, **CHANGED}
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def guard(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import guard

    return guard


def run(*command, **environment):
    changed = os.environ | environment
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={name: value for name, value in changed.items() if value is not None},
        capture_output=True,
        text=True,
    )


def elsewhere_built(*command, **changed):
    """Run a module as in a build of which ``build_info`` tells these things."""
    code = OTHER_BUILD.replace("CHANGED", repr(changed))
    return run("-c", code, *command, PYTHONHASHSEED="0")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"mode": "debug", "optimized": False}, "debug build of perfcore: it is not optimised."),
        ({"assertions": True}, "assertions are on"),
        ({"mode": "asan", "sanitized": "address,undefined"}, "sanitized (address,undefined)"),
        ({"mode": "trace", "traced": True}, "lines are traced"),
    ],
)  # fmt: skip
def test_every_build_but_an_optimised_one_is_refused(guard, changed, told):
    reason = guard.build_refusal(RELEASE | changed)
    assert told in reason and "perfcore doctor" in reason


def test_an_optimised_build_is_measured(guard):
    assert guard.build_refusal(RELEASE) is None


def test_the_build_of_these_tests_is_refused_unless_it_is_the_one_that_is_installed(guard):
    assert bool(guard.build_refusal(build_info())) == (build_info()["mode"] != "release")


@pytest.mark.parametrize("seed", [None, "", "random"])
def test_a_random_hash_seed_is_refused(guard, seed):
    environment = {} if seed is None else {"PYTHONHASHSEED": seed}
    assert "PYTHONHASHSEED=0" in guard.seed_refusal(environment)


def test_a_fixed_hash_seed_is_measured(guard):
    assert guard.seed_refusal({"PYTHONHASHSEED": "7"}) is None


def test_a_tracer_is_refused(guard):
    before = sys.getprofile()
    sys.setprofile(lambda *_: None)
    try:
        assert "tracer" in guard.interpreter_refusal()
    finally:
        sys.setprofile(before)


@pytest.mark.parametrize(
    "module", ["benchmarks.rivals.pools", "benchmarks.rivals.memory", "benchmarks.monitor"]
)
def test_a_harness_ends_with_the_reason(module):
    done = elsewhere_built(module, mode="debug", optimized=False)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("this is a debug build of perfcore: it is not optimised.")


def test_the_suites_of_pytest_end_with_the_reason():
    done = elsewhere_built("pytest", "benchmarks", "--benchmark-disable", mode="debug", optimized=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "this is a debug build of perfcore" in done.stderr


def test_the_suites_of_pytest_want_a_hash_seed():
    done = run("-m", "pytest", "benchmarks", "--benchmark-disable", PYTHONHASHSEED=None)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "set PYTHONHASHSEED=0" in done.stderr


def test_a_harness_fixes_the_hash_seed_by_itself():
    code = "from benchmarks.guard import *; ready(); print(os.environ['PYTHONHASHSEED'], hash('a'))"
    one, two = (run("-c", code, PYTHONHASHSEED=None) for _ in range(2))
    assert one.returncode == 0, one.stderr
    assert one.stdout == two.stdout and one.stdout.startswith("0 ")


# --- two runs -----------------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path):
    """A function that keeps a run, as pytest-benchmark does, and returns its path."""

    def keep(name, **times):
        benchmarks = [{"fullname": one, "stats": {"min": seconds}} for one, seconds in times.items()]
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"machine_info": {}, "benchmarks": benchmarks}))
        return path

    return keep


def test_one_benchmark_that_became_slower_fails_the_comparison_of_two_runs(runs):
    before = runs("before", a=1e-6, b=2e-6, c=3e-6)
    done = run("-m", "benchmarks.compare", before, runs("after", a=1e-6, b=2e-6, c=3.9e-6))
    assert done.returncode == 1
    assert "+30.0 %" in done.stdout and done.stdout.rstrip().endswith("3.900 us  c")
    assert done.stderr.startswith("1 became slower by more than 25 %")
    assert (
        run("-m", "benchmarks.compare", "--worse", "40", before, runs("after", a=1e-6, c=3.9e-6)).returncode
        == 0
    )


def test_a_machine_that_is_slower_is_no_regression(runs):
    before = runs("before", a=1e-6, b=2e-6, c=3e-6)
    done = run("-m", "benchmarks.compare", before, runs("after", a=2e-6, b=4e-6, c=6e-6, new=1.0))
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 benchmarks, all of them at 2.00 times the time" in done.stdout


def test_runs_that_are_not_there_and_runs_of_different_benchmarks_are_told(runs):
    done = run("-m", "benchmarks.compare", "9999", "9998")
    assert done.returncode == 1 and "there is no run 9999" in done.stderr
    done = run("-m", "benchmarks.compare", runs("before", a=1.0), runs("after", b=1.0))
    assert done.returncode == 1 and "no benchmark in common" in done.stderr


def test_every_suite_runs():
    """Once and without a clock: what they measure is theirs to say, that they do is seen here."""
    if (mode := build_info()["mode"]) != "release":
        pytest.skip(f"a {mode} build is refused")
    done = run("-m", "pytest", "benchmarks", "--benchmark-disable", PYTHONHASHSEED="0")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout
