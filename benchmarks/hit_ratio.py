"""Hit ratios beside ten published policies: ``python -m benchmarks.hit_ratio [--seeds 4] [--jobs 2]``.

Replays the traces of ``../shared/traces`` at the capacities of ``../shared/notes/hit_ratios.csv`` and prints,
row by row and in per cent, perfcore's policies, LRU and the best of ten policies as the table has them,
Belady's optimum, and the gap of ``adaptive`` to the best. ``adaptive`` samples keys by chance, so it is the
mean over the seeds.
"""

import argparse
import csv
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from statistics import mean

import numpy as np
import zstandard

from perfcore import simulate

SHARED = Path(__file__).parents[2] / "shared"

#: requests of a trace that the table is for, where that is not all of them
LIMITS = {"cache2k_orm-busy": 2_000_000, "cloudphysics_w106": 3_000_000}
SEEDED_ONCE = ("lru", "lfu", "random")


def read_trace(name):
    with (SHARED / "traces" / f"{name}.u32.zst").open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    return np.frombuffer(data, "<u4")[: LIMITS.get(name)]


def measure(name, rows, seeds):
    """Return for each row of one trace: the reference row, ratios by policy, and adaptive's by seed."""
    trace, capacities = read_trace(name), [int(row["capacity"]) for row in rows]

    def ratios(policy, seed=0):
        return [100 * result.hit_ratio for result in simulate(trace, capacities, policy, seed=seed)]

    once = {policy: ratios(policy) for policy in SEEDED_ONCE}
    by_seed = [ratios("adaptive", seed) for seed in range(seeds)]
    return [
        (row, {policy: once[policy][i] for policy in once}, [ratio[i] for ratio in by_seed])
        for i, row in enumerate(rows)
    ]


def print_rows(measured):
    print(f"{'trace':28}{'capacity':>9}{'OPT':>7}{'best':>7}{'LRU':>7} |{'lru':>7}{'lfu':>7}{'random':>7}"
          f"{'adaptive':>9}{'gap':>7}  gap by seed")  # fmt: skip
    for row, once, adaptive in measured:
        best, ours = float(row["best_of_ten"]), mean(adaptive)
        print(
            f"{row['trace']:28}{row['capacity']:>9}{row['OPT']:>7}{row['best_of_ten']:>7}{row['LRU']:>7} |"
            f"{once['lru']:7.2f}{once['lfu']:7.2f}{once['random']:7.2f}{ours:9.2f}{best - ours:7.2f}  "
            + " ".join(f"{best - ratio:.1f}" for ratio in adaptive)
        )


def print_summary(measured):
    gaps = [[float(row["best_of_ten"]) - ratio for ratio in adaptive] for row, _, adaptive in measured]
    per_seed = [mean(column) for column in zip(*gaps, strict=True)]
    within = mean(sum(gap <= 1 for gap in column) for column in zip(*gaps, strict=True))
    below = mean(
        sum(adaptive[seed] < float(row["LRU"]) - 1 for row, _, adaptive in measured)
        for seed in range(len(per_seed))
    )
    exact = max(abs(once["lru"] - float(row["LRU"])) for row, once, _ in measured)
    rows = len(measured)
    print(f"\n{rows} rows, {len(per_seed)} seeds of adaptive")
    by_seed = " ".join(f"{gap:.2f}" for gap in per_seed)
    print(f"mean gap to best of ten:      {mean(per_seed):.3f}   by seed {by_seed}")
    print(f"rows within 1 point of it:    {within:.1f} ({100 * within / rows:.1f} %)")
    print(f"rows > 1 point below LRU:     {below:.2f}")
    print(f"lru against the table's LRU:  at most {exact:.4f} points apart")
    for policy in SEEDED_ONCE:
        gap = mean(float(row["best_of_ten"]) - once[policy] for row, once, _ in measured)
        print(f"mean gap of {policy + ':':18}{gap:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--traces", nargs="*", help="only these traces")
    options = parser.parse_args()
    with (SHARED / "notes" / "hit_ratios.csv").open() as file:
        table = list(csv.DictReader(file))
    groups = [(name, list(rows)) for name, rows in groupby(table, lambda row: row["trace"])]
    if options.traces:
        groups = [group for group in groups if group[0] in options.traces]
    with ThreadPoolExecutor(options.jobs) as pool:  # replays release the GIL
        parts = list(pool.map(lambda group: measure(*group, options.seeds), groups))
    measured = [row for part in parts for row in part]
    print_rows(measured)
    print_summary(measured)


if __name__ == "__main__":
    main()
