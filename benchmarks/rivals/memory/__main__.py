"""Every figure that is claimed of the memory cache, beside dict and the other caches, in one run.

    python -m benchmarks.rivals.memory [operations] [space] [worst] [collisions] [simulate] [ratios]
        [latency] [threads]
        [--sizes 1000,100000,1000000] [--rounds 5] [--only perfcore,dict,cachebox]

Without a part's name all parts run. After each part's table stand the bars that it is held against, each met
or missed by what was just measured. `pip install 'perfcore[bench]'` installs the rivals.
"""

from __future__ import annotations

import argparse
import gc
import platform
from collections.abc import Callable

from benchmarks.guard import ready
from benchmarks.rivals.memory import (
    collisions,
    latency,
    operations,
    ratios,
    replay,
    space,
    threads,
    worst,
)
from benchmarks.rivals.memory.contenders import contenders, versions
from benchmarks.rivals.memory.report import Bar, print_bars
from perfcore._native.build import build_info

Part = Callable[[argparse.Namespace], list[Bar]]
PARTS: dict[str, Part] = {
    "operations": operations.run,
    "space": space.run,
    "worst": worst.run,
    "collisions": collisions.run,
    "simulate": replay.run,
    "ratios": ratios.run,
    "latency": latency.run,
    "threads": threads.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[], metavar="PART")
    parser.add_argument(
        "--sizes", default="1000,100000,1000000", help="entries of the caches, for operations"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds that the contenders take turns in")
    parser.add_argument("--only", default="", help="contenders whose names begin with one of these")
    parser.add_argument("--trace", default=str(replay.OLTP), help="the trace that simulate replays")
    options = parser.parse_args()
    ready()
    options.contenders = contenders([word for word in options.only.split(",") if word])
    print(f"CPython {platform.python_version()}, {build_info()['compiler']}; {versions(options.contenders)}")
    bars = []
    for name in options.parts or PARTS:
        gc.collect()
        found = PARTS[name](options)
        print_bars(found)
        bars += found
    print(f"\n{sum(bar.met for bar in bars)} of {len(bars)} bars met")


if __name__ == "__main__":
    main()
