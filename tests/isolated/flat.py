"""Runs a step again and again and insists that resident memory stops growing."""

import gc
import resource
import sys
from pathlib import Path


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def insist_flat(step, rounds=30, allowed=4 * 2**20):
    """After a warm-up of a third of the rounds, memory may grow by at most ``allowed`` bytes."""
    for i in range(rounds):
        step()
        if i == rounds // 3:
            gc.collect()
            start = resident()
    gc.collect()
    grown = resident() - start
    print(f"grown by {grown / 2**20:.2f} MiB")
    sys.exit(grown > allowed)
