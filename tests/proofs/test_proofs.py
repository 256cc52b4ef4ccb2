"""The ring and the queue under weak memory: src_c/ring.h and queue.h as they ship, explored by two checkers.

``views.hpp`` is our own machine for C11's release-acquire model and always runs; Relacy and Spin are Debian
packages (``tools/debian-packages``). Every weakening of ``mutants.py`` must be caught: a proof that accepts a
broken ring is none.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from effort import EFFORT, effort
from proofs.mutants import CHECKERS, WEAKENINGS, build, explore

HERE = Path(__file__).parent
DEMANDED = os.environ.get("PERFCORE_PROOFS") == "demanded"
LONG = EFFORT > 1  # Relacy takes half a minute to compile all weakenings
RUNS = {"views": 30_000, "relacy": 100_000}
#: at most so many runs until a weakening shows
PATIENCE = {"views": 400_000, "relacy": 100_000}


def available(what, present):
    """Skip, or fail where the proofs are demanded (``make test``, ``make prove``), unless ``present``."""
    if not present:
        (pytest.fail if DEMANDED else pytest.skip)(f"{what} is missing: run tools/debian-packages")


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """Return a function that gives the compiled program of a room and a checker."""
    built, folder = {}, tmp_path_factory.mktemp("proofs")

    def program(room, checker):
        available("g++", shutil.which("g++"))
        if checker == "relacy":
            available("Relacy", Path("/usr/include/relacy/relacy.hpp").exists())
        if (room, checker) not in built:
            built[room, checker] = build(room, checker, folder, checker == "views" or LONG)
        return built[room, checker]

    return program


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("room", WEAKENINGS)
def test_what_ships_withstands_random_runs(programs, room, checker):
    held, said = explore(programs(room, checker), 0, effort(RUNS[checker]))
    assert held, said


@pytest.mark.skipif(not LONG, reason="in `make prove`")
def test_the_ring_withstands_every_schedule_with_two_forced_switches(programs):
    held, said = explore(programs("ring", "relacy"), 0, 0)
    assert held, said


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize(
    ("room", "number"),
    [(room, i) for room, all_ in WEAKENINGS.items() for i in range(1, len(all_) + 1)],
    ids=lambda value: str(value),
)
def test_every_weakening_is_caught(programs, room, number, checker):
    if checker == "relacy" and not LONG:
        pytest.skip("in `make prove`")
    weakening = WEAKENINGS[room][number - 1]
    held, said = explore(programs(room, checker), number, PATIENCE[checker])
    assert held == (weakening.escapes == checker), f"{weakening.name}: {said}"


# --- the protocol, every interleaving ----------------------------------------------------------------------

SPIN_WEAKENINGS = (
    "STEAL",
    "NO_SECOND_LOOK",
    "PUBLISH_FIRST",
    "NO_LAP_CHECK",
    "STORE_CLAIM",
    "DROP_UNCOUNTED",
)


def verify(folder, *defined):
    """Return what Spin's verifier of ring.pml says with some macros defined."""
    available("spin", shutil.which("spin") and shutil.which("cc"))
    macros = [f"-D{name}" for name in defined]
    subprocess.run(["spin", "-a", *macros, HERE / "ring.pml"], cwd=folder, check=True, capture_output=True)
    command = ["cc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    done = subprocess.run(["./pan", "-m100000"], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout


def errors(said):
    return int(re.search(r"errors: (\d+)", said)[1])


@pytest.mark.parametrize("mortal", ["false", "true"], ids=["all writers stay", "a writer may vanish"])
def test_the_protocol_holds_in_every_interleaving(tmp_path, mortal):
    said = verify(tmp_path, f"MORTAL={mortal}")
    assert errors(said) == 0, said
    assert "Search not completed" not in said


@pytest.mark.parametrize("weakening", SPIN_WEAKENINGS)
def test_spin_catches_every_weakening_of_the_protocol(tmp_path, weakening):
    assert errors(verify(tmp_path, "MORTAL=false", weakening)) > 0
