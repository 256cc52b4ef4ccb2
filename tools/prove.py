"""The long form of the tests that try at random, part by part, each with its time (`make prove`).

A part is a folder's properties, models and races, `effort` times as long as in `make test`; files that hold
none of these say nothing new when they are repeated, and are left to `make test`. A part that fails does not
keep the others from running: the table at the end has them all, and then the run has failed.

    python tools/prove.py                      # all parts
    python tools/prove.py native proofs        # some
    python tools/prove.py --effort 200 cache   # longer
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: what a test imports that tries harder when it is asked to
TRIES = re.compile(r"^(?:from|import) (?:effort|hypothesis)\b", re.MULTILINE)
#: the C core's stress, as shipped and under the thread sanitizer: targets of the Makefile
STRESS = ("stress", "races")
FOLDERS = ("proofs", "native", "cache", "functions", "metrics", "parsing", "config", "scaling")


def files(folder):
    """Return the test files of a folder that try harder the more effort is made."""
    tests = sorted((ROOT / "tests" / folder).glob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in tests if TRIES.search(path.read_text())]


def command(part):
    """Return what runs a part."""
    if part in STRESS:
        return ["make", "--no-print-directory", f"CC={os.environ.get('CC', 'cc')}", part]
    return [sys.executable, "-m", "pytest", "--timeout", "7200", "--durations", "3", *files(part)]


def run(parts, effort):
    """Run parts one after another, and return for each whether it passed and its seconds."""
    environment = {**os.environ, "PERFCORE_EFFORT": str(effort), "PERFCORE_PROOFS": "demanded"}
    results = {}
    for number, part in enumerate(parts, 1):
        print(f"== {number} of {len(parts)}: {part}", flush=True)
        start = time.monotonic()
        done = subprocess.run(command(part), cwd=ROOT, env=environment, check=False)
        results[part] = done.returncode == 0, time.monotonic() - start
    return results


def table(results):
    """Return the lines of the table: a part, its minutes, and how it ended."""
    lines = [
        f"{part:<10}{took / 60:>6.1f} min  {'passed' if passed else 'FAILED'}"
        for part, (passed, took) in results.items()
    ]
    return [*lines, f"{'all':<10}{sum(took for _, took in results.values()) / 60:>6.1f} min"]


def main():
    """Run what was asked for; return what to exit with."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join((*STRESS, *FOLDERS)))
    parser.add_argument("--effort", type=int, default=20, help="times as long as in make test (20)")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - {*STRESS, *FOLDERS}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    results = run(asked.parts or (*STRESS, *FOLDERS), asked.effort)
    print("\n".join(table(results)))
    return 0 if all(passed for passed, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
