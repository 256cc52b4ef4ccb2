"""Memory per entry beyond the key and value objects, at a million entries.

Each cache is filled in a process of its own, from keys that exist already; what the process grew by, as the
kernel counts it, is the cache's. What ``sys.getsizeof`` says stands beside it. The shadows of ``adaptive``
are what it has over ``lfu``, which is the same structure without them.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
from pathlib import Path
from typing import Any

from benchmarks.rivals.memory.contenders import FUNCTOOLS, POLICIES, functools_cache
from benchmarks.rivals.memory.interpreters import WITH, Python, Told, ask, interpreters, tell
from benchmarks.rivals.memory.report import Bar, print_table
from benchmarks.rivals.memory.threads import server_of
from perfcore import Cache

ENTRIES = 1_000_000
TIMED = " with ttl"
BARS = {"": 64, TIMED: 80}
SHADOWS_BAR = 128


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def grown(name: str, entries: int) -> tuple[float, int]:
    """Fill a cache; return the bytes that the process grew by, and those that the cache says it has."""
    keys = [f"user:{i:09d}" for i in range(entries)]
    if name.endswith(TIMED):
        policy: Any = name.removesuffix(TIMED).split()[1]
        cache: Any = Cache(entries, policy=policy, ttl=3600)
        write = cache.__setitem__
    elif name == FUNCTOOLS:
        cache = functools_cache(entries)

        def write(key: str, _: object) -> None:
            cache(key)

    else:
        write = server_of(name, entries).write
        cache = write.__self__  # type: ignore[attr-defined]
    gc.collect()
    gc.disable()
    before = resident()
    for key in keys:
        write(key, key)
    return resident() - before, sys.getsizeof(cache)


def run(options: argparse.Namespace) -> list[Bar]:
    wanted = [*(c.name for c in options.contenders), FUNCTOOLS]
    wanted += [f"perfcore {policy}{TIMED}" for policy in POLICIES if f"perfcore {policy}" in wanted]
    told = {name: in_a_process(name) for name in wanted}
    found = {name: one.found for name, one in told.items() if not one.failed}
    rows = [
        [name, f"{grew / ENTRIES:.1f}", f"{said / ENTRIES:.1f}" if said > ENTRIES else "not told"]
        for name, (grew, said) in found.items()
    ]
    title = f"bytes an entry beyond key and value, {ENTRIES:,} entries"
    print_table(title, ["cache", "process grew", "sys.getsizeof"], rows)
    bars = [
        Bar(
            f"bytes an entry of {name}",
            max(found[name]) / ENTRIES,
            BARS[TIMED if name.endswith(TIMED) else ""],
        )
        for name in found
        if name.startswith("perfcore")
    ]
    if {"perfcore adaptive", "perfcore lfu"} <= found.keys():
        shadows = (found["perfcore adaptive"][1] - found["perfcore lfu"][1]) / 1024
        bars.append(Bar("KB of the shadows of perfcore adaptive", shadows, SHADOWS_BAR))
    return bars


def in_a_process(name: str, entries: int = ENTRIES, python: Python | None = None) -> Told:
    """Ask, in a process of its own, what the cache grew by and what it says that it has, in bytes."""
    return ask(python or interpreters()[WITH], __spec__.name, (name, entries))


if __name__ == "__main__":
    tell(grown(sys.argv[1], int(sys.argv[2])))
