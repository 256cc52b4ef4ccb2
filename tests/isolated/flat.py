"""Runs a step again and again and insists that resident memory stops growing."""

import gc
import resource
import sys
from pathlib import Path


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def insist_flat(step, rounds=30, allowed=4 * 2**20):
    """After a warm-up of a third of the rounds, memory may grow by at most ``allowed`` bytes.

    Each round ends with a collection. Left to itself the collector of a build without the GIL waits until a
    quarter as much is new as there is old, so how much dead memory is about at its worst moment, and so
    stays resident, depends on where in a round that moment falls, and may go on growing for thirty rounds: by
    4.4 MiB for cycles of plain Python objects that own 8 KB each, by 15 for caches of 16 KB.
    """
    for i in range(rounds):
        step()
        gc.collect()
        if i == rounds // 3:
            start = resident()
    grown = resident() - start
    print(f"grown by {grown / 2**20:.2f} MiB")
    sys.exit(grown > allowed)
