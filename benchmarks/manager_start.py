"""What a manager costs a service: its start, and doing nothing. ``python -m benchmarks.manager_start``.

Start: whole processes in turns, the median of each, all from bytecode. One imports perfcore and starts a
manager with all that is local switched on; the others begin an empty interpreter, and import numpy, psutil
and lmdb. The bar: no longer than importing these plus one empty interpreter start.

Idle: the processor time of a process with such a manager over some seconds. The bar: 0.5 % of a core.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from statistics import median
from time import perf_counter

EMPTY = "pass"
IMPORTS = "import numpy, psutil, lmdb"
CONFIG = """
config = {
    "optimization": {"enable_precompilation": False},
    "caching": {"layers": {"memory": {}, "disk": {"directory": FOLDER}}},
    "monitoring": {"interval": 5, "enable_profiling": True, "thresholds": {"cpu": 80, "memory": 85}},
    "workers": {"pool": {"min": 2, "max": 8}},
}
"""
START = "from perfcore import PerformanceManager\nmanager = PerformanceManager(config).start()\n"
USED = "manager.cache.set('a', 1); manager.workers.submit(int).result(); manager.profiler, manager.alerts\n"
STOP = "import os, sys; sys.stdout.flush(); os._exit(0)  # the start is what is measured"
IDLE = """
import resource, time
def used():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
time.sleep(1)
begun, at = used(), time.perf_counter()
time.sleep(SECONDS)
print((used() - begun) / (time.perf_counter() - at))
"""


def run(script: str) -> tuple[float, str]:
    """Return the seconds that a fresh interpreter takes for ``script``, and what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment
    )
    return perf_counter() - begun, done.stdout


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=20, help="how long to watch an idle manager")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        config = CONFIG.replace("FOLDER", repr(folder))
        scripts = {
            "empty interpreter": EMPTY,
            IMPORTS: IMPORTS,
            "manager.start()": config + START + STOP,
            "start, and every part built": config + START + USED + STOP,
        }
        for script in scripts.values():
            run(script)  # what is compiled and cached once
        times: dict[str, list[float]] = {name: [] for name in scripts}
        for _ in range(options.rounds):
            for name, script in scripts.items():
                times[name].append(run(script)[0])
        seconds = {name: median(taken) for name, taken in times.items()}
        bar = seconds[IMPORTS] + seconds["empty interpreter"]
        for name, taken in seconds.items():
            print(f"{name:<32} {1000 * taken:8.1f} ms  {taken / bar:5.2f} of the bar")
        print(f"{'bar: imports and an empty start':<32} {1000 * bar:8.1f} ms")
        _, printed = run(config + START + USED + IDLE.replace("SECONDS", str(options.seconds)) + STOP)
        share = 100 * float(printed)
        verdict = "met" if share <= 0.5 else "MISSED"
        print(f"idle, everything running: {share:.2f} % of a core (bar 0.5): {verdict}")


if __name__ == "__main__":
    main()
