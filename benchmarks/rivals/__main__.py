"""Suites of this folder, one after the other, each with its own bars.

    python -m benchmarks.rivals [workers io scaling ...]

Without a name all of them run, which takes long. Each has a process of its own, so that none starts with what
another has left behind; the command fails when one of them has.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks.guard import ready

SUITES = ("memory", "functions", "disk", "remote", "metrics", "pools", "workers", "io", "scaling")


def main() -> None:
    ready()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], default=[], metavar="SUITE")
    failed = []
    for name in parser.parse_args().suites or SUITES:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.rivals.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
