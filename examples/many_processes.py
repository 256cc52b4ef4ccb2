"""Processes that share a directory: one computes what all want, and all hear when it changes.

python examples/many_processes.py FOLDER
"""

import multiprocessing
import os
import sys
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from perfcore.cache import CacheManager


def report(folder: str, begun: Barrier, told: "Queue[tuple[int, str]]") -> None:
    """One worker: wants the report of the day as soon as all have begun."""
    with CacheManager(disk={"directory": folder}) as cache:

        def compute() -> str:
            with Path(folder, "computed").open("a") as log:
                log.write(f"{os.getpid()}\n")
            time.sleep(0.2)
            return "the report"

        begun.wait()
        told.put((os.getpid(), cache.get_or_set("report", compute, tags=["daily"])))


def main(folder: Path) -> None:
    directory = folder / "cache"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    (directory / "computed").unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    begun, told = context.Barrier(4), context.Queue()
    workers = [context.Process(target=report, args=(str(directory), begun, told)) for _ in range(4)]
    for worker in workers:
        worker.start()
    reports = dict(told.get() for _ in workers)
    for worker in workers:
        worker.join()
    computed = (directory / "computed").read_text().split()
    print(f"{len(reports)} processes have {set(reports.values())}, computed {len(computed)} time(s)")
    with CacheManager(disk={"directory": directory}) as cache:
        print(f"a later process finds {cache.get('report')!r}")
        cache.invalidate_tags("daily")
        print(f"and after the day has ended {cache.get('report')!r}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
