"""What can be made ready before it is asked for is, behind the start; or all is imported at once."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from random import Random

import pytest

import perfcore
from perfcore import PerformanceManager, precompile
from perfcore.config import load
from perfcore.parsing.languages import LANGUAGES

ROOT = str(Path(perfcore.__file__).parent.parent)
AHEAD = {"enable_precompilation": True}


def built(manager):
    """Return the precompilation of a manager, when it is done."""
    part = manager._part("precompilation")
    assert part.wait(60)
    return part


def test_grammars_bytecode_and_dictionary_are_made_ready_behind_the_start(tmp_path):
    layers = {"disk": {"directory": str(tmp_path)}}
    with PerformanceManager(optimization=AHEAD, caching={"layers": layers}) as manager:
        steps = {step.name: step.result for step in built(manager).stats()}
        assert [*steps] == ["bytecode", *(f"grammar {language}" for language in LANGUAGES), "dictionary"]
        assert steps["grammar python"].endswith("kinds of nodes")
        assert steps["dictionary"] == "none yet"
        assert manager.status().parts["precompilation"].stats == built(manager).stats()


def test_a_dictionary_that_was_learnt_is_loaded(tmp_path):
    layers = {"disk": {"directory": str(tmp_path)}}
    words = [f"word{number * number}" for number in range(2000)]
    with PerformanceManager(caching={"layers": layers}) as manager:
        number = 0
        while manager.disk.prepare() == "none yet" or number % 2000:  # learning takes a moment of its own
            text = " ".join(Random(number).choices(words, k=80))
            manager.disk.set(number, {"id": number, "text": text, "kind": "document"})
            number += 1
            if number % 500 == 0:
                manager.disk.flush()
    with PerformanceManager(optimization=AHEAD, caching={"layers": layers}) as manager:
        assert built(manager).stats()[-1].result == "loaded"


def test_bytecode_that_is_missing_is_written(tmp_path):
    script = (
        "from perfcore import precompile\n"
        "print(precompile._compile_bytecode())\nprint(precompile._compile_bytecode())"
    )
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPATH"] = ROOT
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    written, _, stale, *_ = first.split()
    assert written == stale and int(stale) > 100
    assert second == "0 of 0 files that needed it"


def test_a_step_that_fails_is_told_and_leaves_the_others_alone(monkeypatch, caplog):
    monkeypatch.setattr(precompile, "_load_grammar", lambda language: 1 / 0)
    part = precompile.Precompilation(load().config)
    assert part.wait(60)
    steps = part.stats()
    assert steps[1].result == "failed: ZeroDivisionError: division by zero"
    assert len(steps) == 1 + len(LANGUAGES)
    assert "making ready the grammar python failed" in caplog.text


def test_closing_waits_for_the_step_under_way_and_begins_no_other(monkeypatch):
    begun, may_end = threading.Event(), threading.Event()

    def compile_bytecode():
        begun.set()
        assert may_end.wait(60)
        return "done"

    monkeypatch.setattr(precompile, "_compile_bytecode", compile_bytecode)
    part = precompile.Precompilation(load().config)
    assert begun.wait(60)
    closing = threading.Thread(target=part.close)
    closing.start()
    may_end.set()
    closing.join(60)
    assert [step.name for step in part.stats()] == ["bytecode"]


@pytest.mark.parametrize("shaken", [True, False])
def test_without_tree_shaking_everything_is_loaded_at_the_start(shaken):
    script = f"""
import sys
from perfcore import PerformanceManager
with PerformanceManager(optimization={{"enable_tree_shaking": {shaken}}}) as manager:
    manager.memory["a"] = 1
    rooms = ["perfcore.parsing.parser", "perfcore.workers.pool", "perfcore.monitor.collector", "lmdb"]
    print([room in sys.modules for room in rooms], "perfcore.cli.root" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"{[not shaken] * 4} False"
