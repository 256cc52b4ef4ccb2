"""Processes that share a directory: one computes what all want, and all hear when it changes.

python examples/many_processes.py FOLDER
"""

import multiprocessing
import os
import sys
import time
from pathlib import Path

from perfcore.cache import CacheManager


def report(folder: str, started: float) -> tuple[int, str]:
    """One worker: wants the report of the day as soon as all have begun."""
    with CacheManager(disk={"directory": folder}) as cache:

        def compute() -> str:
            with Path(folder, "computed").open("a") as log:
                log.write(f"{os.getpid()}\n")
            time.sleep(0.2)
            return "the report"

        time.sleep(max(0.0, started - time.time()))
        return os.getpid(), cache.get_or_set("report", compute, tags=["daily"])


def main(folder: Path) -> None:
    directory = folder / "cache"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    (directory / "computed").unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    with context.Pool(4, maxtasksperchild=1) as pool:  # four, also where one is slow to start
        reports = pool.starmap(report, [(str(directory), time.time() + 1.0)] * 4, chunksize=1)
    computed = (directory / "computed").read_text().split()
    processes = {process for process, _ in reports}
    print(f"{len(reports)} reports by {len(processes)} processes, computed {len(computed)} time(s)")
    with CacheManager(disk={"directory": directory}) as cache:
        print(f"a later process finds {cache.get('report')!r}")
        cache.invalidate_tags("daily")
        print(f"and after the day has ended {cache.get('report')!r}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
